package snapshot_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/snapshot"
)

// tagged returns tags that are to be stamped when they are stored.
func tagged(t testing.TB, names ...string) *tarn.Tags {
	t.Helper()
	tags, err := tarn.NewTags(0, names...)
	require.NoError(t, err)
	return tags
}

// TestTags saves and loads entries with tags, into a store whose counter is behind that of the one they were saved from:
// they have the tags that they had, and go with them.
func TestTags(t *testing.T) {
	ctx := t.Context()
	from, to := newStore[int, string](t, 100), newStore[int, string](t, 100)
	for range 1000 {
		require.NoError(t, from.InvalidateTags(ctx, "nobody's"))
	}
	many := make([]string, tarn.MaxTags)
	for i := range many {
		many[i] = fmt.Sprint(i, strings.Repeat("x", tarn.MaxTagLength-3))
	}
	soon := from.Clock().Now().Add(time.Hour)
	for key, e := range map[int]tarn.Entry[string]{
		1: {Value: "one", Tags: tagged(t, "t", "u")},
		2: {Value: "two", Tags: tagged(t, "u")},
		3: {Negative: true, Expires: soon, Tags: tagged(t, "t")},
		4: {Value: "four", Tags: tagged(t, many...)},
		5: {Value: "five"},
		6: {Value: "six", Tags: tagged(t, "gone")},
	} {
		require.NoError(t, from.Set(ctx, key, e))
	}
	require.NoError(t, from.InvalidateTags(ctx, "gone"))
	text := saved(t, snapshot.Config[int, string]{}, from)
	res, err := snapshot.New(snapshot.Config[int, string]{}).Load(ctx, bytes.NewReader(text), to)
	require.NoError(t, err)
	require.Equal(t, snapshot.Result{Entries: 5}, res)
	for key, want := range contents(t, from) {
		e, found, err := to.Get(ctx, key)
		require.NoError(t, err)
		require.True(t, found)
		require.Equal(t, want.Tags.Names(), e.Tags.Names())
		require.Equal(t, want.Value, e.Value)
		require.Equal(t, want.Negative, e.Negative)
	}
	for _, row := range []struct {
		tag  string
		left int
	}{{"gone", 5}, {"t", 3}, {many[tarn.MaxTags-1], 2}, {"u", 1}} {
		require.NoError(t, to.InvalidateTags(ctx, row.tag))
		require.Len(t, contents(t, to), row.left, row.tag)
	}
}

// TestLargestTags has an entry that is as large as one can be.
func TestLargestTags(t *testing.T) {
	names := make([]string, tarn.MaxTags)
	for i := range names {
		names[i] = fmt.Sprintf("%0*d", tarn.MaxTagLength, i)
	}
	from, to := newStore[string, []byte](t, 10), newStore[string, []byte](t, 10)
	cfg := snapshot.Config[string, []byte]{MaxValue: 10}
	e := tarn.Entry[[]byte]{Value: make([]byte, 10), Tags: tagged(t, names...)}
	require.NoError(t, from.Set(t.Context(), strings.Repeat("k", 1<<20), e))
	res, err := snapshot.New(cfg).Load(t.Context(), bytes.NewReader(saved(t, cfg, from)), to)
	require.NoError(t, err)
	require.Equal(t, snapshot.Result{Entries: 1}, res)
}

// seeking is a snapshot of which somebody knows when it is read for the second time.
type seeking struct {
	*bytes.Reader
	seeks int
	again func()
}

func (s *seeking) Seek(offset int64, whence int) (int64, error) {
	if s.seeks++; s.seeks == 2 {
		s.again()
	}
	return s.Reader.Seek(offset, whence)
}

// TestInvalidatedWhileLoading invalidates a tag while a snapshot is read, which reaches what is added afterwards.
func TestInvalidatedWhileLoading(t *testing.T) {
	from := newStore[int, string](t, 100)
	for i := range 10 {
		require.NoError(t, from.Set(t.Context(), i, tarn.Entry[string]{Value: "v", Tags: tagged(t, fmt.Sprint(i%2))}))
	}
	text := saved(t, snapshot.Config[int, string]{}, from)
	for _, row := range []struct {
		rule   string
		reader func(invalidate func()) io.Reader
	}{
		{"in a file", func(invalidate func()) io.Reader {
			return &seeking{Reader: bytes.NewReader(text), again: invalidate}
		}},
		{"in a stream", func(invalidate func()) io.Reader {
			return io.MultiReader(bytes.NewReader(text), readerFunc(func([]byte) (int, error) { invalidate(); return 0, io.EOF }))
		}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			to := newStore[int, string](t, 100)
			require.NoError(t, to.Set(t.Context(), -1, tarn.Entry[string]{Tags: tagged(t, "0", "1")}))
			res, err := snapshot.New(snapshot.Config[int, string]{}).Load(t.Context(), row.reader(func() {
				require.NoError(t, to.InvalidateTags(t.Context(), "1"))
			}), to)
			require.NoError(t, err)
			require.Equal(t, 10, res.Entries+res.Skipped+res.Expired)
			all := contents(t, to)
			for i := range 10 {
				require.Equal(t, i%2 == 0, all[i].Tags != nil, "%d", i)
			}
		})
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// tagless is a store that keeps no tags.
type tagless struct{ *memory.Store[int, string] }

func (s tagless) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Adder[int, string]:
		*t = s
	case *tarn.Clocker:
		*t = s
	default:
		return false
	}
	return true
}

// TestNoTagger loads into a store that cannot keep tags: entries that have some are left out and counted.
func TestNoTagger(t *testing.T) {
	from, to := newStore[int, string](t, 100), newStore[int, string](t, 100)
	require.NoError(t, from.Set(t.Context(), 1, tarn.Entry[string]{Value: "v", Tags: tagged(t, "t")}))
	require.NoError(t, from.Set(t.Context(), 2, tarn.Entry[string]{Value: "w"}))
	text := saved(t, snapshot.Config[int, string]{}, from)
	res, err := snapshot.New(snapshot.Config[int, string]{}).Load(t.Context(), bytes.NewReader(text), tagless{to})
	require.NoError(t, err)
	require.Equal(t, snapshot.Result{Entries: 1, Skipped: 1}, res)
	require.Equal(t, map[int]tarn.Entry[string]{2: {Value: "w"}}, contents(t, to))
}

// TestNoStamp has a store that cannot say its moment: nothing is loaded.
func TestNoStamp(t *testing.T) {
	from, to := newStore[int, string](t, 100), newStore[int, string](t, 100)
	require.NoError(t, from.Set(t.Context(), 1, tarn.Entry[string]{Value: "v"}))
	text := saved(t, snapshot.Config[int, string]{}, from)
	s := faulty.New[int, string](to)
	away := errors.New("away")
	s.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Stamp, Err: away})
	_, err := snapshot.New(snapshot.Config[int, string]{}).Load(t.Context(), bytes.NewReader(text), s)
	require.ErrorIs(t, err, away)
	require.Empty(t, contents(t, to))
}

// TestSharedTags loads many entries whose tags are the same: they share them.
func TestSharedTags(t *testing.T) {
	from, to := newStore[int, string](t, 10_000), newStore[int, string](t, 10_000)
	for i := range 5000 {
		require.NoError(t, from.Set(t.Context(), i, tarn.Entry[string]{Tags: tagged(t, "t", fmt.Sprint(i%2), "u")}))
	}
	text := saved(t, snapshot.Config[int, string]{}, from)
	_, err := snapshot.New(snapshot.Config[int, string]{}).Load(t.Context(), bytes.NewReader(text), to)
	require.NoError(t, err)
	names := map[*string]bool{}
	for _, e := range contents(t, to) {
		names[&e.Tags.Names()[0]] = true
	}
	require.Len(t, names, 2)
}

// TestTagsThatAreNone has a snapshot that is whole, of an entry whose tags make no sense: it is refused.
func TestTagsThatAreNone(t *testing.T) {
	cfg := snapshot.Config[int, string]{}
	empty := saved(t, cfg, newStore[int, string](t, 10))
	from := newStore[int, string](t, 10)
	require.NoError(t, from.Set(t.Context(), 1, tarn.Entry[string]{Negative: true, Tags: tagged(t, "t")}))
	block := blockOf(saved(t, cfg, from), len(empty))
	start := block[:len(block)-3] // before the number of tags, the length of the one there is, and that
	for _, row := range []struct {
		rule string
		tags []byte
		ok   bool
	}{
		{"as it was", []byte("\x01\x01t"), true},
		{"two", []byte("\x02\x01t\x01u"), true},
		{"the same twice", []byte("\x02\x01t\x01t"), true},
		{"none", []byte("\x00"), false},
		{"an empty one", []byte("\x01\x00"), false},
		{"one that is too long", append([]byte("\x01\x81\x08"), make([]byte, tarn.MaxTagLength+1)...), false},
		{"too many", append([]byte("\x81\x01"), bytes.Repeat([]byte("\x01t"), tarn.MaxTags+1)...), false},
		{"more than there are", []byte("\x02\x01t"), false},
		{"a number without end", bytes.Repeat([]byte{0xff}, 11), false},
		{"one that ends too early", []byte("\x01\x02t"), false},
	} {
		t.Run(row.rule, func(t *testing.T) {
			n, err := load(t, cfg)(bytes.NewReader(frame(empty, append(bytes.Clone(start), row.tags...), 1)))
			if row.ok {
				require.NoError(t, err)
				require.Equal(t, 1, n)
				return
			}
			require.ErrorIs(t, err, snapshot.ErrDamaged)
			require.Zero(t, n)
		})
	}
}
