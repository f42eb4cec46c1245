package snapshot_test

import (
	"bytes"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/snapshot"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

type user struct {
	Name string
	Age  int
}

func newStore[K comparable, V any](t testing.TB, entries int) *memory.Store[K, V] {
	s := memory.New(memory.Options[K, V]{MaxEntries: entries})
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// saved returns a snapshot of a store.
func saved[K comparable, V any](t testing.TB, cfg snapshot.Config[K, V], from tarn.Store[K, V]) []byte {
	t.Helper()
	var b bytes.Buffer
	_, err := snapshot.New(cfg).Save(t.Context(), &b, from)
	require.NoError(t, err)
	return b.Bytes()
}

// contents are the entries of a store.
func contents[K comparable, V any](t testing.TB, s *memory.Store[K, V]) map[K]tarn.Entry[V] {
	t.Helper()
	all := map[K]tarn.Entry[V]{}
	entries, failed := s.Scan(t.Context())
	for k, e := range entries {
		all[k] = e
	}
	require.NoError(t, failed())
	return all
}

func TestDeadlines(t *testing.T) {
	const hour = time.Hour
	for _, row := range []struct {
		rule  string
		entry func(now ttl.Time) tarn.Entry[string]
		stale bool
		pass  time.Duration
		want  func(now ttl.Time) tarn.Entry[string] // Expires 1: nothing is there
	}{
		{
			"what never expires never does",
			func(ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Value: "v"} }, false, hour,
			func(ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Value: "v"} },
		},
		{
			"what has a life has the rest of it",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Expires: now.Add(3 * hour)}
			}, false, hour,
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Expires: now.Add(2 * hour)}
			},
		},
		{
			"what has expired meanwhile is not loaded",
			func(now ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Value: "v", Expires: now.Add(hour)} }, false, hour,
			func(ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Expires: 1} },
		},
		{
			"what has expired before is not saved",
			func(now ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Value: "v", Expires: now - 1} }, false, 0,
			func(ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Expires: 1} },
		},
		{
			"a window stays where it is",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Fresh: now.Add(2 * hour), Expires: now.Add(3 * hour)}
			}, false, hour,
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Fresh: now.Add(hour), Expires: now.Add(2 * hour)}
			},
		},
		{
			"what has become stale meanwhile is stale",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Fresh: now.Add(hour), Expires: now.Add(9 * hour)}
			}, false, 2 * hour,
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Fresh: now.Add(-hour), Expires: now.Add(7 * hour), Stale: true}
			},
		},
		{
			"an absence stays one",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Negative: true, Expires: now.Add(3 * hour)}
			}, false, hour,
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Negative: true, Expires: now.Add(2 * hour)}
			},
		},
		{
			"what was rescued is, and passes for nothing fresher",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Rescued: true, Fresh: now.Add(2 * hour), Expires: now.Add(3 * hour)}
			}, false, hour,
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Rescued: true, Fresh: now.Add(hour), Expires: now.Add(2 * hour)}
			},
		},
		{
			"with Stale, a value is stale at once and lives as long",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Fresh: now.Add(2 * hour), Expires: now.Add(3 * hour)}
			}, true, hour,
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Value: "v", Fresh: now, Expires: now.Add(2 * hour), Stale: true}
			},
		},
		{
			"with Stale, so is a value that has no deadline",
			func(ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Value: "v"} }, true, hour,
			func(now ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Value: "v", Fresh: now, Stale: true} },
		},
		{
			"with Stale, an absence is left out",
			func(now ttl.Time) tarn.Entry[string] {
				return tarn.Entry[string]{Negative: true, Expires: now.Add(3 * hour)}
			}, true, 0,
			func(ttl.Time) tarn.Entry[string] { return tarn.Entry[string]{Expires: 1} },
		},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				from := newStore[int, string](t, 10)
				require.NoError(t, from.Set(t.Context(), 1, row.entry(from.Clock().Now())))
				cfg := snapshot.Config[int, string]{Stale: row.stale}
				text := saved(t, cfg, from)
				time.Sleep(row.pass)
				to := newStore[int, string](t, 10)
				res, err := snapshot.New(cfg).Load(t.Context(), bytes.NewReader(text), to)
				require.NoError(t, err)
				e, found, err := to.Get(t.Context(), 1)
				require.NoError(t, err)
				want := row.want(to.Clock().Now())
				if want.Expires == 1 {
					require.False(t, found)
					require.Zero(t, res.Entries)
					return
				}
				require.True(t, found)
				require.Equal(t, want, e)
				require.Equal(t, snapshot.Result{Entries: 1}, res)
			})
		})
	}
}

// TestRoundTrip has keys and values of several kinds, many and large ones.
func TestRoundTrip(t *testing.T) {
	t.Run("structs", func(t *testing.T) {
		round(t, snapshot.Config[string, user]{}, 5000, func(i int) (string, user) {
			return fmt.Sprint("user-", i), user{strings.Repeat("x", i%300), i}
		})
	})
	t.Run("integers and strings", func(t *testing.T) {
		round(t, snapshot.Config[int64, string]{}, 5000, func(i int) (int64, string) { return int64(i) - 100, fmt.Sprint(i) })
	})
	t.Run("values larger than a block", func(t *testing.T) {
		round(t, snapshot.Config[int, []byte]{}, 20, func(i int) (int, []byte) { return i, bytes.Repeat([]byte{byte(i)}, i*20_000) })
	})
	t.Run("compressed and encrypted", func(t *testing.T) {
		block, err := aes.NewCipher(bytes.Repeat([]byte{7}, 32))
		require.NoError(t, err)
		gcm, err := cipher.NewGCM(block)
		require.NoError(t, err)
		layers := []codec.Layer{codec.Compressed(codec.CompressionOptions{}), codec.Encrypted(codec.Secret{ID: 1, AEAD: gcm})}
		round(t, snapshot.Config[int, string]{Layers: layers}, 500,
			func(i int) (int, string) { return i, strings.Repeat(fmt.Sprint(i), 100) })
	})
	t.Run("nothing", func(t *testing.T) {
		round(t, snapshot.Config[int, string]{}, 0, nil)
	})
}

func round[K comparable, V any](t *testing.T, cfg snapshot.Config[K, V], n int, pair func(i int) (K, V)) {
	from, to := newStore[K, V](t, 100_000), newStore[K, V](t, 100_000)
	for i := range n {
		key, value := pair(i)
		require.NoError(t, from.Set(t.Context(), key, tarn.Entry[V]{Value: value}))
	}
	text := saved(t, cfg, from)
	res, err := snapshot.New(cfg).Load(t.Context(), bytes.NewReader(text), to)
	require.NoError(t, err)
	require.Equal(t, snapshot.Result{Entries: n}, res)
	require.Equal(t, contents(t, from), contents(t, to))
}

// TestLoadAddsOnly keeps what the store has already, and what is held.
func TestLoadAddsOnly(t *testing.T) {
	from, to := newStore[int, string](t, 10), newStore[int, string](t, 10)
	for i := range 3 {
		require.NoError(t, from.Set(t.Context(), i, tarn.Entry[string]{Value: "old"}))
	}
	require.NoError(t, to.Set(t.Context(), 0, tarn.Entry[string]{Value: "new"}))
	require.NoError(t, to.Hold(t.Context(), []int{1}, time.Hour, make([]tarn.Token, 1)))
	text := saved(t, snapshot.Config[int, string]{}, from)
	res, err := snapshot.New(snapshot.Config[int, string]{}).Load(t.Context(), bytes.NewReader(text), to)
	require.NoError(t, err)
	require.Equal(t, snapshot.Result{Entries: 1, Skipped: 2}, res)
	require.Equal(t, map[int]tarn.Entry[string]{0: {Value: "new"}, 2: {Value: "old"}}, contents(t, to))
}

// TestForeign loads what is another's: an error that says so, and nothing added.
func TestForeign(t *testing.T) {
	from := newStore[int, string](t, 10)
	require.NoError(t, from.Set(t.Context(), 1, tarn.Entry[string]{Value: "v"}))
	cfg := snapshot.Config[int, string]{Name: "a"}
	text := saved(t, cfg, from)
	newer := bytes.Clone(text)
	newer[8]++
	older := bytes.Clone(text)
	older[8] = 0
	for _, row := range []struct {
		rule string
		load func(r io.Reader) (int, error)
		text []byte
		want error
		says string
	}{
		{"another name", load(t, snapshot.Config[int, string]{Name: "b"}), text, snapshot.ErrForeign, `its name is "a", not "b"`},
		{"another type of keys", load(t, snapshot.Config[int64, string]{Name: "a"}), text, snapshot.ErrForeign,
			`its keys are "int", not "int64"`},
		{"another type of values", load(t, snapshot.Config[int, user]{Name: "a"}), text, snapshot.ErrForeign,
			`its values are "string", not "github.com/tarncache/tarn/store/snapshot_test.user"`},
		{"another codec", load(t, snapshot.Config[int, string]{Name: "a", Codec: codec.JSON[string]{}}), text, snapshot.ErrForeign,
			"it has another codec, or other layers"},
		{"other layers", load(t, snapshot.Config[int, string]{Name: "a", Layers: []codec.Layer{codec.Compressed(codec.CompressionOptions{})}}), text,
			snapshot.ErrForeign, "it has another codec, or other layers"},
		{"a newer version", load(t, cfg), newer, snapshot.ErrVersion, "written by a newer version: 2, and this one reads 1"},
		{"no version at all", load(t, cfg), older, snapshot.ErrForeign, ""},
		{"no snapshot", load(t, cfg), []byte("PNG something else altogether"), snapshot.ErrForeign, ""},
		{"an empty file", load(t, cfg), nil, snapshot.ErrForeign, ""},
		{"more than a snapshot", load(t, cfg), append(bytes.Clone(text), 0), snapshot.ErrDamaged, "something follows its end"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			n, err := row.load(bytes.NewReader(row.text))
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, row.says)
			require.Zero(t, n)
		})
	}
}

// load returns a function that loads into a new store and counts what that has then.
func load[K comparable, V any](t testing.TB, cfg snapshot.Config[K, V]) func(r io.Reader) (int, error) {
	return func(r io.Reader) (int, error) {
		to := newStore[K, V](t, 1000)
		_, err := snapshot.New(cfg).Load(t.Context(), r, to)
		return len(contents(t, to)), err
	}
}

// TestDamaged changes every byte of a snapshot, and cuts it off everywhere: it is refused, whole.
func TestDamaged(t *testing.T) {
	from := newStore[int, string](t, 100)
	for i := range 20 {
		e := tarn.Entry[string]{Value: fmt.Sprint("value ", i), Expires: from.Clock().Now().Add(time.Hour)}
		require.NoError(t, from.Set(t.Context(), i, e))
	}
	cfg := snapshot.Config[int, string]{Name: "damaged"}
	text := saved(t, cfg, from)
	load := load(t, cfg)
	refused := func(what string, text []byte) {
		n, err := load(bytes.NewReader(text))
		require.Error(t, err, what)
		require.True(t, errors.Is(err, snapshot.ErrDamaged) || errors.Is(err, snapshot.ErrForeign) ||
			errors.Is(err, snapshot.ErrVersion), "%s: %v", what, err)
		require.Zero(t, n, what)
	}
	for i := range text {
		other := bytes.Clone(text)
		other[i] ^= 1 << (i % 8)
		refused(fmt.Sprintf("byte %d of %d is another", i, len(text)), other)
		refused(fmt.Sprintf("cut after %d of %d", i, len(text)), text[:i])
	}
	n, err := load(bytes.NewReader(text))
	require.NoError(t, err)
	require.Equal(t, 20, n)
}

// TestFaults has stores, writers, readers and contexts that fail.
func TestFaults(t *testing.T) {
	away := errors.New("away")
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	from := newStore[int, string](t, 10)
	require.NoError(t, from.Set(t.Context(), 1, tarn.Entry[string]{Value: "v"}))
	f := snapshot.New(snapshot.Config[int, string]{})
	text := saved(t, snapshot.Config[int, string]{}, from)
	for _, row := range []struct {
		rule string
		do   func() error
		want error
	}{
		{"save: the writer fails", func() error { _, err := f.Save(t.Context(), failing{away}, from); return err }, away},
		{"save: the context has ended", func() error { _, err := f.Save(canceled, io.Discard, from); return err }, context.Canceled},
		{"save: a store that names no keys", func() error { _, err := f.Save(t.Context(), io.Discard, plain{from}); return err },
			errors.ErrUnsupported},
		{"load: the reader fails", func() error { _, err := f.Load(t.Context(), failing{away}, from); return err }, away},
		{"load: the context has ended", func() error { _, err := f.Load(canceled, bytes.NewReader(text), from); return err },
			context.Canceled},
		{"load: a store that adds nothing", func() error { _, err := f.Load(t.Context(), bytes.NewReader(text), plain{from}); return err },
			errors.ErrUnsupported},
		{"load: a store that others share", func() error {
			_, err := f.Load(t.Context(), bytes.NewReader(text), farstore.New(newStore[int, string](t, 10)).View())
			return err
		}, errors.ErrUnsupported},
		{"load: one with copies of what others share", func() error {
			both := tiered.New(newStore[int, string](t, 10), farstore.New(newStore[int, string](t, 10)).View())
			defer both.Close()
			_, err := f.Load(t.Context(), bytes.NewReader(text), faulty.New[int, string](both))
			return err
		}, errors.ErrUnsupported},
		{"load: no such file", func() error { _, err := f.LoadFile(t.Context(), "no/such", from); return err }, fs.ErrNotExist},
		{"save: no such folder", func() error { _, err := f.SaveFile(t.Context(), "no/such", from); return err }, fs.ErrNotExist},
		{"load: the store fails", func() error {
			s := faulty.New[int, string](newStore[int, string](t, 10))
			s.Inject(faulty.Fault{Kind: faulty.Fail, Err: away})
			_, err := f.Load(t.Context(), bytes.NewReader(text), s)
			return err
		}, away},
	} {
		t.Run(row.rule, func(t *testing.T) {
			err := row.do()
			require.ErrorIs(t, err, row.want)
			require.ErrorContains(t, err, "snapshot: ")
		})
	}
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (f failing) Read([]byte) (int, error)  { return 0, f.err }

// plain offers nothing but what a Store must.
type plain struct{ tarn.Store[int, string] }

func (plain) As(any) bool { return false }

// TestWhatCannotBeEncoded is left out and counted.
func TestWhatCannotBeEncoded(t *testing.T) {
	from := newStore[string, float64](t, 10)
	require.NoError(t, from.Set(t.Context(), "good", tarn.Entry[float64]{Value: 1}))
	require.NoError(t, from.Set(t.Context(), "bad", tarn.Entry[float64]{Value: math.NaN()}))
	require.NoError(t, from.Set(t.Context(), strings.Repeat("k", 2<<20), tarn.Entry[float64]{Value: 1}))
	var b bytes.Buffer
	res, err := snapshot.New(snapshot.Config[string, float64]{}).Save(t.Context(), &b, from)
	require.NoError(t, err)
	require.Equal(t, snapshot.Result{Entries: 1, Skipped: 2}, res)
	n, err := load(t, snapshot.Config[string, float64]{})(&b)
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// TestReader loads from what cannot be read twice.
func TestReader(t *testing.T) {
	from := newStore[int, string](t, 1000)
	for i := range 1000 {
		require.NoError(t, from.Set(t.Context(), i, tarn.Entry[string]{Value: "v"}))
	}
	text := saved(t, snapshot.Config[int, string]{}, from)
	n, err := load(t, snapshot.Config[int, string]{})(io.MultiReader(bytes.NewReader(text)))
	require.NoError(t, err)
	require.Equal(t, 1000, n)

	_, err = load(t, snapshot.Config[int, string]{})(io.MultiReader(bytes.NewReader(text[:len(text)-1])))
	require.ErrorIs(t, err, snapshot.ErrDamaged)

	pipe, into, err := os.Pipe() // an io.Seeker by its type, and it cannot
	require.NoError(t, err)
	defer pipe.Close()
	go func() {
		_, _ = into.Write(text)
		_ = into.Close()
	}()
	n, err = load(t, snapshot.Config[int, string]{})(pipe)
	require.NoError(t, err)
	require.Equal(t, 1000, n)
}

// TestMemory saves and loads many entries with the memory for a few. What is live is looked at while bytes are written and
// read.
func TestMemory(t *testing.T) {
	const entries, most = 60_000, 2 << 20
	from := newStore[int, string](t, 2*entries)
	for i := range entries {
		e := tarn.Entry[string]{Value: "a value of some thirty bytes..", Tags: tagged(t, fmt.Sprint("tag ", i))}
		require.NoError(t, from.Set(t.Context(), i, e))
	}
	f := snapshot.New(snapshot.Config[int, string]{})
	file, err := os.Create(filepath.Join(t.TempDir(), "snapshot"))
	require.NoError(t, err)
	defer file.Close()

	saves := newLive(file)
	_, err = f.Save(t.Context(), saves, from)
	require.NoError(t, err)
	require.Less(t, saves.peak(t), uint64(most))

	_, err = file.Seek(0, io.SeekStart)
	require.NoError(t, err)
	to := newStore[int, string](t, 1000) // what it keeps is not the snapshot's
	loads := newLive(file)
	res, err := f.Load(t.Context(), loads, to)
	require.NoError(t, err)
	require.Equal(t, entries, res.Entries+res.Skipped)
	require.Less(t, loads.peak(t), uint64(most))
	runtime.KeepAlive(from)
}

// live looks, now and then when bytes pass, how much more memory is in use than when it was made.
type live struct {
	*os.File
	before, most uint64
	calls        int
}

func newLive(file *os.File) *live {
	l := &live{File: file}
	l.before = l.now()
	return l
}

func (l *live) now() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func (l *live) look() {
	if l.calls++; l.calls%8 == 0 {
		l.most = max(l.most, l.now())
	}
}

func (l *live) Write(b []byte) (int, error) { l.look(); return l.File.Write(b) }
func (l *live) Read(b []byte) (int, error)  { l.look(); return l.File.Read(b) }

// peak returns the most.
func (l *live) peak(t *testing.T) uint64 {
	require.Greater(t, l.calls, 40, "it is not written and read bit by bit")
	return max(l.most, l.before) - l.before
}

func TestNewPanics(t *testing.T) {
	require.PanicsWithValue(t, "snapshot: Config.ParseKey is nil, and keys cannot be told by their bytes without it", func() {
		snapshot.New(snapshot.Config[float64, int]{AppendKey: func(dst []byte, _ float64) ([]byte, error) { return dst, nil }})
	})
	require.Panics(t, func() { snapshot.New(snapshot.Config[struct{ a int }, int]{}) })
	require.Panics(t, func() { snapshot.New(snapshot.Config[int, int]{MaxValue: -1}) })
}

func FuzzLoad(f *testing.F) {
	from := newStore[int, string](f, 10)
	for i := range 3 {
		if err := from.Set(context.Background(), i, tarn.Entry[string]{Value: fmt.Sprint(i), Negative: i == 2}); err != nil {
			f.Fatal(err)
		}
	}
	var b bytes.Buffer
	format := snapshot.New(snapshot.Config[int, string]{})
	if _, err := format.Save(context.Background(), &b, from); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:20])
	f.Fuzz(func(t *testing.T, text []byte) {
		to := memory.New(memory.Options[int, string]{MaxEntries: 100})
		defer to.Close()
		if _, err := format.Load(t.Context(), bytes.NewReader(text), to); err == nil {
			return
		}
		if n := len(contents(t, to)); n > 0 {
			t.Fatalf("refused, but %d entries were loaded", n)
		}
	})
}

// FuzzEntries has snapshots that are whole and undamaged, of entries that may be none: those that load can be saved again,
// and are the same then.
func FuzzEntries(f *testing.F) {
	cfg := snapshot.Config[int, string]{Name: "fuzz"}
	from := newStore[int, string](f, 10)
	for i, e := range []tarn.Entry[string]{
		{Value: "v", Tags: tagged(f, "t", "u")}, {Negative: true, Expires: 1 << 60}, {Value: "w", Rescued: true, Fresh: 1 << 60},
	} {
		if err := from.Set(context.Background(), i, e); err != nil {
			f.Fatal(err)
		}
	}
	empty := saved(f, cfg, newStore[int, string](f, 10))
	f.Add(blockOf(saved(f, cfg, from), len(empty)), uint8(3))
	f.Add([]byte{0}, uint8(1))
	f.Fuzz(func(t *testing.T, block []byte, entries uint8) {
		if len(block) == 0 || entries > 127 {
			return
		}
		text := frame(empty, block, int(entries))
		to := newStore[int, string](t, 1000)
		format := snapshot.New(cfg)
		if _, err := format.Load(t.Context(), bytes.NewReader(text), to); err != nil {
			require.ErrorIs(t, err, snapshot.ErrDamaged)
			require.Empty(t, contents(t, to))
			return
		}
		again := newStore[int, string](t, 1000)
		_, err := format.Load(t.Context(), bytes.NewReader(saved(t, cfg, to)), again)
		require.NoError(t, err)
		want, got := contents(t, to), contents(t, again)
		require.Len(t, got, len(want))
		for key, e := range want {
			require.Equal(t, []any{e.Value, e.Negative, e.Rescued, e.Tags.Names()},
				[]any{got[key].Value, got[key].Negative, got[key].Rescued, got[key].Tags.Names()})
		}
	})
}

// endSize is how long the end of a snapshot is that has fewer than 128 entries.
const endSize = 1 + 1 + 8

// frame returns a snapshot with one block, as if entries were in it. empty is a snapshot of nothing.
func frame(empty, block []byte, entries int) []byte {
	text := bytes.Clone(empty[:len(empty)-endSize])
	text = append(binary.AppendUvarint(text, uint64(len(block))), block...)
	text = binary.BigEndian.AppendUint64(text, xxhash.Sum64(text))
	text = append(text, 0, byte(entries))
	return binary.BigEndian.AppendUint64(text, xxhash.Sum64(text))
}

// blockOf returns the block of a snapshot that has one. empty is how long a snapshot of nothing is.
func blockOf(text []byte, empty int) []byte {
	text = text[empty-endSize:]
	n, size := binary.Uvarint(text)
	return bytes.Clone(text[size : size+int(n)])
}

// TestMain is also a program that saves the same file over and over.
func TestMain(m *testing.M) {
	saves := os.Getenv("SNAPSHOT_PATH")
	if saves == "" {
		code := m.Run()
		_ = os.Remove(path)
		os.Exit(code)
	}
	s := memory.New(memory.Options[int, string]{MaxEntries: 10_000})
	f := snapshot.New(snapshot.Config[int, string]{})
	for generation := 0; ; generation++ {
		for i := range 3000 {
			if err := s.Set(ctx, i, tarn.Entry[string]{Value: fmt.Sprint(generation)}); err != nil {
				panic(err)
			}
		}
		if _, err := f.SaveFile(ctx, saves, s); err != nil {
			panic(err)
		}
		fmt.Println("saved", generation)
	}
}
