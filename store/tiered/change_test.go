package tiered_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

// disobliging is a near store that may not hold keys, or not end that.
type disobliging struct {
	*nearStore
	holds, settles func(keys int) error
}

func (d disobliging) Hold(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
	if err := d.holds(len(keys)); err != nil {
		return err
	}
	return d.nearStore.Hold(ctx, keys, life, tokens)
}

func (d disobliging) Settle(ctx context.Context, settlements []tarn.Settlement[string, int]) error {
	if err := d.settles(len(settlements)); err != nil {
		return err
	}
	return d.nearStore.Settle(ctx, settlements)
}

// TestChangesAnyhow has a near store that holds none of the keys of a change, or only some, or does not end its holds: no
// change leaves an old copy, and nothing needs to be made up for by trusting none.
func TestChangesAnyhow(t *testing.T) {
	never := func(int) error { return nil }
	always := func(int) error { return errRefused }
	for _, c := range []struct {
		rule           string
		holds, settles func(keys int) error
		copied         bool // what was changed can be copied from then on
	}{
		{"what cannot be held is dropped", always, never, true},
		{"of a batch, too, where others could be held", func(keys int) error {
			if keys == 128 {
				return nil
			}
			return errRefused
		}, never, true},
		{"a hold that cannot be ended runs out", never, always, false},
	} {
		t.Run(c.rule, bubble(func(t *testing.T) {
			near := memory.New(memory.Options[string, int]{MaxEntries: 1000})
			inner := memory.New(memory.Options[string, int]{MaxEntries: 1000})
			defer near.Close()
			defer inner.Close()
			s := tiered.New(disobliging{near, c.holds, c.settles}, farstore.New(inner).View())
			defer s.Close()
			f := fixture{store: s, near: near}
			synctest.Wait()
			ctx := t.Context()
			keys, entries, lookups := []string{"k"}, make([]entry, 130), make([]tarn.Lookup[int], 130)
			for len(keys) < 130 {
				keys = append(keys, fmt.Sprint(len(keys)))
			}
			for _, value := range []int{1, 2} {
				for i := range entries {
					entries[i].Value = value
				}
				if err := f.store.SetMany(ctx, keys, entries); err != nil {
					t.Fatal(err)
				}
				for range 2 {
					f.store.GetMany(ctx, keys, lookups)
					if slices.ContainsFunc(lookups, func(l tarn.Lookup[int]) bool { return l.Entry.Value != value }) {
						t.Fatalf("there is another value than %d", value)
					}
				}
				f.copied(t, "k", c.copied)
				f.copied(t, keys[129], c.copied)
			}
			f.store.Set(ctx, "k", entry{Value: 3})
			f.has(t, "k", entry{Value: 3})
			f.copied(t, "k", c.copied)
			if time.Sleep(time.Hour); !f.store.Trusted() {
				t.Error("copies are not trusted")
			}
			f.has(t, "k", entry{Value: 3})
			f.copied(t, "k", true)
		}))
	}
}

// stopping is a far store that calls at before each change.
type stopping struct {
	*farstore.View[string, int]
	at func()
}

func (s stopping) Set(ctx context.Context, key string, e entry) error {
	s.at()
	return s.View.Set(ctx, key, e)
}

func (s stopping) Delete(ctx context.Context, key string) error {
	s.at()
	return s.View.Delete(ctx, key)
}

func (s stopping) SetMany(ctx context.Context, keys []string, entries []entry) error {
	s.at()
	return s.View.SetMany(ctx, keys, entries)
}

func (s stopping) DeleteMany(ctx context.Context, keys []string) error {
	s.at()
	return s.View.DeleteMany(ctx, keys)
}

func (s stopping) Add(ctx context.Context, key string, e entry) (bool, error) {
	s.at()
	return s.View.Add(ctx, key, e)
}

func (s stopping) Touch(ctx context.Context, key string, expires ttl.Time) (bool, error) {
	s.at()
	return s.View.Touch(ctx, key, expires)
}

func (s stopping) Compute(
	ctx context.Context, key string, f func(old entry, found bool) (entry, tarn.ComputeOp),
) (entry, bool, error) {
	s.at()
	return s.View.Compute(ctx, key, f)
}

func (s stopping) Clear(ctx context.Context) error {
	s.at()
	return s.View.Clear(ctx)
}

func (s stopping) InvalidateTags(ctx context.Context, tags ...string) error {
	s.at()
	return s.View.InvalidateTags(ctx, tags...)
}

func (s stopping) Fill(ctx context.Context, fills []tarn.Fill[string, int]) error {
	s.at()
	return s.View.Fill(ctx, fills)
}

func (s stopping) Hold(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
	s.at()
	return s.View.Hold(ctx, keys, life, tokens)
}

func (s stopping) Settle(ctx context.Context, settlements []tarn.Settlement[string, int]) error {
	s.at()
	return s.View.Settle(ctx, settlements)
}

// newStopping is newFixture with a far store that calls at before each change.
func newStopping(t *testing.T, at func(f *fixture)) *fixture {
	f := newFixture(t, 0)
	f.store.Close()
	f.store = tiered.New(f.near, stopping{f.view, func() { at(f) }})
	synctest.Wait()
	f.other.Set(t.Context(), "k", entry{Value: 1, Tags: tagged(t, "t")})
	synctest.Wait()
	f.store.Get(t.Context(), "k")
	f.copied(t, "k", true)
	return f
}

// TestChangeWhileFarIsSlow looks at the near store while the far one is at a change.
func TestChangeWhileFarIsSlow(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, bubble(func(t *testing.T) {
			f := newStopping(t, func(*fixture) { time.Sleep(10 * time.Second) })
			ctx := t.Context()
			done := make(chan error)
			go func() { done <- c.do(ctx, f.store) }()
			for range 19 { // heartbeats come in between
				time.Sleep(500 * time.Millisecond)
				f.store.Get(ctx, "k")
				f.copied(t, "k", false)
			}
			if err := <-done; err != nil || !f.store.Trusted() {
				t.Fatalf("%v; copies are trusted: %v", err, f.store.Trusted())
			}
			f.other.Set(ctx, "k", entry{Value: 7, Tags: tagged(t, "t")}) // a key that is held refuses that
			synctest.Wait()
			_, found, _ := f.store.Get(ctx, "k")
			f.copied(t, "k", found)
		}))
	}
}

// TestChangeOutlivesItsHold has a far store that takes longer for a change than the near one holds the key.
func TestChangeOutlivesItsHold(t *testing.T) {
	for _, settles := range []error{nil, errRefused} {
		t.Run(fmt.Sprint("settles: ", settles), bubble(func(t *testing.T) {
			f := newFixture(t, 0)
			f.store.Close()
			near := disobliging{f.near, func(int) error { return nil }, func(int) error { return settles }}
			f.store = tiered.New(near, stopping{f.view, func() { time.Sleep(2 * time.Hour) }})
			defer f.store.Close()
			ctx := t.Context()
			f.other.Set(ctx, "k", entry{Value: 1})
			synctest.Wait()
			go func() {
				time.Sleep(90 * time.Minute)
				f.store.Get(ctx, "k")
				f.copied(t, "k", true)
			}()
			f.store.Set(ctx, "k", entry{Value: 2})
			f.has(t, "k", entry{Value: 2})
		}))
	}
}

// TestClearLosesTrust has messages lost while the far store is cleared, and nobody who says that they come again.
func TestClearLosesTrust(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newStopping(t, func(f *fixture) { time.Sleep(time.Second); f.view.Cut(); time.Sleep(time.Second) })
		if err := f.store.Clear(t.Context()); err != nil || f.store.Trusted() {
			t.Errorf("%v; copies are trusted: %v", err, f.store.Trusted())
		}
	})
}

// TestFarPanics has a far store that panics: what its keys were held by in the near store ends.
func TestFarPanics(t *testing.T) {
	for _, c := range changes {
		t.Run(c.name, bubble(func(t *testing.T) {
			f := newStopping(t, func(*fixture) { panic("far") })
			func() {
				defer func() {
					if recover() == nil {
						t.Error("it does not panic")
					}
				}()
				c.do(t.Context(), f.store)
			}()
			f.has(t, "k", entry{Value: 1})
			f.copied(t, "k", true)
		}))
	}
}

// TestChangedNaN has changes of keys that are not equal to themselves leave nothing in the near store.
func TestChangedNaN(t *testing.T) {
	near := memory.New(memory.Options[float64, int]{MaxEntries: 100})
	inner := memory.New(memory.Options[float64, int]{MaxEntries: 100})
	s := tiered.New(near, inner, tiered.Unwatched(time.Hour))
	ctx, nan := t.Context(), math.NaN()
	err := errors.Join(
		s.Set(ctx, nan, entry{}), s.Delete(ctx, nan), s.DeleteMany(ctx, []float64{nan, 1, nan, 1}),
		s.Hold(ctx, []float64{nan, 2}, time.Minute, make([]tarn.Token, 2)),
		s.Fill(ctx, []tarn.Fill[float64, int]{{Key: nan, Store: true}, {Key: nan, Store: true}}),
		s.Settle(ctx, []tarn.Settlement[float64, int]{{Key: nan}, {Key: nan}}),
	)
	if n := near.Stats().Entries; err != nil || n != 0 {
		t.Errorf("%v; %d entries", err, n)
	}
}
