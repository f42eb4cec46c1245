package observe_test

import (
	"bytes"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
)

// TestEveryKindIsDecided has a row for each kind of event that the source declares. Whoever adds a kind says here what it
// is counted as, at which level it is logged with an error and without one, and whether it tells of the source's time.
func TestEveryKindIsDecided(t *testing.T) {
	const (
		no   = ""
		warn = "WARN"
		bad  = "ERROR"
	)
	decided := map[string]struct{ counted, logged, loggedErr, timed string }{
		"EventHit":           {"cache.hits.fresh", no, warn, no},
		"EventNegativeHit":   {"cache.hits.negative", no, warn, no},
		"EventStaleHit":      {"cache.hits.stale", no, warn, no},
		"EventRescued":       {"cache.hits.rescued", no, warn, no},
		"EventMiss":          {"cache.misses", no, warn, no},
		"EventLoaded":        {"cache.loads.success", no, warn, "load success"},
		"EventLoadFailed":    {"cache.loads.error", warn, warn, "load error"},
		"EventShed":          {"cache.events.load_shed", no, warn, no},
		"EventFillDropped":   {"cache.events.fill_dropped", no, warn, no},
		"EventStoreFailed":   {"cache.events.store_failed", warn, warn, no},
		"EventWritten":       {"cache.writes.success", no, warn, "write success"},
		"EventFlushed":       {"cache.writes.success", no, warn, "write success"},
		"EventWriteFailed":   {"cache.writes.error", warn, warn, "write error"},
		"EventMaybeStale":    {"cache.events.maybe_stale", bad, bad, no},
		"EventEvicted":       {"cache.removals.evicted", no, warn, no},
		"EventExpired":       {"cache.removals.expired", no, warn, no},
		"EventCoalesced":     {"cache.events.coalesced", no, warn, no},
		"EventRetried":       {"cache.events.retried", no, no, no},
		"EventDeadLettered":  {"cache.events.dead_lettered", bad, bad, no},
		"EventPanicked":      {"cache.events.panicked", bad, bad, no},
		"EventUndecodable":   {"cache.events.undecodable", warn, warn, no},
		"EventReplayed":      {"cache.events.replayed", no, warn, no},
		"EventJournalFailed": {"cache.events.journal_failed", bad, bad, no},
		"EventBlocked":       {"cache.events.blocked", no, warn, no},
	}
	all := kinds(t)
	require.Len(t, decided, len(all), "a row is about no kind")
	for i, name := range all {
		kind := tarn.EventKind(i + 1)
		t.Run(name, func(t *testing.T) {
			want, ok := decided[name]
			require.True(t, ok, "nobody has decided how this kind is counted and logged: give it a row")

			counter := observe.NewCounter()
			counter.Observe(t.Context(), tarn.Event{Kind: kind, N: 3})
			now := values(counter)
			require.Contains(t, now, want.counted)
			require.EqualValues(t, 3, now[want.counted])

			require.Equal(t, want.logged, levelOf(t, tarn.Event{Kind: kind, N: 1}), "without an error")
			require.Equal(t, want.loggedErr, levelOf(t, tarn.Event{Kind: kind, N: 1, Err: errors.New("down")}), "with one")

			op, outcome, timed := observe.Timed(tarn.Event{Kind: kind, N: 1, Duration: time.Second})
			require.Equal(t, want.timed != no, timed)
			require.Equal(t, want.timed, strings.TrimSpace(op+" "+outcome))
		})
	}
}

// levelOf is the level at which an event is logged; empty: it is not.
func levelOf(t *testing.T, e tarn.Event) string {
	var text bytes.Buffer
	observe.Log(logger(&text), observe.LogOptions{}).Observe(t.Context(), e)
	level, _, _ := strings.Cut(strings.TrimPrefix(text.String(), "level="), " ")
	return level
}

// kinds returns the names of all kinds of events, as the source declares them: the first is number 1.
func kinds(t *testing.T) (names []string) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../events.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	for _, decl := range file.Decls {
		if decl, ok := decl.(*ast.GenDecl); ok && decl.Tok == token.CONST {
			for _, spec := range decl.Specs {
				for _, name := range spec.(*ast.ValueSpec).Names {
					if strings.HasPrefix(name.Name, "Event") {
						names = append(names, name.Name)
					}
				}
			}
		}
	}
	require.Equal(t, "EventHit", names[0])
	require.Equal(t, "unknown event", tarn.EventKind(len(names)+1).String(), "kinds are counted up from EventHit in one place")
	return names
}
