package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// byValue tags values by their tens.
func byValue(_ string, v int) []string { return []string{fmt.Sprint("tens:", v/10)} }

// byLoader makes a loader that gives each value, and each absence, the tag of its key.
func byLoader(src *source) tarn.Loader[string, int] {
	return tarn.LoadEntryFunc(func(ctx context.Context, key string) (tarn.Loaded[int], error) {
		v, err := src.Load(ctx, key)
		return tarn.Loaded[int]{Value: v, Tags: []string{"key:" + key}}, err
	})
}

// taggedBatch is a BatchLoader that gives each value, and each absence, the tag of its key.
type taggedBatch struct{ *source }

func (l taggedBatch) LoadMany(ctx context.Context, keys []string, into []tarn.Loaded[int]) error {
	for i, key := range keys {
		v, err := l.Load(ctx, key)
		into[i] = tarn.Loaded[int]{Value: v, Err: err, Tags: []string{"key:" + key}}
	}
	return nil
}

// onTagStores runs f in a bubble for each kind of store that keeps tags, with one store for each of n processes. One
// whose leases a stand-in makes has one process.
func onTagStores(t *testing.T, n int, f func(t *testing.T, stores []tarn.Store[string, int])) {
	for _, kind := range []struct {
		name string
		make func(t *testing.T) func() tarn.Store[string, int]
	}{
		{"memory", func(t *testing.T) func() tarn.Store[string, int] {
			s := newMemory[string, int](t)
			return func() tarn.Store[string, int] { return s }
		}},
		{"without leases", func(t *testing.T) func() tarn.Store[string, int] {
			s := &tamper[string, int]{inner: newMemory[string, int](t), leaseless: true}
			return func() tarn.Store[string, int] { return s }
		}},
		{"tiers", func(t *testing.T) func() tarn.Store[string, int] {
			far := farstore.New(newMemory[string, int](t))
			return func() tarn.Store[string, int] {
				both := tiered.New(newMemory[string, int](t), far.View())
				t.Cleanup(func() { require.NoError(t, both.Close()) })
				synctest.Wait() // copies are trusted
				return both
			}
		}},
	} {
		if kind.name == "without leases" && n > 1 {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				next := kind.make(t)
				var stores []tarn.Store[string, int]
				for range n {
					stores = append(stores, next())
				}
				f(t, stores)
			})
		})
	}
}

func requireTags(t *testing.T, store tarn.Store[string, int], key string, want ...string) {
	t.Helper()
	e, found, err := store.Get(t.Context(), key)
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, want, e.Tags.Names())
}

func requireNothing(t *testing.T, store tarn.Store[string, int], key string) {
	t.Helper()
	_, found, err := store.Get(t.Context(), key)
	require.NoError(t, err)
	require.False(t, found)
}

// Whatever has one of the tags is forgotten, and nothing else.
func TestWhatIsLoadedHasTags(t *testing.T) {
	life := policy(ttl.Policy{Negative: time.Hour})
	for _, tt := range []struct {
		rule   string
		loader func(*source) tarn.Loader[string, int]
		opts   []strategies.ReadOption
		tags   []string // of the value 1 of key a
		absent []string // of key none
	}{
		{"of WithTags", func(s *source) tarn.Loader[string, int] { return s },
			[]strategies.ReadOption{strategies.WithTags(byValue)}, []string{"tens:0"}, nil},
		{"of the loader of one key", byLoader, nil, []string{"key:a"}, []string{"key:none"}},
		{"of the loader of many", func(s *source) tarn.Loader[string, int] { return taggedBatch{s} }, nil,
			[]string{"key:a"}, []string{"key:none"}},
		{"of both", byLoader, []strategies.ReadOption{strategies.WithTags(byValue)}, []string{"key:a", "tens:0"},
			[]string{"key:none"}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1, "b": 20})
				c := strategies.ReadThrough(stores[0], tt.loader(src), append(tt.opts, life)...)
				_, one := tt.loader(src).(taggedBatch)
				keys := []string{"a", "b", "none"}
				for range 2 {
					if one { // one by one it gives none
						_, err := tarn.GetMany(t.Context(), c, keys)
						require.NoError(t, err)
						continue
					}
					for _, key := range keys {
						_, _ = c.Get(t.Context(), key)
					}
				}
				require.Equal(t, 3, src.loaded())
				requireTags(t, stores[0], "a", tt.tags...)
				requireTags(t, stores[0], "none", tt.absent...)
				for _, tag := range tt.tags {
					before := src.loaded()
					require.NoError(t, c.InvalidateTags(t.Context(), "another", tag))
					for range 2 {
						_, err := tarn.GetMany(t.Context(), c, keys)
						require.NoError(t, err)
					}
					require.Equal(t, 1, src.loaded()-before, "the one that has it, and that only")
				}
				if tt.absent != nil {
					before := src.loaded()
					require.NoError(t, c.InvalidateTags(t.Context(), tt.absent...))
					_, err := tarn.GetMany(t.Context(), c, keys)
					require.NoError(t, err)
					require.Equal(t, 1, src.loaded()-before)
				}
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

func TestTagsOfAFleet(t *testing.T) {
	onTagStores(t, 3, func(t *testing.T, stores []tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		var caches []*strategies.ReadThroughCache[string, int]
		for _, s := range stores {
			caches = append(caches, strategies.ReadThrough(s, byLoader(src), strategies.WithTags(byValue)))
		}
		for i, tag := range []string{"key:a", "tens:0", "key:a"} {
			for range 2 {
				for _, c := range caches {
					hasValue(t, i+1, <-asked(t.Context(), c, "a"))
				}
			}
			require.Equal(t, i+1, src.loaded())
			require.NoError(t, src.Save(t.Context(), "a", i+2))
			require.NoError(t, caches[i].InvalidateTags(t.Context(), tag))
			hasValue(t, i+2, <-asked(t.Context(), caches[i], "a"))
			time.Sleep(farstore.Bound)
		}
		for _, c := range caches {
			require.NoError(t, c.Close(t.Context()))
		}
	})
}

// What was read before a tag was invalidated is not stored after it, and nobody who came after is given it.
func TestTagIsInvalidatedDuringALoad(t *testing.T) {
	for _, tt := range []struct {
		rule string
		p    ttl.Policy
		warm bool // there is a value, which is stale
		fail bool // the load fails, so that the old value would be stored again
	}{
		{rule: "a load"},
		{rule: "a reload in the background", p: ttl.Policy{Fresh: time.Second, StaleWhileRevalidate: time.Hour}, warm: true},
		{rule: "a load that fails", p: ttl.Policy{Fresh: time.Second, StaleIfError: time.Hour}, warm: true, fail: true},
		{rule: "a reload that fails", p: ttl.Policy{Fresh: time.Second, StaleWhileRevalidate: time.Hour, StaleIfError: time.Hour},
			warm: true, fail: true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
				src := newSource(map[string]int{"a": 1})
				c := strategies.ReadThrough(stores[0], byLoader(src), policy(tt.p))
				if tt.warm {
					hasValue(t, 1, <-asked(t.Context(), c, "a"))
					time.Sleep(2 * time.Second)
				}
				slow := takes(time.Second)
				src.set(nil, func(ctx context.Context, key string) error {
					if err := slow(ctx, key); err != nil || !tt.fail {
						return err
					}
					return errBroken
				})
				first := asked(t.Context(), c, "a")
				synctest.Wait()
				require.NoError(t, src.Save(t.Context(), "a", 2))
				require.NoError(t, c.InvalidateTags(t.Context(), "key:a"))
				src.set(nil, nil)
				for range 3 {
					hasValue(t, 2, <-asked(t.Context(), c, "a"), "came afterwards")
				}
				hasValue(t, 1, <-first, "came before")
				time.Sleep(2 * time.Second)
				hasValue(t, 2, <-asked(t.Context(), c, "a"))
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// A load whose value may have tags is shared as any other while no tag is invalidated. Where one is, whoever came after it
// waits until the load has ended, and then finds what it has stored, or shares the next one.
func TestTaggedLoadsAreShared(t *testing.T) {
	for _, way := range ways[:2] {
		for tag, want := range map[string]struct{ value, loads int }{"another": {1, 1}, "key:a": {2, 2}} {
			t.Run(way.name+"/"+tag, func(t *testing.T) {
				onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
					src := newSource(map[string]int{"a": 1})
					src.set(nil, takes(time.Second))
					c := strategies.ReadThrough(stores[0], byLoader(src))
					ask := func(n int) (all []<-chan reply) {
						for range n {
							all = append(all, calls(func() (int, error) { return way.get(t.Context(), c, "a") }))
							synctest.Wait()
						}
						return all
					}
					before := ask(10)
					require.Equal(t, 1, src.loaded())
					require.NoError(t, src.Save(t.Context(), "a", 2))
					require.NoError(t, c.InvalidateTags(t.Context(), tag))
					after := ask(10)
					for _, r := range before {
						hasValue(t, 1, <-r)
					}
					for _, r := range after {
						hasValue(t, want.value, <-r)
					}
					require.Equal(t, want.loads, src.loaded())
					require.NoError(t, c.Close(t.Context()))
				})
			})
		}
	}
}

// What was written has the tags of WithTags, and is as old as its write: a tag that is invalidated meanwhile takes it.
func TestWhatIsWrittenHasTags(t *testing.T) {
	for _, holds := range []strategies.ReadOption{nil, strategies.WithoutHolds()} {
		t.Run(fmt.Sprintf("without holds: %v", holds != nil), func(t *testing.T) {
			onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
				src := newTable(map[string]int{})
				opts := []strategies.ReadOption{strategies.WithTags(byValue), policy(ttl.Policy{Negative: time.Hour})}
				if holds != nil {
					opts = append(opts, holds)
				}
				c := strategies.WriteThrough(strategies.ReadThrough(stores[0], src.source, opts...), src)
				require.NoError(t, c.Set(t.Context(), "a", 10))
				requireTags(t, stores[0], "a", "tens:1")
				hasValue(t, 10, <-asked(t.Context(), c, "a"))
				require.Zero(t, src.loaded())
				require.NoError(t, c.InvalidateTags(t.Context(), "tens:1"))
				requireNothing(t, stores[0], "a")

				require.NoError(t, c.Delete(t.Context(), "a"))
				requireTags(t, stores[0], "a")

				src.on(nil, stall(time.Second))
				done := calls(func() (int, error) { return 0, c.Set(t.Context(), "b", 20) })
				synctest.Wait()
				require.NoError(t, src.source.Save(t.Context(), "b", 21)) // somebody else, who then says so
				require.NoError(t, c.InvalidateTags(t.Context(), "tens:2"))
				require.NoError(t, (<-done).err)
				requireNothing(t, stores[0], "b")
				hasValue(t, 21, <-asked(t.Context(), c, "b"))
				require.NoError(t, c.Close(t.Context()))
			})
		})
	}
}

// Where nobody knows the tags of what was written, the key is forgotten.
func TestWhatIsWrittenOverATaggingLoader(t *testing.T) {
	one := func(context.Context, string) (int, error) { return 1, nil }
	many := func(context.Context, []string) (map[string]int, error) { return nil, nil }
	life := policy(ttl.Policy{Negative: time.Hour})
	for _, tt := range []struct {
		rule            string
		loader          tarn.Loader[string, int]
		opts            []strategies.ReadOption
		plain           bool
		stores, deletes bool // whether what was written is stored, and what was deleted
	}{
		{rule: "a loader of one key gives none", loader: tarn.LoadFunc(one), stores: true, deletes: true},
		{rule: "nor does LoadManyFunc", loader: tarn.LoadManyFunc(one, many), stores: true, deletes: true},
		{rule: "an EntryLoader may", loader: byLoader(newSource(map[string]int{}))},
		{rule: "a BatchLoader may", loader: taggedBatch{newSource(map[string]int{})}},
		{rule: "WithTags knows those of a value", loader: tarn.LoadFunc(one),
			opts: []strategies.ReadOption{strategies.WithTags(byValue)}, stores: true, deletes: true},
		{rule: "but not those that a loader would add", loader: byLoader(newSource(map[string]int{})),
			opts: []strategies.ReadOption{strategies.WithTags(byValue)}},
		{rule: "on a store that keeps none it does not matter", loader: byLoader(newSource(map[string]int{})), plain: true, stores: true,
			deletes: true},
	} {
		for _, aside := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/aside: %v", tt.rule, aside), func(t *testing.T) {
				mem := newMemory[string, int](t)
				store := tarn.Store[string, int](mem)
				if tt.plain {
					store = plain[string, int]{mem}
				}
				var c tarn.Cache[string, int]
				if aside {
					in := strategies.LookAside(store, append(tt.opts, life)...)
					_, _ = in.Fetch(t.Context(), "another", tt.loader)
					c = strategies.WriteThrough(in, newTable(map[string]int{}))
				} else {
					c = strategies.WriteThrough(strategies.ReadThrough(store, tt.loader, append(tt.opts, life)...), newTable(map[string]int{}))
				}
				require.NoError(t, c.Set(t.Context(), "a", 10))
				_, found, _ := mem.Get(t.Context(), "a")
				require.Equal(t, tt.stores, found)
				require.NoError(t, c.Delete(t.Context(), "a"))
				_, found, _ = mem.Get(t.Context(), "a")
				require.Equal(t, tt.deletes, found)
			})
		}
	}
}

func TestWhatIsSetHasTags(t *testing.T) {
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		c := strategies.LookAside(stores[0], strategies.WithTags(byValue), policy(ttl.Policy{Fresh: time.Hour}))
		ctx := t.Context()
		for _, tt := range []struct {
			rule string
			set  func(key string) error
			tags []string
		}{
			{"Set", func(key string) error { return c.Set(ctx, key, 10) }, []string{"tens:1"}},
			{"SetFor", func(key string) error { return c.SetFor(ctx, key, 10, ttl.Policy{}, "x", "y") }, []string{"tens:1", "x", "y"}},
			{"SetFor without", func(key string) error { return c.SetFor(ctx, key, 10, ttl.Policy{}) }, []string{"tens:1"}},
			{"SetMany", func(key string) error { return c.SetMany(ctx, []string{key, "z"}, []int{10, 10}) }, []string{"tens:1"}},
			{"Add", func(key string) error { _, err := c.Add(ctx, key, 10); return err }, []string{"tens:1"}},
			{"Touch keeps them", func(key string) error {
				if err := c.SetFor(ctx, key, 10, ttl.Policy{Fresh: time.Minute}, "x"); err != nil {
					return err
				}
				_, err := c.Touch(ctx, key)
				return err
			}, []string{"tens:1", "x"}},
		} {
			require.NoError(t, tt.set(tt.rule), tt.rule)
			requireTags(t, stores[0], tt.rule, tt.tags...)
			require.NoError(t, c.InvalidateTags(ctx, tt.tags[len(tt.tags)-1]))
			requireNothing(t, stores[0], tt.rule)
			require.NoError(t, tt.set(tt.rule), "it is there no more, so it can be added")
			requireTags(t, stores[0], tt.rule, tt.tags...)
			require.NoError(t, c.Delete(ctx, tt.rule))
		}
		require.NoError(t, c.SetFor(ctx, "a", 10, ttl.Policy{}, "x"))
		e, _, err := stores[0].Get(ctx, "a")
		require.NoError(t, err)
		require.NoError(t, c.InvalidateTags(ctx, "another"))
		_, err = c.Touch(ctx, "a")
		require.NoError(t, err)
		touched, _, err := stores[0].Get(ctx, "a")
		require.NoError(t, err)
		require.Equal(t, e.Tags.Stamp(), touched.Tags.Stamp(), "a touch does not make the value newer")
		require.NoError(t, c.Close(ctx))
	})
}

// Bad tags are no reason to keep a value from its callers, but it is not stored.
func TestBadTags(t *testing.T) {
	many := make([]string, 10_000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	for _, tt := range []struct {
		rule  string
		tags  []string
		plain bool // the store keeps no tags
		says  string
	}{
		{rule: "an empty one", tags: []string{"a", ""}, says: "number 2 is empty"},
		{rule: "ten thousand", tags: many, says: "10000 on one entry, which may have 128"},
		{rule: "too long a one", tags: []string{strings.Repeat("x", 1025)}, says: "more than 1024"},
		{rule: "a store that keeps none", tags: []string{"a"}, plain: true, says: "the store keeps none"},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			mem := newMemory[string, int](t)
			store := tarn.Store[string, int](mem)
			if tt.plain {
				store = plain[string, int]{mem}
			}
			ctx, seen := t.Context(), new(events)
			load := tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[int], error) {
				return tarn.Loaded[int]{Value: 1, Tags: tt.tags}, nil
			})
			c := strategies.LookAside(store, strategies.WithObserver(seen), strategies.WithEventKeys())
			v, err := c.Fetch(ctx, "a", load)
			require.NoError(t, err)
			require.Equal(t, 1, v)
			require.Zero(t, mem.Len())
			require.Equal(t, 1, seen.count(tarn.EventFillDropped))
			e := seen.all[len(seen.all)-1]
			require.ErrorIs(t, e.Err, tarn.ErrTags)
			require.ErrorContains(t, e.Err, tt.says)
			require.Equal(t, "a", e.Key)

			require.NoError(t, c.SetFor(ctx, "b", 1, ttl.Policy{}))
			err = c.SetFor(ctx, "b", 2, ttl.Policy{}, tt.tags...)
			require.ErrorIs(t, err, tarn.ErrTags)
			require.ErrorContains(t, err, tt.says)
			v, err = c.Get(ctx, "b")
			require.NoError(t, err)
			require.Equal(t, 1, v, "nothing was changed")
			if tt.plain {
				require.ErrorIs(t, c.InvalidateTags(ctx, "a"), errors.ErrUnsupported)
				return
			}

			bad := strategies.WithTags(func(_ string, v int) []string {
				if v == 1 {
					return tt.tags
				}
				return nil
			})
			src := newTable(map[string]int{})
			in := strategies.LookAside(store, bad, strategies.WithObserver(seen))
			require.ErrorIs(t, in.Set(ctx, "c", 1), tarn.ErrTags)
			_, err = in.Add(ctx, "c", 1)
			require.ErrorIs(t, err, tarn.ErrTags)
			err = tarn.SetMany(ctx, in, map[string]int{"c": 1, "d": 2})
			require.ErrorIs(t, err, tarn.ErrTags)
			var batch *tarn.BatchError[string]
			require.ErrorAs(t, err, &batch)
			require.Equal(t, "c", batch.Failed[0].Key)
			requireTags(t, store, "d")
			requireNothing(t, store, "c")
			dropped := seen.count(tarn.EventFillDropped)
			through := strategies.WriteThrough(in, src)
			require.NoError(t, through.Set(ctx, "d", 1), "the source has it")
			require.Equal(t, 1, src.row("d"))
			requireNothing(t, store, "d")
			require.Equal(t, dropped+1, seen.count(tarn.EventFillDropped))

			before, err := mem.Stamp(ctx)
			require.NoError(t, err)
			if len(tt.tags) < 10 {
				require.ErrorIs(t, c.InvalidateTags(ctx, tt.tags...), tarn.ErrTags)
			}
			require.ErrorIs(t, c.InvalidateTags(ctx), tarn.ErrTags)
			after, err := mem.Stamp(ctx)
			require.NoError(t, err)
			require.Equal(t, before, after)
		})
	}
}

// A value with bad tags that should take the place of an old one ends that.
func TestBadTagsEndAnOldValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tag := "good"
		load := tarn.LoadEntryFunc(func(context.Context, string) (tarn.Loaded[int], error) {
			return tarn.Loaded[int]{Value: len(tag), Tags: []string{tag}}, nil
		})
		mem := newMemory[string, int](t)
		c := strategies.ReadThrough(mem, load, policy(ttl.Policy{Fresh: time.Second, StaleWhileRevalidate: time.Hour}))
		hasValue(t, 4, <-asked(t.Context(), c, "a"))
		time.Sleep(time.Minute)
		tag = ""
		hasValue(t, 4, <-asked(t.Context(), c, "a"), "served while it is reloaded")
		synctest.Wait()
		requireNothing(t, mem, "a")
		require.NoError(t, c.Close(t.Context()))
	})
}

func TestWithTagsPanics(t *testing.T) {
	mem := newMemory[string, int](t)
	tags := strategies.WithTags(byValue)
	require.PanicsWithValue(t, "strategies: WithTags: f is nil", func() { strategies.WithTags[string, int](nil) })
	require.PanicsWithValue(t, "strategies: LookAside: WithTags needs a store that implements tarn.Tagger", func() {
		strategies.LookAside[string, int](plain[string, int]{mem}, tags)
	})
	require.PanicsWithValue(t, "strategies: ReadThrough: WithTags is given a func(string, int) []string, and the cache needs a "+
		"func(int, int) []string", func() {
		strategies.ReadThrough(memory.New(memory.Options[int, int]{MaxEntries: 1}),
			tarn.LoadFunc(func(context.Context, int) (int, error) { return 0, nil }), tags)
	})
}

// A function of the application that panics harms its caller, and leaves nothing old behind.
func TestTagsPanic(t *testing.T) {
	mem := newMemory[string, int](t)
	src := newTable(map[string]int{"a": 13})
	in := strategies.ReadThrough(mem, src.source, strategies.WithTags(func(_ string, v int) []string {
		if v == 13 {
			panic("thirteen")
		}
		return nil
	}))
	var p *tarn.PanicError
	_, err := in.Get(t.Context(), "a")
	require.ErrorAs(t, err, &p)
	require.Equal(t, "thirteen", p.Value)
	require.PanicsWithValue(t, "thirteen", func() { _ = in.Set(t.Context(), "a", 13) })
	require.Zero(t, mem.Len())

	for _, o := range []strategies.ReadOption{strategies.WithHoldLife(time.Hour), strategies.WithoutHolds()} {
		in := strategies.ReadThrough(mem, src.source, o, strategies.WithTags(func(_ string, v int) []string {
			if v == 13 {
				panic("thirteen")
			}
			return nil
		}))
		c := strategies.WriteThrough(in, src)
		require.NoError(t, c.Set(t.Context(), "b", 1))
		require.PanicsWithValue(t, "thirteen", func() { _ = c.Set(t.Context(), "b", 13) })
		require.Equal(t, 13, src.row("b"))
		require.Zero(t, mem.Len())
		require.NoError(t, c.Set(t.Context(), "b", 2), "and nothing holds it")
		requireTags(t, mem, "b")
	}
}

// A moment that the store cannot tell is no moment: what has tags is not stored then, and what has none is.
func TestStampFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		store.failing("stamp")
		seen := new(events)
		tags := strategies.WithTags(func(key string, v int) []string {
			if key == "none" {
				return nil
			}
			return byValue(key, v)
		})
		src := newTable(map[string]int{"a": 1, "none": 1})
		for i, o := range []strategies.ReadOption{strategies.WithHoldLife(time.Hour), strategies.WithoutHolds()} {
			in := strategies.ReadThrough(store, src.source, tags, strategies.WithObserver(seen), o)
			through := strategies.WriteThrough(in, src)
			require.NoError(t, through.Set(t.Context(), "a", 2))
			require.Equal(t, 2*i+1, seen.count(tarn.EventStoreFailed))
			requireNothing(t, store, "a")
			require.NoError(t, through.Set(t.Context(), "none", 2))
			requireTags(t, store, "none")
			require.NoError(t, store.Delete(t.Context(), "none"))
		}

		blind := strategies.ReadThrough(store, src.source, tags, strategies.WithBlindFills())
		hasValue(t, 2, <-asked(t.Context(), blind, "a"))
		requireNothing(t, store, "a")
		store.on(nil)
		hasValue(t, 2, <-asked(t.Context(), blind, "a"))
		requireTags(t, store, "a", "tens:0")
		require.NoError(t, blind.Close(t.Context()))
	})
}

// A write whose context ends while the store is asked for the moment is not begun.
func TestContextEndsBeforeAWriteIsStamped(t *testing.T) {
	store := newTamper(t)
	src := newTable(map[string]int{})
	in := strategies.ReadThrough(store, src.source, strategies.WithTags(byValue), strategies.WithoutHolds())
	c := strategies.WriteThrough(in, src)
	ctx, cancel := context.WithCancel(t.Context())
	store.on(func(ctx context.Context, op string) error {
		if op == "stamp" {
			cancel()
		}
		return ctx.Err()
	})
	require.ErrorIs(t, c.Set(ctx, "a", 1), context.Canceled)
	require.Empty(t, src.written())
}

// liar gives tags, and says that it gives none.
type liar struct{ tarn.Loader[string, int] }

func (liar) Untagged() bool { return true }

func (l liar) LoadEntry(ctx context.Context, key string) (tarn.Loaded[int], error) {
	v, err := l.Load(ctx, key)
	return tarn.Loaded[int]{Value: v, Tags: []string{"key:" + key}}, err
}

// What has tags that nobody expected was not stamped before it was loaded, and is not stored.
func TestUnexpectedTags(t *testing.T) {
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		for _, o := range []strategies.ReadOption{strategies.WithLeaseWait(0), strategies.WithBlindFills()} {
			c := strategies.ReadThrough(stores[0], liar{newSource(map[string]int{"a": 1})}, o)
			hasValue(t, 1, <-asked(t.Context(), c, "a"))
			requireNothing(t, stores[0], "a")
			require.NoError(t, c.Close(t.Context()))
		}
	})
}

// A blind fill is stamped with a moment before its load.
func TestTagIsInvalidatedDuringABlindLoad(t *testing.T) {
	onTagStores(t, 1, func(t *testing.T, stores []tarn.Store[string, int]) {
		src := newSource(map[string]int{"a": 1})
		src.set(nil, takes(time.Second))
		c := strategies.ReadThrough(stores[0], src, strategies.WithTags(byValue), strategies.WithBlindFills())
		first := asked(t.Context(), c, "a")
		synctest.Wait()
		require.NoError(t, src.Save(t.Context(), "a", 2))
		require.NoError(t, c.InvalidateTags(t.Context(), "tens:0"))
		hasValue(t, 1, <-first)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
		require.NoError(t, c.Close(t.Context()))
	})
}

// Whoever needs no tags asks the store for no moment.
func TestStampsAreAskedForWhereTagsMayCome(t *testing.T) {
	one := func(context.Context, string) (int, error) { return 1, nil }
	many := func(_ context.Context, keys []string) (map[string]int, error) { return map[string]int{}, nil }
	for _, tt := range []struct {
		rule   string
		loader tarn.Loader[string, int]
		opts   []strategies.ReadOption
		want   bool
	}{
		{"not for a loader of values", tarn.LoadFunc(one), nil, false},
		{"nor for one of many", tarn.LoadManyFunc(one, many), nil, false},
		{"for an EntryLoader", byLoader(newSource(map[string]int{})), nil, true},
		{"for a BatchLoader", taggedBatch{newSource(map[string]int{})}, nil, true},
		{"with WithTags", tarn.LoadFunc(one), []strategies.ReadOption{strategies.WithTags(byValue)}, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			store := &stampWatch{tamper: newTamper(t)}
			c := strategies.ReadThrough(store, tt.loader, tt.opts...)
			_, _ = c.Get(t.Context(), "a")
			_, _ = tarn.GetMany(t.Context(), c, []string{"b", "c"})
			require.Equal(t, 2, store.leases)
			if tt.want {
				require.Equal(t, 2, store.stamped)
			} else {
				require.Zero(t, store.stamped)
			}
			require.Zero(t, store.called("stamp"))
			require.NoError(t, c.Close(t.Context()))
		})
	}
}

// stampWatch counts the leases that are asked for, and those with a stamp.
type stampWatch struct {
	*tamper[string, int]
	leases, stamped int
}

func (s *stampWatch) As(target any) bool {
	if t, ok := target.(*tarn.Leaser[string, int]); ok {
		*t = s
		return true
	}
	return s.tamper.As(target)
}

func (s *stampWatch) Lease(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []tarn.Lease[int]) error {
	s.leases++
	if terms.Stamp {
		s.stamped++
	}
	return s.tamper.Lease(ctx, keys, terms, into)
}
