package memory

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

func mustTags(stamp tarn.Stamp, names ...string) *tarn.Tags {
	tags, err := tarn.NewTags(stamp, names...)
	if err != nil {
		panic(err)
	}
	return tags
}

// records returns how many nodes point to each record, as the records say.
func (t *tags) records() (nodes, live map[string]int) {
	nodes, live = make(map[string]int), make(map[string]int)
	if parts := t.parts.Load(); parts != nil {
		for i := range parts {
			for name, r := range parts[i].byName {
				if r.kept && r.nodes == 0 {
					continue
				}
				nodes[name], live[name] = r.nodes, r.live
			}
		}
	}
	return nodes, live
}

// checkKept reports an error if what a part keeps is more than it may be, or not in its table.
func (t *tags) checkKept() (kept int, err error) {
	parts := t.parts.Load()
	if parts == nil {
		return 0, nil
	}
	for i := range parts {
		p := &parts[i]
		if len(p.kept) > mostKept {
			return 0, fmt.Errorf("a part keeps %d records", len(p.kept))
		}
		for _, r := range p.kept {
			if p.byName[r.name] != r || !r.kept {
				return 0, fmt.Errorf("the record of %s is kept, but not in the table", r.name)
			}
		}
		marked := 0
		for _, r := range p.byName {
			if r.kept {
				marked++
			}
		}
		if marked != len(p.kept) {
			return 0, fmt.Errorf("%d records say that they are kept, but %d are", marked, len(p.kept))
		}
		kept += len(p.kept)
	}
	return kept, nil
}

// TestRefusedTagsAreKeptWithinBounds: however much is refused, few records are kept, and what is loaded again is stored
// whatever else is invalidated meanwhile.
func TestRefusedTagsAreKeptWithinBounds(t *testing.T) {
	s := New(Options[int, int]{MaxEntries: 1000})
	defer s.Close()
	ctx := context.Background()
	unused := 0
	load := func(key int) (stored bool) {
		leases := make([]tarn.Lease[int], 1)
		require.NoError(t, s.Lease(ctx, []int{key}, tarn.LeaseTerms{Life: time.Hour, Stamp: true}, leases))
		others := make([]string, 10*tagParts) // so that every part has some
		for i := range others {
			unused++
			others[i] = fmt.Sprint("unused ", unused)
		}
		require.NoError(t, s.InvalidateTags(ctx, others...))
		e := tarn.Entry[int]{Tags: mustTags(leases[0].Stamp, fmt.Sprint("a", key), fmt.Sprint("b", key), fmt.Sprint("c", key))}
		fills := []tarn.Fill[int, int]{{Key: key, Token: leases[0].Token, Store: true, Entry: e}}
		require.NoError(t, s.Fill(ctx, fills))
		return fills[0].Stored
	}
	for key := range 20 {
		require.False(t, load(key), "nobody knows of its tags")
		require.True(t, load(key), "the second time")
		require.NoError(t, s.InvalidateTags(ctx, fmt.Sprint("b", key)))
		_, found, err := s.Get(ctx, key)
		require.NoError(t, err)
		require.False(t, found)
	}
	stamp := s.tags.stamp()
	require.NoError(t, s.InvalidateTags(ctx, "x"))
	for i := range 4 * mostKept * tagParts {
		require.NoError(t, s.Set(ctx, 1, tarn.Entry[int]{Tags: mustTags(stamp, "x", fmt.Sprint(i))}))
	}
	kept, err := s.tags.checkKept()
	require.NoError(t, err)
	require.Greater(t, kept, mostKept*tagParts/2)
	require.NoError(t, s.Clear(ctx))
	require.NoError(t, checkRecords(s))
}

// checkRecords compares the records with the nodes that are in the store.
func checkRecords[K comparable, V any](s *Store[K, V]) error {
	s.lockAll() // against the sweeper
	defer func() {
		for i := range s.segments {
			s.segments[i].mu.Unlock()
		}
	}()
	want, wantLive, gone := make(map[string]int), make(map[string]int), 0
	for i := range s.segments {
		contents[K, V](*s.segments[i].table.chunks.Load()).each(func(n *node[K, V]) {
			if n.version.Load()&isTagged == 0 {
				return
			}
			for _, r := range n.tagged().records {
				want[r.name]++
				if r.invalidated.Load() > uint64(n.tagged().tags.Stamp()) {
					gone++
				} else {
					wantLive[r.name]++
				}
			}
		})
	}
	if _, err := s.tags.checkKept(); err != nil {
		return err
	}
	nodes, live := s.tags.records()
	for name := range nodes {
		if nodes[name] != want[name] || live[name] != wantLive[name] {
			return fmt.Errorf("the record of %s is of %d nodes, %d of them live, but there are %d and %d",
				name, nodes[name], live[name], want[name], wantLive[name])
		}
	}
	if len(nodes) != len(want) {
		return fmt.Errorf("there are %d records, but %d tags", len(nodes), len(want))
	}
	if got := s.tags.litter.count.Load(); got != int64(gone) {
		return fmt.Errorf("%d are counted as invalidated, but there are %d", got, gone)
	}
	return nil
}

// TestRecordsGoWithTheirNodes: whichever way nodes come and leave, the records of tags are those of the nodes there are.
func TestRecordsGoWithTheirNodes(t *testing.T) {
	for name, s := range map[string]*Store[int, int]{
		"entries": New(Options[int, int]{MaxEntries: 60}),
		"weight":  New(Options[int, int]{MaxWeight: 200, Weigh: func(_, v int) int64 { return int64(v % 9) }}),
		"told":    New(Options[int, int]{MaxEntries: 60, OnRemove: func(Removal[int, int]) {}}),
	} {
		t.Run(name, func(t *testing.T) { recordsGoWithTheirNodes(t, s) })
	}
}

func recordsGoWithTheirNodes(t *testing.T, s *Store[int, int]) {
	defer s.Close()
	ctx := context.Background()
	stamps := []tarn.Stamp{0}
	entry := func() tarn.Entry[int] {
		e := tarn.Entry[int]{Value: rand.IntN(300)}
		if rand.IntN(3) > 0 {
			names := []string{fmt.Sprint(rand.IntN(9)), fmt.Sprint(rand.IntN(9)), fmt.Sprint(rand.IntN(9))}
			e.Tags = mustTags(stamps[rand.IntN(len(stamps))], names[:1+rand.IntN(3)]...)
		}
		if rand.IntN(4) == 0 {
			e.Expires = s.clock.Now().Add(time.Duration(rand.IntN(300)-50) * time.Microsecond)
		}
		return e
	}
	for range 5000 {
		key := rand.IntN(80)
		switch rand.IntN(12) {
		case 0:
			_ = s.InvalidateTags(ctx, fmt.Sprint(rand.IntN(9)), fmt.Sprint(rand.IntN(9)))
		case 1:
			_ = s.Delete(ctx, key)
		case 2:
			_, _ = s.Touch(ctx, key, s.clock.Now().Add(time.Duration(rand.IntN(200))*time.Microsecond))
		case 3:
			_, _ = s.Add(ctx, key, entry())
		case 4:
			_, _, _ = s.Compute(ctx, key, func(old tarn.Entry[int], _ bool) (tarn.Entry[int], tarn.ComputeOp) {
				e := entry()
				if rand.IntN(2) == 0 {
					e.Tags = old.Tags
				}
				return e, tarn.ComputeStore
			})
		case 5:
			into := make([]tarn.Lease[int], 1)
			_ = s.Lease(ctx, []int{key}, tarn.LeaseTerms{Life: time.Second, Refresh: true, Stamp: true}, into)
			stamps = append(stamps, into[0].Stamp)
			_ = s.Fill(ctx, []tarn.Fill[int, int]{{Key: key, Token: into[0].Token, Store: true, Entry: entry()}})
		case 6:
			tokens := make([]tarn.Token, 1)
			_ = s.Hold(ctx, []int{key}, time.Second, tokens)
			_ = s.Settle(ctx, []tarn.Settlement[int, int]{{Key: key, Token: tokens[0], Store: true, Entry: entry()}})
		case 7:
			if rand.IntN(60) == 0 {
				_ = s.Clear(ctx)
			}
		default:
			_ = s.Set(ctx, key, entry())
		}
		if rand.IntN(20) == 0 {
			require.NoError(t, checkRecords(s))
		}
	}
	_ = s.Clear(ctx)
	require.NoError(t, checkRecords(s))
	if nodes, _ := s.tags.records(); len(nodes) > 0 {
		t.Errorf("%d records are left of an empty store", len(nodes))
	}
}

// TestMuchThatWasInvalidatedIsRemoved by the goroutine that removes what has expired, and little is left where it is.
func TestMuchThatWasInvalidatedIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		told := make(map[Cause]int)
		s := New(Options[int, int]{MaxEntries: 20_000, OnRemove: func(r Removal[int, int]) { told[r.Cause]++ }})
		defer s.Close()
		ctx := context.Background()
		const many, few = 5000, 900
		for i := range many {
			_ = s.Set(ctx, i, tarn.Entry[int]{Tags: mustTags(0, "many", fmt.Sprint(i%10))})
		}
		for i := range few {
			_ = s.Set(ctx, -1-i, tarn.Entry[int]{Tags: mustTags(0, "few")})
		}
		_ = s.InvalidateTags(ctx, "few")
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.Len(); n != many+few {
			t.Fatalf("%d entries, want %d", n, many+few)
		}
		for range 3 { // what is gone is counted once
			_ = s.InvalidateTags(ctx, "few")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.Len(); n != many+few {
			t.Fatalf("%d entries, want %d", n, many+few)
		}
		_ = s.InvalidateTags(ctx, "3") // of 500
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.Len(); n != many*9/10 || told[Invalidated] != few+many/10 {
			t.Fatalf("%d entries, want %d; told of %v", n, many*9/10, told)
		}
		_ = s.InvalidateTags(ctx, "many")
		time.Sleep(time.Second)
		synctest.Wait()
		if n := s.Len(); n != 0 || told[Invalidated] != few+many || len(told) != 1 {
			t.Fatalf("%d entries, want none; told of %v", n, told)
		}
		require.NoError(t, checkRecords(s))
	})
}

// TestLittleThatWasInvalidatedIsRemovedLater: no value stays for good in a store that nobody fills, and one sweep serves
// all invalidations of a while.
func TestLittleThatWasInvalidatedIsRemovedLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		removed := 0
		s := New(Options[int, int]{MaxEntries: 20_000, OnRemove: func(r Removal[int, int]) {
			if r.Cause == Invalidated {
				removed++
			}
		}})
		defer s.Close()
		ctx := context.Background()
		has := func(n, gone int) {
			t.Helper()
			synctest.Wait()
			require.Equal(t, n, s.Len())
			require.Equal(t, gone, removed)
			require.NoError(t, checkRecords(s))
		}
		for i := range 5 {
			require.NoError(t, s.Set(ctx, i, tarn.Entry[int]{Tags: mustTags(0, fmt.Sprint(i), "more")}))
		}
		require.NoError(t, s.Put(5, 0, 10*time.Second)) // a sweep of what expires is none of these
		require.NoError(t, s.InvalidateTags(ctx, "none"))
		require.NoError(t, s.InvalidateTags(ctx, "0"))
		time.Sleep(time.Minute - 1)
		has(5, 0)
		require.NoError(t, s.InvalidateTags(ctx, "1"))
		time.Sleep(time.Second) // a sweep takes a while
		has(3, 2)
		time.Sleep(10 * time.Minute)
		has(3, 2)
		require.NoError(t, s.InvalidateTags(ctx, "2"))
		require.NoError(t, s.Put(6, 0, time.Minute/2))
		time.Sleep(time.Minute + time.Second)
		has(2, 3)

		require.NoError(t, s.InvalidateTags(ctx, "3")) // first a few, and before their time is over very many
		for i := range leastLitter {
			require.NoError(t, s.Set(ctx, 10+i, tarn.Entry[int]{Tags: mustTags(0, "many")}))
		}
		require.NoError(t, s.InvalidateTags(ctx, "many"))
		time.Sleep(time.Second)
		has(1, 4+leastLitter)

		require.NoError(t, s.InvalidateTags(ctx, "4")) // what was written again is not swept for
		require.NoError(t, s.Set(ctx, 4, tarn.Entry[int]{Tags: mustTags(0, "4")}))
		time.Sleep(time.Minute / 2)
		synctest.Wait()
		require.False(t, s.tags.litter.begin(s.clock.Now().Add(time.Minute)))
		require.NoError(t, s.InvalidateTags(ctx, "none")) // nor for nothing
		require.Equal(t, ttl.End, s.tags.litter.next())
		has(1, 5+leastLitter)
	})
}

// TestASweepOfWhatWasInvalidatedGoesOn after OnRemove has ended the goroutine that it ran on.
func TestASweepOfWhatWasInvalidatedGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ends := true
		s := New(Options[int, int]{MaxEntries: 20_000, OnRemove: func(Removal[int, int]) {
			if ends {
				ends = false
				runtime.Goexit()
			}
		}})
		defer s.Close()
		for i := range 5 * sweepChunk {
			require.NoError(t, s.Set(context.Background(), i, tarn.Entry[int]{Tags: mustTags(0, "tag")}))
		}
		require.NoError(t, s.InvalidateTags(context.Background(), "tag"))
		time.Sleep(time.Second)
		synctest.Wait()
		require.NotZero(t, s.Len())
		time.Sleep(litterLife)
		synctest.Wait()
		require.Zero(t, s.Len())
	})
}

// TestComputeDuringAnInvalidation that has its moment, but has not come to the entry's tag when the Compute stores: it
// reaches what the Compute made of the entry.
func TestComputeDuringAnInvalidation(t *testing.T) {
	s := New(Options[int, int]{MaxEntries: 10})
	defer s.Close()
	ctx := context.Background()
	for round := range 100 {
		require.NoError(t, s.Set(ctx, 1, tarn.Entry[int]{Value: round, Tags: mustTags(0, "x")}))
		invalidated := make(chan struct{})
		_, _, err := s.Compute(ctx, 1, func(old tarn.Entry[int], found bool) (tarn.Entry[int], tarn.ComputeOp) {
			if !found {
				return old, tarn.ComputeKeep
			}
			s.tags.invalidating.Lock()
			moment := s.tags.moment.Add(1)
			go func() {
				defer close(invalidated)
				defer s.tags.invalidating.Unlock()
				runtime.Gosched()
				s.tags.litter.add(s.tags.part(s.seed, "x").invalidate("x", moment), &s.clock)
			}()
			return tarn.Entry[int]{Value: old.Value, Tags: mustTags(0, "x")}, tarn.ComputeStore
		})
		require.NoError(t, err)
		<-invalidated
		_, found, err := s.Get(ctx, 1)
		require.NoError(t, err)
		require.False(t, found, "in round %d", round)
	}
}
