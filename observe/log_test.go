package observe_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
)

func nowhere() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

// logger writes lines without their time.
func logger(into io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(into, &slog.HandlerOptions{
		Level: slog.LevelDebug,
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
}

func TestLogChoosesWhatWentWrong(t *testing.T) {
	down := errors.New("down")
	tests := []struct {
		rule  string
		event tarn.Event
		line  string // empty: none
	}{
		{"a hit is no news", tarn.Event{Kind: tarn.EventHit, N: 1}, ""},
		{"nor is a retry, which follows a failure", tarn.Event{Kind: tarn.EventRetried, N: 1, Err: down}, ""},
		{"nor what nobody knows yet", tarn.Event{Kind: 200, N: 1}, ""},
		{"unless it is an error", tarn.Event{Kind: 200, N: 1, Err: down},
			`level=WARN msg="cache: unknown event" event="unknown event" keys=1 error=down`},
		{"a failure that somebody answers for is a warning",
			tarn.Event{Kind: tarn.EventLoadFailed, N: 2, Duration: time.Second, Err: down},
			`level=WARN msg="cache: load failed" event="load failed" keys=2 took=1s error=down`},
		{"a lost write is an error", tarn.Event{Kind: tarn.EventDeadLettered, N: 1, Attempt: 3, Err: down},
			`level=ERROR msg="cache: dead-lettered" event=dead-lettered keys=1 attempt=3 error=down`},
		{"a journal that takes nothing is an error", tarn.Event{Kind: tarn.EventJournalFailed, N: 5, Err: down},
			`level=ERROR msg="cache: journal failed" event="journal failed" keys=5 error=down`},
		{"the key stays out of it", tarn.Event{Kind: tarn.EventMaybeStale, N: 1, Key: "ada@example.org", Err: down},
			`level=ERROR msg="cache: maybe stale" event="maybe stale" keys=1 error=down`},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			var text bytes.Buffer
			observe.Log(logger(&text), observe.LogOptions{}).Observe(t.Context(), tt.event)
			require.Equal(t, tt.line, strings.TrimSpace(text.String()))
		})
	}
}

func TestLogIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		o := observe.Log(logger(&text), observe.LogOptions{Every: time.Minute})
		lines := func() int { return strings.Count(text.String(), "\n") }
		for range 1000 {
			o.Observe(t.Context(), tarn.Event{Kind: tarn.EventStoreFailed, N: 1})
		}
		require.Equal(t, 1, lines(), "one of a thousand")
		o.Observe(t.Context(), tarn.Event{Kind: tarn.EventLoadFailed, N: 1})
		require.Equal(t, 2, lines(), "each kind for itself")

		time.Sleep(time.Minute - 1)
		o.Observe(t.Context(), tarn.Event{Kind: tarn.EventStoreFailed, N: 1})
		require.Equal(t, 2, lines(), "not before the minute is over")
		time.Sleep(time.Nanosecond)
		o.Observe(t.Context(), tarn.Event{Kind: tarn.EventStoreFailed, N: 1})
		require.Equal(t, 3, lines())
		require.Contains(t, text.String(), "unlogged=1000", "what was left out is counted")
	})
}

func TestLogOfEveryEventLeavesNoneOut(t *testing.T) {
	var text bytes.Buffer // the handler has a lock
	o := observe.Log(logger(&text), observe.LogOptions{Every: -1})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				o.Observe(t.Context(), tarn.Event{Kind: tarn.EventPanicked, N: 1})
			}
		})
	}
	all.Wait()
	require.Equal(t, 8000, strings.Count(text.String(), "\n"))
}

func TestLogCanBeTold(t *testing.T) {
	var text bytes.Buffer
	o := observe.Log(logger(&text), observe.LogOptions{Every: -1, Level: func(e tarn.Event) (slog.Level, bool) {
		return slog.LevelDebug, e.Kind == tarn.EventMiss
	}})
	o.Observe(t.Context(), tarn.Event{Kind: tarn.EventMiss, N: 1})
	o.Observe(t.Context(), tarn.Event{Kind: tarn.EventMiss, N: 1})
	o.Observe(t.Context(), tarn.Event{Kind: tarn.EventDeadLettered, N: 1})
	require.Equal(t, 2, strings.Count(text.String(), "level=DEBUG"))
	require.NotContains(t, text.String(), "dead")
	require.PanicsWithValue(t, "observe: Log: logger is nil", func() { observe.Log(nil, observe.LogOptions{}) })
}
