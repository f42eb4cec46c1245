package tarn_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

var errGone = errors.New("gone")

// answers are what a source may say, and what a Loader makes of it.
var answers = []struct {
	rule  string
	err   error
	want  error
	exact bool // the error is passed on as it is
}{
	{"no error stays none", nil, nil, true},
	{"ErrNotFound stays", tarn.ErrNotFound, tarn.ErrNotFound, true},
	{"a wrapped ErrNotFound stays, with its wrapper", fmt.Errorf("find: %w", tarn.ErrNotFound), tarn.ErrNotFound, true},
	{"a listed error means no such key", sql.ErrNoRows, tarn.ErrNotFound, false},
	{"the last listed one, too", errGone, tarn.ErrNotFound, false},
	{"a listed error, wrapped", fmt.Errorf("find: %w", sql.ErrNoRows), tarn.ErrNotFound, false},
	{"a listed error among others", errors.Join(errBroken, errGone), tarn.ErrNotFound, false},
	{"any other stays", errBroken, errBroken, true},
	{"any other, wrapped, stays", fmt.Errorf("find: %w", errBroken), errBroken, true},
}

func requireAnswer(t *testing.T, err, from, want error, exact bool, rule string) {
	t.Helper()
	switch {
	case want == nil:
		require.NoError(t, err, rule)
	case exact:
		require.Equal(t, from, err, rule)
		require.ErrorIs(t, err, want, rule)
	default:
		require.ErrorIs(t, err, want, rule)
	}
}

func TestLoadFunc(t *testing.T) {
	for _, tt := range answers {
		load := func(_ context.Context, key string) (int, error) { return len(key), tt.err }
		v, err := tarn.LoadFunc(load, sql.ErrNoRows, errGone).Load(t.Context(), "four")
		requireAnswer(t, err, tt.err, tt.want, tt.exact, tt.rule)
		if err == nil {
			require.Equal(t, 4, v)
		}
	}
	unlisted := tarn.LoadFunc(func(context.Context, string) (int, error) { return 0, sql.ErrNoRows })
	_, err := unlisted.Load(t.Context(), "")
	require.Equal(t, sql.ErrNoRows, err, "what is not listed is a failure")
}

func TestLoadEntryFunc(t *testing.T) {
	policy := &ttl.Policy{Fresh: time.Minute, Negative: time.Second}
	for _, tt := range answers {
		tags := []string{"tag"}
		load := func(_ context.Context, key string) (tarn.Loaded[int], error) {
			return tarn.Loaded[int]{Value: len(key), Policy: policy, Tags: tags, Err: errBroken}, tt.err
		}
		loader := tarn.LoadEntryFunc(load, sql.ErrNoRows, errGone)
		v, err := loader.Load(t.Context(), "four")
		requireAnswer(t, err, tt.err, tt.want, tt.exact, tt.rule)
		entries, ok := tarn.As[tarn.EntryLoader[string, int]](loader)
		require.True(t, ok)
		loaded, err := entries.LoadEntry(t.Context(), "four")
		requireAnswer(t, err, tt.err, tt.want, tt.exact, tt.rule)
		if tt.want == nil {
			require.Equal(t, 4, v)
			require.Equal(t, 4, loaded.Value)
		}
		if tt.want == nil || errors.Is(tt.want, tarn.ErrNotFound) {
			require.NotNil(t, loaded.Policy, "%s: the policy is told with a value and with its absence", tt.rule)
			require.Equal(t, policy, loaded.Policy, tt.rule)
			require.Equal(t, tags, loaded.Tags, "%s: and so are the tags", tt.rule)
			require.NoError(t, loaded.Err, "%s: the error is the one that was returned", tt.rule)
		}
	}
}

func TestLoadManyFunc(t *testing.T) {
	one := func(_ context.Context, key string) (int, error) { return len(key), nil }
	for _, tt := range answers {
		loader := tarn.LoadManyFunc(
			func(_ context.Context, key string) (int, error) { return len(key), tt.err },
			func(context.Context, []string) (map[string]int, error) { return nil, nil },
			sql.ErrNoRows, errGone)
		_, err := loader.Load(t.Context(), "four")
		requireAnswer(t, err, tt.err, tt.want, tt.exact, "one key: "+tt.rule)
	}
	for _, tt := range []struct {
		rule  string
		found map[string]int
		err   error
		keys  []string
		want  []tarn.Loaded[int]
	}{
		{"no keys", nil, nil, nil, []tarn.Loaded[int]{}},
		{"values go by index", map[string]int{"a": 1, "b": 2}, nil, []string{"b", "a"},
			[]tarn.Loaded[int]{{Value: 2}, {Value: 1}}},
		{"a zero value is a value", map[string]int{"a": 0}, nil, []string{"a"}, []tarn.Loaded[int]{{}}},
		{"what the map lacks is not in the source", map[string]int{"a": 1}, nil, []string{"a", "b"},
			[]tarn.Loaded[int]{{Value: 1}, {Err: tarn.ErrNotFound}}},
		{"what nobody asked for is ignored", map[string]int{"a": 1, "z": 26}, nil, []string{"a"},
			[]tarn.Loaded[int]{{Value: 1}}},
		{"no map is an empty one", nil, nil, []string{"a"}, []tarn.Loaded[int]{{Err: tarn.ErrNotFound}}},
		{"a listed error means that none is there", map[string]int{"a": 1}, sql.ErrNoRows, []string{"a", "b"},
			[]tarn.Loaded[int]{{Err: tarn.ErrNotFound}, {Err: tarn.ErrNotFound}}},
		{"so does ErrNotFound", nil, tarn.ErrNotFound, []string{"a"}, []tarn.Loaded[int]{{Err: tarn.ErrNotFound}}},
	} {
		loader := tarn.LoadManyFunc(one, func(_ context.Context, keys []string) (map[string]int, error) {
			require.Equal(t, tt.keys, keys)
			return tt.found, tt.err
		}, sql.ErrNoRows)
		many, ok := tarn.As[tarn.BatchLoader[string, int]](loader)
		require.True(t, ok)
		into := make([]tarn.Loaded[int], len(tt.keys))
		for i := range into {
			into[i] = tarn.Loaded[int]{Value: -1, Err: errBroken, Policy: &ttl.Policy{}} // of an earlier use
		}
		require.NoError(t, many.LoadMany(t.Context(), tt.keys, into), tt.rule)
		require.Equal(t, tt.want, into, tt.rule)
	}
}

func TestLoadManyFuncFails(t *testing.T) {
	failure := fmt.Errorf("select: %w", errBroken)
	loader := tarn.LoadManyFunc(
		func(context.Context, string) (int, error) { return 0, nil },
		func(context.Context, []string) (map[string]int, error) { return map[string]int{"a": 1}, failure })
	many, _ := tarn.As[tarn.BatchLoader[string, int]](loader)
	require.Equal(t, failure, many.LoadMany(t.Context(), []string{"a"}, make([]tarn.Loaded[int], 1)))
}

// No map finds a key that does not equal itself; asking for one is harmless.
func TestLoadManyFuncOfNaN(t *testing.T) {
	nan := math.NaN()
	loader := tarn.LoadManyFunc(
		func(context.Context, float64) (int, error) { return 1, nil },
		func(context.Context, []float64) (map[float64]int, error) { return map[float64]int{nan: 1, 2: 2}, nil })
	many, _ := tarn.As[tarn.BatchLoader[float64, int]](loader)
	into := make([]tarn.Loaded[int], 2)
	require.NoError(t, many.LoadMany(t.Context(), []float64{nan, 2}, into))
	require.Equal(t, []tarn.Loaded[int]{{Err: tarn.ErrNotFound}, {Value: 2}}, into)
}

func TestWriteFuncs(t *testing.T) {
	var log []string
	w := tarn.WriteFuncs(
		func(_ context.Context, key string, value int) error {
			log = append(log, fmt.Sprint("save ", key, value))
			return errBroken
		},
		func(_ context.Context, key string) error {
			log = append(log, "remove "+key)
			return errGone
		})
	require.Equal(t, errBroken, w.Save(t.Context(), "a", 1), "the error is the function's")
	require.Equal(t, errGone, w.Delete(t.Context(), "b"), "the error is the function's")
	require.Equal(t, []string{"save a1", "remove b"}, log)
}

func TestWriteValueFuncs(t *testing.T) {
	var log []string
	w := tarn.WriteValueFuncs(
		func(_ context.Context, value int) error {
			log = append(log, fmt.Sprint("save ", value))
			return errBroken
		},
		func(_ context.Context, key string) error {
			log = append(log, "remove "+key)
			return errGone
		})
	require.Equal(t, errBroken, w.Save(t.Context(), "a", 1))
	require.Equal(t, errGone, w.Delete(t.Context(), "b"))
	require.Equal(t, []string{"save 1", "remove b"}, log)
}

func TestWriteManyFuncs(t *testing.T) {
	var got [][]tarn.Op[string, int]
	var answer error
	w := tarn.WriteManyFuncs(func(_ context.Context, ops []tarn.Op[string, int]) error {
		got = append(got, ops)
		return answer
	})
	many, ok := tarn.As[tarn.BatchWriter[string, int]](w)
	require.True(t, ok)
	batch := []tarn.Op[string, int]{{Key: "a", Value: 1, Epoch: 2, Seq: 3}, {Key: "b", Delete: true}}
	require.NoError(t, many.Apply(t.Context(), batch))
	require.NoError(t, w.Save(t.Context(), "c", 4))
	require.NoError(t, w.Delete(t.Context(), "d"))
	require.Equal(t, [][]tarn.Op[string, int]{batch, {{Key: "c", Value: 4}}, {{Key: "d", Delete: true}}}, got)

	for _, tt := range []struct {
		rule         string
		answer, want error
	}{
		{"any error is passed on", errBroken, errBroken},
		{"of an IndexError, the one operation's own", tarn.IndexError{errBroken}, errBroken},
		{"also a wrapped one", fmt.Errorf("apply: %w", tarn.IndexError{errBroken}), errBroken},
		{"an IndexError in which nothing failed is none", tarn.IndexError{nil}, nil},
	} {
		answer = tt.answer
		require.Equal(t, tt.want, w.Save(t.Context(), "a", 1), tt.rule)
		require.Equal(t, tt.want, w.Delete(t.Context(), "a"), tt.rule)
	}
	answer = tarn.IndexError{nil, errBroken}
	require.Equal(t, answer, many.Apply(t.Context(), batch), "a batch gets the whole error")
}

// The context reaches the application's functions as it is.
func TestSourceContext(t *testing.T) {
	type key struct{}
	ctx := context.WithValue(t.Context(), key{}, 1)
	calls := 0
	see := func(got context.Context) {
		calls++
		require.Equal(t, ctx, got)
	}
	one := func(ctx context.Context, _ int) (int, error) { see(ctx); return 0, nil }
	many := tarn.LoadManyFunc(one, func(ctx context.Context, _ []int) (map[int]int, error) { see(ctx); return nil, nil })
	_, _ = tarn.LoadFunc(one).Load(ctx, 1)
	_, _ = many.Load(ctx, 1)
	_ = many.(tarn.BatchLoader[int, int]).LoadMany(ctx, nil, nil)
	entry := tarn.LoadEntryFunc(func(ctx context.Context, _ int) (_ tarn.Loaded[int], err error) { see(ctx); return })
	_, _ = entry.Load(ctx, 1)
	_, _ = entry.(tarn.EntryLoader[int, int]).LoadEntry(ctx, 1)
	w := tarn.WriteFuncs(
		func(ctx context.Context, _, _ int) error { see(ctx); return nil },
		func(ctx context.Context, _ int) error { see(ctx); return nil })
	_, _ = w.Save(ctx, 1, 1), w.Delete(ctx, 1)
	v := tarn.WriteValueFuncs(
		func(ctx context.Context, _ int) error { see(ctx); return nil },
		func(ctx context.Context, _ int) error { see(ctx); return nil })
	_, _ = v.Save(ctx, 1, 1), v.Delete(ctx, 1)
	m := tarn.WriteManyFuncs(func(ctx context.Context, _ []tarn.Op[int, int]) error { see(ctx); return nil })
	_, _ = m.Save(ctx, 1, 1), m.Delete(ctx, 1)
	require.Equal(t, 11, calls)
}

func TestSourceFuncsPanicOnNil(t *testing.T) {
	load := func(context.Context, int) (int, error) { return 0, nil }
	loadMany := func(context.Context, []int) (map[int]int, error) { return nil, nil }
	save := func(context.Context, int, int) error { return nil }
	saveValue := func(context.Context, int) error { return nil }
	remove := func(context.Context, int) error { return nil }
	for message, construct := range map[string]func(){
		"tarn: LoadFunc: load is nil":          func() { tarn.LoadFunc[int, int](nil) },
		"tarn: LoadManyFunc: load is nil":      func() { tarn.LoadManyFunc(nil, loadMany) },
		"tarn: LoadManyFunc: loadMany is nil":  func() { tarn.LoadManyFunc(load, nil) },
		"tarn: LoadEntryFunc: load is nil":     func() { tarn.LoadEntryFunc[int, int](nil) },
		"tarn: WriteFuncs: save is nil":        func() { tarn.WriteFuncs[int, int](nil, remove) },
		"tarn: WriteFuncs: remove is nil":      func() { tarn.WriteFuncs(save, nil) },
		"tarn: WriteValueFuncs: save is nil":   func() { tarn.WriteValueFuncs[int, int](nil, remove) },
		"tarn: WriteValueFuncs: remove is nil": func() { tarn.WriteValueFuncs[int](saveValue, nil) },
		"tarn: WriteManyFuncs: apply is nil":   func() { tarn.WriteManyFuncs[int, int](nil) },
	} {
		require.PanicsWithValue(t, message, construct)
	}
}
