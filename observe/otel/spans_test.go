package otel_test

import (
	"context"
	"database/sql"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	"github.com/tarncache/tarn"
	tarnotel "github.com/tarncache/tarn/observe/otel"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// attrs are the attributes of a span of the cache named users, and those given.
func attrs(keys int, more ...any) map[string]any {
	all := map[string]any{"tarn.cache.name": "users", "tarn.keys": int64(keys)}
	for i := 0; i < len(more); i += 2 {
		all[more[i].(string)] = more[i+1]
	}
	return all
}

func TestSpansOfLoadsAndWrites(t *testing.T) {
	find := func(_ context.Context, key int) (string, error) {
		switch {
		case key == 404:
			return "", sql.ErrNoRows
		case key == 408:
			return "", fmt.Errorf("query: %w", context.DeadlineExceeded)
		case key > 100:
			return "", fmt.Errorf("query: %w", errDown)
		}
		return "Ada", nil
	}
	findMany := func(_ context.Context, keys []int) (map[int]string, error) {
		found := make(map[int]string)
		for _, key := range keys {
			if key > 404 {
				return nil, errDown
			}
			if key < 100 {
				found[key] = "Ada"
			}
		}
		return found, nil
	}
	apply := func(_ context.Context, ops []tarn.Op[int, string]) error {
		errs := make(tarn.IndexError, len(ops))
		errs[0] = errDown
		return errs
	}
	one := tarn.LoadFunc(find, sql.ErrNoRows)
	many := tarn.LoadManyFunc(find, findMany, sql.ErrNoRows)
	entries := tarn.LoadEntryFunc(func(ctx context.Context, key int) (tarn.Loaded[string], error) {
		v, err := find(ctx, key)
		return tarn.Loaded[string]{Value: v, Policy: &ttl.Policy{Fresh: time.Hour}}, err
	}, sql.ErrNoRows)
	save := tarn.WriteFuncs(func(_ context.Context, key int, _ string) error {
		_, err := find(context.Background(), key)
		return err
	},
		func(context.Context, int) error { return nil })
	failed := "*errors.errorString"

	tests := []struct {
		rule string
		do   func(ctx context.Context, o tarnotel.Options) error
		want span
	}{
		{"a load", func(ctx context.Context, o tarnotel.Options) error {
			v, err := tarnotel.Loader("users", one, o).Load(ctx, 1)
			require.Equal(t, "Ada", v)
			return err
		}, span{name: "load users", attrs: attrs(1)}},
		{"an absence is no failure", func(ctx context.Context, o tarnotel.Options) error {
			_, err := tarnotel.Loader("users", one, o).Load(ctx, 404)
			require.ErrorIs(t, err, tarn.ErrNotFound)
			return nil
		}, span{name: "load users", attrs: attrs(1, "tarn.keys.missing", int64(1))}},
		{"a failure says its type and not what it says", func(ctx context.Context, o tarnotel.Options) error {
			_, err := tarnotel.Loader("users", one, o).Load(ctx, 500)
			require.ErrorIs(t, err, errDown)
			return nil
		}, span{name: "load users", status: codes.Error, attrs: attrs(1, "tarn.keys.failed", int64(1), "error.type", failed)}},
		{"unless it is asked for", func(ctx context.Context, o tarnotel.Options) error {
			o.ErrorText = true
			_, err := tarnotel.Loader("users", one, o).Load(ctx, 500)
			require.ErrorIs(t, err, errDown)
			return nil
		}, span{name: "load users", status: codes.Error, text: "query: " + errDown.Error(),
			attrs: attrs(1, "tarn.keys.failed", int64(1), "error.type", failed)}},
		{"a timeout is one", func(ctx context.Context, o tarnotel.Options) error {
			_, _ = tarnotel.Loader("users", one, o).Load(ctx, 408)
			return nil
		}, span{name: "load users", status: codes.Error, attrs: attrs(1, "tarn.keys.failed", int64(1), "error.type", "timeout")}},
		{"a batch is one span", func(ctx context.Context, o tarnotel.Options) error {
			into := make([]tarn.Loaded[string], 3)
			l, ok := tarn.As[tarn.BatchLoader[int, string]](tarnotel.Loader("users", many, o))
			require.True(t, ok)
			err := l.LoadMany(ctx, []int{1, 404, 2}, into)
			require.Equal(t, "Ada", into[2].Value)
			return err
		}, span{name: "load users", attrs: attrs(3, "tarn.keys.missing", int64(1))}},
		{"a batch that failed", func(ctx context.Context, o tarnotel.Options) error {
			l, _ := tarn.As[tarn.BatchLoader[int, string]](tarnotel.Loader("users", many, o))
			require.ErrorIs(t, l.LoadMany(ctx, []int{1, 500}, make([]tarn.Loaded[string], 2)), errDown)
			return nil
		}, span{name: "load users", status: codes.Error, attrs: attrs(2, "tarn.keys.failed", int64(2), "error.type", failed)}},
		{"a loader that chooses", func(ctx context.Context, o tarnotel.Options) error {
			l, ok := tarn.As[tarn.EntryLoader[int, string]](tarnotel.Loader("users", entries, o))
			require.True(t, ok)
			got, err := l.LoadEntry(ctx, 1)
			require.Equal(t, time.Hour, got.Policy.Fresh)
			return err
		}, span{name: "load users", attrs: attrs(1)}},
		{"a save", func(ctx context.Context, o tarnotel.Options) error {
			return tarnotel.Writer("users", save, o).Save(ctx, 1, "Ada")
		}, span{name: "save users", attrs: attrs(1)}},
		{"a save that failed", func(ctx context.Context, o tarnotel.Options) error {
			require.ErrorIs(t, tarnotel.Writer("users", save, o).Save(ctx, 500, "Ada"), errDown)
			return nil
		}, span{name: "save users", status: codes.Error, attrs: attrs(1, "tarn.keys.failed", int64(1), "error.type", failed)}},
		{"a delete", func(ctx context.Context, o tarnotel.Options) error {
			return tarnotel.Writer("users", save, o).Delete(ctx, 1)
		}, span{name: "delete users", attrs: attrs(1)}},
		{"a batch of writes, of which one failed", func(ctx context.Context, o tarnotel.Options) error {
			w, ok := tarn.As[tarn.BatchWriter[int, string]](tarnotel.Writer("users", tarn.WriteManyFuncs(apply), o))
			require.True(t, ok)
			require.ErrorIs(t, w.Apply(ctx, make([]tarn.Op[int, string], 3)), errDown)
			return nil
		}, span{name: "write users", status: codes.Error, attrs: attrs(3, "tarn.keys.failed", int64(1), "error.type", failed)}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSDK(t)
			require.NoError(t, tt.do(t.Context(), s.options()))
			tt.want.kind = "internal"
			require.Equal(t, []span{tt.want}, s.spans())
		})
	}
}

// What a loader does within a load is in the load's span, and that is in the caller's.
func TestSpansNest(t *testing.T) {
	s := newSDK(t)
	tracer := s.tracers.Tracer("test")
	store := memory.New(memory.Options[int, string]{MaxEntries: 10})
	defer store.Close()
	cache := strategies.ReadThrough(store, tarnotel.Loader("users",
		tarn.LoadFunc(func(ctx context.Context, _ int) (string, error) {
			_, query := tracer.Start(ctx, "query")
			query.End()
			return "Ada", nil
		}), s.options()))
	ctx, request := tracer.Start(t.Context(), "request")
	_, err := cache.Get(ctx, 1)
	require.NoError(t, err)
	request.End()

	ended := s.recorder.Ended()
	require.Len(t, ended, 3)
	query, load := ended[0], ended[1]
	require.Equal(t, "query", query.Name())
	require.Equal(t, "load users", load.Name())
	require.Equal(t, load.SpanContext().SpanID(), query.Parent().SpanID())
	require.Equal(t, request.SpanContext().SpanID(), load.Parent().SpanID())
	require.False(t, load.EndTime().Before(query.EndTime()))
}

// A strategy finds with a wrapper what it finds without, and no more.
func TestWrappersForwardCapabilities(t *testing.T) {
	o := newSDK(t).options()
	find := func(context.Context, int) (string, error) { return "", nil }
	one := tarn.LoadFunc(find)
	many := tarn.LoadManyFunc(find, func(context.Context, []int) (map[int]string, error) { return nil, nil })
	entries := tarn.LoadEntryFunc(func(context.Context, int) (_ tarn.Loaded[string], err error) { return })
	for _, tt := range []struct {
		rule          string
		inner         tarn.Loader[int, string]
		batch, entry  bool
		closer, twice bool
	}{
		{rule: "a loader of single keys", inner: one},
		{rule: "a loader of many", inner: many, batch: true},
		{rule: "a loader that chooses lives", inner: entries, entry: true},
		{rule: "what nobody here knows is the inner one's", inner: closing{one}, closer: true},
		{rule: "also through two", inner: tarnotel.Loader("inner", many, o), batch: true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			l := tarnotel.Loader("users", tt.inner, o)
			_, ok := tarn.As[tarn.BatchLoader[int, string]](l)
			require.Equal(t, tt.batch, ok)
			_, ok = tarn.As[tarn.EntryLoader[int, string]](l)
			require.Equal(t, tt.entry, ok)
			_, ok = tarn.As[interface{ Close() error }](l)
			require.Equal(t, tt.closer, ok)
			self, ok := tarn.As[tarn.Loader[int, string]](l)
			require.True(t, ok)
			require.Equal(t, l, self)
		})
	}
	single := tarnotel.Writer("users", tarn.WriteFuncs(func(context.Context, int, string) error { return nil },
		func(context.Context, int) error { return nil }), o)
	_, ok := tarn.As[tarn.BatchWriter[int, string]](single)
	require.False(t, ok)
	self, ok := tarn.As[tarn.Writer[int, string]](single)
	require.True(t, ok)
	require.Equal(t, single, self)
}

type closing struct{ tarn.Loader[int, string] }

func (closing) Close() error { return nil }

// A source that never returns ends its span nevertheless, and is not held up.
func TestPanicsEndSpans(t *testing.T) {
	for rule, leave := range map[string]func(){"a panic": func() { panic("oops") }, "a Goexit": runtime.Goexit} {
		t.Run(rule, func(t *testing.T) {
			s := newSDK(t)
			loader := tarnotel.Loader("users", tarn.LoadFunc(func(context.Context, int) (string, error) {
				leave()
				return "", nil
			}), s.options())
			store := memory.New(memory.Options[int, string]{MaxEntries: 10})
			defer store.Close()
			_, err := strategies.ReadThrough(store, loader).Get(t.Context(), 1)
			var panicked *tarn.PanicError
			require.ErrorAs(t, err, &panicked)
			require.Equal(t, []span{{name: "load users", kind: "internal", status: codes.Error,
				attrs: attrs(1, "error.type", "panic")}}, s.spans())
		})
	}
}

func TestWrappersRefuseNothingness(t *testing.T) {
	o := tarnotel.Options{} // the global providers, which do nothing
	one := tarn.LoadFunc(func(context.Context, int) (string, error) { return "Ada", nil })
	v, err := tarnotel.Loader("users", one, o).Load(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, "Ada", v)

	require.PanicsWithValue(t, "otel: Loader: name is empty", func() { tarnotel.Loader("", one, o) })
	require.PanicsWithValue(t, "otel: Loader: inner is nil", func() { tarnotel.Loader[int, string]("users", nil, o) })
	require.PanicsWithValue(t, "otel: Writer: inner is nil", func() { tarnotel.Writer[int, string]("users", nil, o) })
	require.PanicsWithValue(t, "otel: Client: inner is nil", func() { _, _ = tarnotel.Client("users", nil, o) })
}
