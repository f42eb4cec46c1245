package strategies_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// TestAccumulateVisible has each delta count once for readers, whatever becomes of its batch. The source has [1] at first.
func TestAccumulateVisible(t *testing.T) {
	for _, test := range []struct {
		rule   string
		config listConfig
		run    func(t *testing.T, s *tally, a *lists)
	}{
		{"what was added is seen at once, behind what the source has", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			mustAdd(t, a, "k", 2, 3)
			requireValue(t, a, "k", 1, 2, 3)
			require.Equal(t, []int{1}, s.row("k"))
		}},
		{"a key that the source does not have is empty", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "none", []int(nil)...)
			mustAdd(t, a, "none", 5)
			requireValue(t, a, "none", 5)
		}},
		{"a confirmed batch counts once, without another load", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			mustAdd(t, a, "k", 2, 3)
			require.NoError(t, a.Flush(t.Context()))
			requireValue(t, a, "k", 1, 2, 3)
			require.Equal(t, []int{1, 2, 3}, s.row("k"))
			require.Equal(t, 1, s.loads)
		}},
		{"a batch that is under way counts once, with what was added meanwhile", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			for _, at := range []*func(context.Context, listBatch) error{&s.before, &s.after} {
				gate := make(chan struct{})
				s.set(func() { *at = func(context.Context, listBatch) error { <-gate; return nil } })
				mustAdd(t, a, "k", 2)
				want := slices.Concat(s.row("k"), []int{2, 3})
				time.Sleep(time.Second)
				mustAdd(t, a, "k", 3)
				requireValue(t, a, "k", want...)
				s.set(func() { *at = nil })
				close(gate)
				synctest.Wait()
				requireValue(t, a, "k", want...)
				require.NoError(t, a.Flush(t.Context()))
				requireValue(t, a, "k", want...)
				require.Equal(t, want, s.row("k"))
			}
		}},
		{"a batch that was committed and not confirmed counts once", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			s.set(func() { s.after = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "k", 2)
			require.Error(t, a.Flush(t.Context()))
			require.Equal(t, []int{1, 2}, s.row("k"))
			mustAdd(t, a, "k", 3)
			requireValue(t, a, "k", 1, 2, 3)
			s.set(func() { s.after = nil })
			require.NoError(t, a.Flush(t.Context()))
			requireValue(t, a, "k", 1, 2, 3)
		}},
		{"a value that is stale serves on while a batch is in doubt", listConfig{Fresh: time.Second}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			s.set(func() { s.after = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "k", 2)
			require.Error(t, a.Flush(t.Context()))
			time.Sleep(time.Hour)
			requireValue(t, a, "k", 1, 2)
			s.set(func() { s.after = nil; s.rows["k"] = append(s.rows["k"], 9) })
			require.NoError(t, a.Flush(t.Context()))
			requireValue(t, a, "k", 1, 2, 9)
		}},
		{"without a value in memory a reader waits for a batch in doubt", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.after = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "k", 2)
			require.Error(t, a.Flush(t.Context()))
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			_, err := a.Get(ctx, "k")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			s.set(func() { s.after = nil })
			requireValue(t, a, "k", 1, 2)
		}},
		{"a value in a batch in doubt is not evicted", listConfig{MaxValues: 1}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			s.set(func() { s.after = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "k", 2)
			require.Error(t, a.Flush(t.Context()))
			for _, other := range []string{"a", "b", "c"} {
				requireValue(t, a, other, []int(nil)...)
			}
			requireValue(t, a, "k", 1, 2)
			s.set(func() { s.after = nil })
		}},
		{"a value that was evicted is loaded again", listConfig{MaxValues: 1}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			mustAdd(t, a, "k", 2)
			for _, other := range []string{"a", "b", "c"} {
				requireValue(t, a, other, []int(nil)...)
			}
			require.Equal(t, 1, a.Stats().Values)
			requireValue(t, a, "k", 1, 2)
			require.Equal(t, 5, s.loads)
		}},
		{"nothing is sent of a key while it is loaded", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			gate := make(chan struct{})
			s.set(func() { s.load = func(context.Context, string) error { <-gate; return nil } })
			go requireValue(t, a, "k", 1, 2)
			synctest.Wait()
			mustAdd(t, a, "k", 2)
			mustAdd(t, a, "other", 7)
			time.Sleep(time.Second)
			require.Equal(t, []int{1}, s.row("k"))
			require.Equal(t, []int{7}, s.row("other"))
			close(gate)
			synctest.Wait()
			require.Equal(t, []int{1, 2}, s.row("k"))
			requireValue(t, a, "k", 1, 2)
		}},
		{"a reader gets its turn between batches that follow upon each other", listConfig{MaxDelay: time.Nanosecond}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() {
				s.before = func(context.Context, listBatch) error { time.Sleep(time.Second); return nil }
			})
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 40 {
					_ = a.Add(t.Context(), "k", []int{2})
					time.Sleep(time.Second / 4)
				}
			}()
			time.Sleep(time.Second / 2)
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
			defer cancel()
			_, err := a.Get(ctx, "k")
			require.NoError(t, err)
			<-done
		}},
		{"batches get their turn between loads that fail", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.load = func(context.Context, string) error { time.Sleep(time.Second); return errSource } })
			reads, stop := context.WithCancel(t.Context())
			defer stop()
			for range 3 {
				go func() {
					for reads.Err() == nil {
						_, _ = a.Get(reads, "k")
					}
				}()
				time.Sleep(time.Second / 3)
			}
			mustAdd(t, a, "k", 2)
			time.Sleep(4 * time.Second)
			require.Equal(t, []int{1, 2}, s.row("k"))
		}},
		{"batches get their turn also if there is no place for them when a load ends", listConfig{Concurrency: 1, MaxDelay: time.Nanosecond}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() {
				s.load = func(context.Context, string) error { time.Sleep(time.Second); return errSource }
				s.before = func(_ context.Context, b listBatch) error {
					if b.Deltas[0].Key != "k" {
						time.Sleep(time.Second)
					}
					return nil
				}
			})
			reads, stop := context.WithCancel(t.Context())
			defer stop()
			go func() {
				for reads.Err() == nil {
					_, _ = a.Get(reads, "k")
				}
			}()
			synctest.Wait()
			mustAdd(t, a, "k", 2)
			time.Sleep(time.Second / 2)
			for range 4 { // under way whenever a load ends
				mustAdd(t, a, "other", 0)
				time.Sleep(time.Second)
			}
			require.Equal(t, []int{1, 2}, s.row("k"))
			stop()
			synctest.Wait()
			s.set(func() { s.load = nil })
		}},
		{"a load that fails is its readers' error, and the next reader loads again", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.load = func(context.Context, string) error { return errSource } })
			mustAdd(t, a, "k", 2)
			_, err := a.Get(t.Context(), "k")
			require.ErrorIs(t, err, errSource)
			s.set(func() { s.load = nil })
			requireValue(t, a, "k", 1, 2)
		}},
		{"a load that hangs ends, gives its key back, and what it returns later is dropped", listConfig{LoadTimeout: time.Second}, func(t *testing.T, s *tally, a *lists) {
			gate := make(chan struct{})
			s.set(func() { s.load = func(context.Context, string) error { <-gate; return nil } })
			_, err := a.Get(t.Context(), "k")
			require.ErrorIs(t, err, tarn.ErrLoadTimeout)
			s.set(func() { s.load = nil })
			mustAdd(t, a, "k", 2)
			require.NoError(t, a.Flush(t.Context()))
			close(gate)
			synctest.Wait()
			requireValue(t, a, "k", 1, 2)
		}},
		{"readers share a load, and the last to leave ends it", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			ended := make(chan error, 1)
			s.set(func() {
				s.load = func(ctx context.Context, _ string) error { <-ctx.Done(); ended <- ctx.Err(); return ctx.Err() }
			})
			for i := range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i+1)*time.Second)
				defer cancel()
				go func() { _, _ = a.Get(ctx, "k") }()
			}
			time.Sleep(2500 * time.Millisecond)
			require.Empty(t, ended)
			time.Sleep(time.Second)
			require.ErrorIs(t, <-ended, context.Canceled)
			require.Equal(t, 1, s.loads)
		}},
		{"with a done context what is in memory is answered, and nothing else happens", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			requireValue(t, a, "k", 1)
			done, cancel := context.WithCancel(t.Context())
			cancel()
			require.ErrorIs(t, a.Add(done, "k", []int{2}), context.Canceled)
			got, err := a.Get(done, "k")
			require.NoError(t, err)
			require.Equal(t, []int{1}, got)
			_, err = a.Get(done, "other")
			require.ErrorIs(t, err, context.Canceled)
			require.Equal(t, 1, s.loads)
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTally()
				s.rows["k"] = []int{1}
				a := s.open(t, test.config)
				test.run(t, s, a)
				s.end(t, a)
			})
		})
	}
}

// TestAccumulateBatches is about what is sent, and what follows when that fails.
func TestAccumulateBatches(t *testing.T) {
	for _, test := range []struct {
		rule   string
		config listConfig
		run    func(t *testing.T, s *tally, a *lists)
	}{
		{"deltas of a key are merged in the order in which they were accepted", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			mustAdd(t, a, "a", 1, 2, 3)
			mustAdd(t, a, "b", 4)
			mustAdd(t, a, "a", 5)
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			require.Equal(t, []int{2}, s.sizes)
			require.Equal(t, []int{1, 2, 3, 5}, s.row("a"))
			stats := a.Stats()
			require.EqualValues(t, 5, stats.Added)
			require.EqualValues(t, 3, stats.Coalesced)
			require.EqualValues(t, 2, stats.Updates)
			require.EqualValues(t, 1, stats.Batches)
		}},
		{"a batch is sent again as it was, under its name, until it is confirmed", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "a", 1)
			mustAdd(t, a, "b", 2)
			for i := range 3 {
				err := a.Flush(t.Context())
				var unwritten *strategies.UnwrittenError[string]
				require.ErrorAs(t, err, &unwritten)
				require.ErrorIs(t, err, errSource)
				slices.Sort(unwritten.Keys)
				require.Equal(t, []string{"a", "b"}, unwritten.Keys)
				mustAdd(t, a, "a", 10+i)
			}
			require.Equal(t, 2, a.Stats().Retrying)
			s.set(func() { s.before = nil })
			require.NoError(t, a.Flush(t.Context()))
			names := s.attempts()
			require.Len(t, slices.Compact(slices.Clone(names)), 2)
			require.Equal(t, names[0], names[3])
			require.Equal(t, []int{1, 10, 11, 12}, s.row("a"))
		}},
		{"a batch that failed is tried again by itself", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "a", 1)
			time.Sleep(time.Minute)
			require.Greater(t, len(s.attempts()), 3)
			s.set(func() { s.before = nil })
			time.Sleep(time.Minute)
			require.Equal(t, []int{1}, s.row("a"))
			require.Zero(t, a.Stats().Pending)
		}},
		{"a batch in doubt keeps no other key back", listConfig{Concurrency: 1}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() {
				s.before = func(_ context.Context, b listBatch) error {
					if b.Deltas[0].Key == "a" {
						return errSource
					}
					return nil
				}
			})
			mustAdd(t, a, "a", 1)
			require.Error(t, a.Flush(t.Context()))
			mustAdd(t, a, "b", 2)
			time.Sleep(time.Second)
			require.Equal(t, []int{2}, s.row("b"))
			require.Equal(t, uint64(1), s.settled[epochOf(s)], "a batch in doubt is not settled")
			s.set(func() { s.before = nil })
			require.NoError(t, a.Flush(t.Context()))
			mustAdd(t, a, "b", 3)
			require.NoError(t, a.Flush(t.Context()))
			require.EqualValues(t, 3, s.settled[epochOf(s)])
		}},
		{"with a ledger a batch that was committed and not confirmed counts once", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.after = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "a", 1)
			require.Error(t, a.Flush(t.Context()))
			require.Error(t, a.Flush(t.Context()))
			s.set(func() { s.after = nil })
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []int{1}, s.row("a"))
		}},
		{"without a ledger it counts at least once", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.forgets = true; s.after = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "a", 1)
			require.Error(t, a.Flush(t.Context()))
			s.set(func() { s.after = nil })
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []int{1, 1}, s.row("a"))
		}},
		{"a write that hangs is given its time and no more", listConfig{WriteTimeout: time.Second}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.before = func(ctx context.Context, _ listBatch) error { <-ctx.Done(); return ctx.Err() } })
			mustAdd(t, a, "a", 1)
			began := time.Now()
			require.ErrorIs(t, a.Flush(t.Context()), context.DeadlineExceeded)
			require.Equal(t, time.Second, time.Since(began))
			s.set(func() { s.before = nil })
		}},
		{"a write that panics, or ends its goroutine, has failed", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			for _, f := range []func(){func() { panic("ouch") }, runtime.Goexit} {
				s.set(func() { s.before = func(context.Context, listBatch) error { f(); return nil } })
				mustAdd(t, a, "a", 1)
				var panicked *tarn.PanicError
				require.ErrorAs(t, a.Flush(t.Context()), &panicked)
			}
			s.set(func() { s.before = nil })
		}},
		{"one bad delta among many is found, the others arrive, and it is tried again, and never lost", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			refuse(s, "x")
			for i, key := range []string{"a", "b", "x", "c", "d"} {
				mustAdd(t, a, key, i)
			}
			require.Error(t, a.Flush(t.Context()))
			time.Sleep(time.Second)
			for i, key := range []string{"a", "b", "", "c", "d"} {
				if key != "" {
					require.Equal(t, []int{i}, s.row(key))
				}
			}
			require.Nil(t, s.row("x"))
			require.Equal(t, 1, a.Stats().Pending)
			n := len(s.attempts())
			time.Sleep(31 * time.Second)
			require.Len(t, s.attempts(), n+1)
			s.set(func() { s.before = nil })
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []int{2}, s.row("x"))
		}},
		{"where the source tells of each delta, those without an error are confirmed, and the others sent again under their name", listConfig{}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() {
				s.before = func(_ context.Context, b listBatch) error {
					each := make(tarn.IndexError, len(b.Deltas))
					for i, d := range b.Deltas {
						if d.Key == "x" {
							each[i] = errSource
						}
					}
					return each
				}
			})
			for i, key := range []string{"a", "x", "b"} {
				mustAdd(t, a, key, i)
			}
			err := a.Flush(t.Context())
			var unwritten *strategies.UnwrittenError[string]
			require.ErrorAs(t, err, &unwritten)
			require.Equal(t, []string{"x"}, unwritten.Keys)
			requireValue(t, a, "a", 0)
			s.set(func() { s.before = nil; s.sent = map[string]string{} }) // it is a smaller one
			require.NoError(t, a.Flush(t.Context()))
			require.Equal(t, []int{0}, s.row("a"))
			require.Equal(t, []int{1}, s.row("x"))
			require.Equal(t, []int{2}, s.row("b"))
			names := s.attempts()
			require.Equal(t, names[0], names[1])
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTally()
				a := s.open(t, test.config)
				test.run(t, s, a)
				s.end(t, a)
			})
		})
	}
}

// refuse has the source refuse a key for good, and roll the batch back.
func refuse(s *tally, key string) {
	s.set(func() {
		s.before = func(_ context.Context, b listBatch) error {
			if slices.ContainsFunc(b.Deltas, func(d listDelta) bool { return d.Key == key }) {
				return tarn.Permanent(errSource)
			}
			return nil
		}
	})
}

func epochOf(s *tally) uint64 {
	for epoch := range s.settled {
		return epoch
	}
	return 0
}

// TestAccumulateDeadLetters is about deltas that the source will never take.
func TestAccumulateDeadLetters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var letters []strategies.DeadDelta[string, []int]
		broken := true
		s := newTally()
		a := s.open(t, listConfig{DeadLetter: func(_ context.Context, l strategies.DeadDelta[string, []int]) {
			if broken {
				panic("ouch")
			}
			letters = append(letters, l)
		}})
		refuse(s, "x")
		requireValue(t, a, "x", []int(nil)...)
		for i, key := range []string{"a", "x", "c"} {
			mustAdd(t, a, key, i)
		}
		require.Error(t, a.Flush(t.Context()), "a handler that panics has not taken it")
		time.Sleep(time.Second)
		require.Empty(t, letters)
		requireValue(t, a, "x", 1)
		broken = false
		require.NoError(t, a.Flush(t.Context()))
		require.Len(t, letters, 1)
		require.Equal(t, listDelta{Key: "x", Delta: []int{1}}, letters[0].Delta)
		require.ErrorIs(t, letters[0].Err, errSource)
		require.Greater(t, letters[0].Attempts, 1)
		requireValue(t, a, "x", []int(nil)...)
		require.EqualValues(t, 1, a.Stats().DeadLettered)

		s.set(func() { // now of a source that tells of each
			s.before = func(_ context.Context, b listBatch) error {
				each := make(tarn.IndexError, len(b.Deltas))
				for i, d := range b.Deltas {
					if d.Key == "x" {
						each[i] = tarn.Permanent(errSource)
					}
				}
				return each
			}
		})
		mustAdd(t, a, "x", 7)
		mustAdd(t, a, "a", 8)
		require.NoError(t, a.Flush(t.Context()))
		require.Len(t, letters, 2)
		require.Equal(t, []int{0, 8}, s.row("a"))
		s.end(t, a)
	})
}

// TestAccumulateBounds is about what finds no room.
func TestAccumulateBounds(t *testing.T) {
	size := func(_ string, d []int) int64 { return int64(len(d)) }
	for _, test := range []struct {
		rule   string
		config listConfig
		run    func(t *testing.T, s *tally, a *lists)
	}{
		{"another delta of a key needs no further place", listConfig{MaxPending: 1, WhenFull: strategies.RefuseWhenFull}, func(t *testing.T, s *tally, a *lists) {
			mustAdd(t, a, "a", 1, 2)
			require.ErrorIs(t, a.Add(t.Context(), "b", []int{3}), tarn.ErrFull)
			requireValue(t, a, "b", []int(nil)...)
			synctest.Wait()
			require.Equal(t, []int{1, 2}, s.row("a"), "a bound that is met makes the batch due")
			mustAdd(t, a, "b", 4)
		}},
		{"who finds no room waits for it", listConfig{MaxPending: 1}, func(t *testing.T, s *tally, a *lists) {
			mustAdd(t, a, "a", 1)
			mustAdd(t, a, "b", 2)
			require.Equal(t, []int{1}, s.row("a"))
		}},
		{"who waits for room leaves when its context ends, and has added nothing", listConfig{MaxPending: 1}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "a", 1)
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.ErrorIs(t, a.Add(ctx, "b", []int{2}), context.DeadlineExceeded)
			requireValue(t, a, "b", []int(nil)...)
			s.set(func() { s.before = nil })
		}},
		{"bytes count until the source has answered", listConfig{MaxPendingBytes: 3, Size: size, WhenFull: strategies.RefuseWhenFull}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "a", 1, 2)
			require.Error(t, a.Flush(t.Context()))
			mustAdd(t, a, "a", 3)
			require.EqualValues(t, 3, a.Stats().PendingBytes)
			require.ErrorIs(t, a.Add(t.Context(), "a", []int{4}), tarn.ErrFull)
			require.ErrorIs(t, a.Add(t.Context(), "b", []int{4}), tarn.ErrFull)
			s.set(func() { s.before = nil })
			require.NoError(t, a.Flush(t.Context()))
			require.Zero(t, a.Stats().PendingBytes)
			mustAdd(t, a, "b", 1, 2, 3)
		}},
		{"what is above the bound by itself is refused", listConfig{MaxPendingBytes: 3, Size: size}, func(t *testing.T, s *tally, a *lists) {
			require.ErrorIs(t, a.Add(t.Context(), "a", []int{1, 2, 3, 4}), tarn.ErrTooHeavy)
			require.Zero(t, a.Stats().Pending)
		}},
		{"what becomes too heavy by merging waits for what is there to leave", listConfig{MaxPendingBytes: 3, Size: size}, func(t *testing.T, s *tally, a *lists) {
			mustAdd(t, a, "a", 1, 2)
			require.NoError(t, a.Add(t.Context(), "a", []int{3, 4}))
			require.Equal(t, []int{1, 2}, s.row("a"))
			requireValue(t, a, "a", 1, 2, 3, 4)
		}},
		{"Close wakes who waits for room", listConfig{MaxPending: 1}, func(t *testing.T, s *tally, a *lists) {
			s.set(func() { s.before = func(context.Context, listBatch) error { time.Sleep(time.Second); return nil } })
			mustAdd(t, a, "a", 1)
			waits := make(chan error, 1)
			go func() { waits <- a.Add(t.Context(), "b", []int{2}) }()
			synctest.Wait()
			require.NoError(t, a.Close(t.Context()))
			require.ErrorIs(t, <-waits, tarn.ErrClosed)
			require.Nil(t, s.row("b"))
		}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newTally()
				a := s.open(t, test.config)
				test.run(t, s, a)
				s.end(t, a)
			})
		})
	}
}

func TestAccumulateClose(t *testing.T) {
	t.Run("what is left is told, and is what the source does not have", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newTally()
			a := s.open(t, listConfig{MaxBatch: 1})
			s.set(func() {
				s.before = func(ctx context.Context, b listBatch) error {
					switch b.Deltas[0].Key {
					case "fails":
						return errSource
					case "hangs":
						<-ctx.Done()
						return ctx.Err()
					}
					return nil
				}
			})
			for i, key := range []string{"fails", "hangs", "works"} {
				mustAdd(t, a, key, i)
			}
			time.Sleep(time.Second)
			mustAdd(t, a, "fails", 5)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			err := a.Close(ctx)
			var unwritten *strategies.UnwrittenError[string]
			require.ErrorAs(t, err, &unwritten)
			slices.Sort(unwritten.Keys)
			require.Equal(t, []string{"fails", "hangs"}, unwritten.Keys)
			left := map[string][]int{}
			for d := range a.Pending() {
				left[d.Key] = append(left[d.Key], d.Delta...)
			}
			require.Equal(t, map[string][]int{"fails": {0, 5}, "hangs": {1}}, left)
			require.Equal(t, []int{2}, s.row("works"))
			require.Equal(t, err, a.Close(ctx))
			require.ErrorIs(t, a.Add(t.Context(), "x", nil), tarn.ErrClosed)
			require.ErrorIs(t, a.Flush(t.Context()), tarn.ErrClosed)
			_, err = a.Get(t.Context(), "works")
			require.ErrorIs(t, err, tarn.ErrClosed)
		})
	})
	t.Run("loads end, and their readers know why", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newTally()
			a := s.open(t, listConfig{})
			s.set(func() { s.load = func(ctx context.Context, _ string) error { <-ctx.Done(); return ctx.Err() } })
			got := make(chan error, 1)
			go func() { _, err := a.Get(t.Context(), "k"); got <- err }()
			synctest.Wait()
			s.end(t, a)
			require.ErrorIs(t, <-got, tarn.ErrClosed)
		})
	})
	t.Run("who waits for a batch in doubt ends", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := newTally()
			a := s.open(t, listConfig{})
			s.set(func() { s.before = func(context.Context, listBatch) error { return errSource } })
			mustAdd(t, a, "k", 1)
			require.Error(t, a.Flush(t.Context()))
			got := make(chan error, 1)
			go func() { _, err := a.Get(t.Context(), "k"); got <- err }()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			require.Error(t, a.Close(ctx))
			require.ErrorIs(t, <-got, tarn.ErrClosed)
		})
	})
}

func TestAccumulateContainsFunctions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		merge, fold := false, false
		list := strategies.Append[int]()
		s := newTally()
		a, err := strategies.Accumulate(tarn.LoadFunc(s.find), s.write, strategies.Merger[[]int, []int]{
			Merge: func(x, y []int) []int {
				if merge {
					panic("merge")
				}
				return list.Merge(x, y)
			},
			Fold: func(v, d []int) []int {
				if fold {
					panic("fold")
				}
				return list.Fold(v, d)
			},
		}, listConfig{})
		require.NoError(t, err)
		requireValue(t, a, "k", []int(nil)...)
		mustAdd(t, a, "k", 1)
		merge = true
		var panicked *tarn.PanicError
		require.ErrorAs(t, a.Add(t.Context(), "k", []int{2}), &panicked)
		merge = false
		requireValue(t, a, "k", 1)
		fold = true
		_, err = a.Get(t.Context(), "k")
		require.ErrorAs(t, err, &panicked)
		require.NoError(t, a.Flush(t.Context()), "the batch is confirmed, and the value dropped")
		fold = false
		requireValue(t, a, "k", 1)
		s.set(func() { s.load = func(context.Context, string) error { panic("load") } })
		_, err = a.Get(t.Context(), "other")
		require.ErrorAs(t, err, &panicked)
		s.end(t, a)
	})
}

func TestAccumulateRefusesNaN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		find := tarn.LoadFunc(func(context.Context, float64) (int, error) { return 0, errors.New("asked for NaN") })
		a, err := strategies.Accumulate(find, func(context.Context, strategies.Batch[float64, int]) error { return nil },
			strategies.Sum[int](), strategies.AccumulateConfig[float64, int]{})
		require.NoError(t, err)
		require.ErrorContains(t, a.Add(t.Context(), math.NaN(), 1), "does not equal itself")
		_, err = a.Get(t.Context(), math.NaN())
		require.ErrorContains(t, err, "does not equal itself")
		require.Zero(t, a.Stats())
		require.NoError(t, a.Close(t.Context()))
	})
}
