package observe_test

import (
	"context"
	"encoding/json"
	"go/parser"
	"go/token"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/observe"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
)

// having has the Stats that it is made with.
type having[S any] struct{ stats S }

func (h having[S]) Stats() S { return h.stats }

type ShelfStats[K any] struct {
	Reads     uint64
	Small     uint8
	Books     int
	DustBytes int64
	Oldest    time.Duration
	LoadTTL   float64
	Locked    bool
	Open      bool
	Name      string
	Last      K
	hidden    uint64
}

func TestStatsOfReadsNumbers(t *testing.T) {
	source := observe.StatsOf(having[ShelfStats[string]]{ShelfStats[string]{
		Reads: 1, Small: 2, Books: 3, DustBytes: -4, Oldest: 5 * time.Millisecond, LoadTTL: 0.5, Locked: true, hidden: 6,
	}})
	stat := func(name, unit string, count bool, value float64) observe.Stat {
		return observe.Stat{Of: "shelf", Name: name, Unit: unit, Count: count, Value: value}
	}
	got := source.Stats()
	for i := range got {
		require.Contains(t, got[i].Help, "ShelfStats")
		got[i].Help = ""
	}
	require.Equal(t, []observe.Stat{
		stat("reads", "", true, 1), stat("small", "", true, 2), stat("books", "", false, 3),
		stat("dust_bytes", "bytes", false, -4), stat("oldest", "seconds", false, 0.005), stat("load_ttl", "", false, 0.5),
		stat("locked", "", false, 1), stat("open", "", false, 0),
	}, got)

	got[0].Name = "another"
	require.Equal(t, "reads", source.Stats()[0].Name, "the slice is the caller's")
}

func TestStatsOfReadsAnew(t *testing.T) {
	store := memory.New(memory.Options[string, int]{MaxEntries: 10, CountReads: true})
	defer store.Close()
	source := observe.StatsOf(store)
	require.NoError(t, store.Put("a", 1, 0))
	store.Value("a")
	store.Value("b")
	now := values(source)
	require.Equal(t, 1.0, now["memory.hits"])
	require.Equal(t, 1.0, now["memory.entries"])
	require.Equal(t, 10.0, now["memory.bound"])
	require.NoError(t, store.Delete(context.Background(), "a"))
	require.Equal(t, 0.0, values(source)["memory.entries"])
}

func TestStatsOfRefuses(t *testing.T) {
	require.PanicsWithValue(t, "observe: StatsOf: of is nil", func() { observe.StatsOf[memory.Stats](nil) })
	require.PanicsWithValue(t, "observe: StatsOf: of is nil",
		func() { observe.StatsOf((*memory.Store[int, int])(nil)) })
	require.PanicsWithValue(t, "observe: StatsOf: int is no struct", func() { observe.StatsOf(having[int]{}) })
	require.Panics(t, func() { observe.StatsOf(having[struct{ Name string }]{}) })
}

// What there is here is described in words, and in one place: whoever adds a number describes it.
func TestOurStatsAreDescribed(t *testing.T) {
	for name, source := range map[string]observe.Source{
		"memory":     observe.StatsOf(having[memory.Stats]{}),
		"tiered":     observe.StatsOf(having[tiered.Stats]{}),
		"redisstore": observe.StatsOf(having[redisstore.Stats]{}),
		"write_back": observe.StatsOf(having[strategies.WriteBackStats]{}),
	} {
		for _, s := range source.Stats() {
			require.Equal(t, name, s.Of)
			require.NotContains(t, s.Help, "Stats.", "%s.%s has no description in help.go", s.Of, s.Name)
			require.True(t, strings.HasSuffix(s.Help, "."), s.Help)
		}
	}
}

func TestVarIsJSON(t *testing.T) {
	counter := observe.NewCounter()
	shelf := observe.StatsOf(having[ShelfStats[int]]{ShelfStats[int]{Reads: 7, Oldest: time.Minute}})
	v := observe.Var(counter, shelf)
	var got map[string]map[string]any
	require.NoError(t, json.Unmarshal([]byte(v.String()), &got))
	require.Equal(t, 7.0, got["shelf"]["reads"])
	require.Equal(t, 60.0, got["shelf"]["oldest"])
	require.Equal(t, map[string]any{"success": 0.0, "error": 0.0}, got["cache"]["loads"])

	require.PanicsWithValue(t, "observe: Var: source 1 is nil", func() { observe.Var(counter, nil) })
	infinite := observe.Var(observe.StatsOf(having[ShelfStats[int]]{ShelfStats[int]{LoadTTL: math.Inf(1)}}))
	require.True(t, json.Valid([]byte(infinite.String())), infinite)
}

// expvar opens its page by being imported, which is for the program to do.
func TestNothingImportsExpvar(t *testing.T) {
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range file.Imports {
			require.NotContains(t, []string{`"expvar"`, `"net/http"`, `"net/http/pprof"`}, spec.Path.Value, name)
		}
	}
}
