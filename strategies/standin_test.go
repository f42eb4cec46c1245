package strategies_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// leaselessWith has leases without holds, which are of no use without each other.
type leaselessWith struct{ *tamper[string, int] }

func (s leaselessWith) As(target any) bool {
	if _, ok := target.(*tarn.Holder[string, int]); ok {
		return false
	}
	return s.tamper.As(target)
}

func TestStandInForHalfOfTheCapabilities(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		src := newSource(map[string]int{"a": 1})
		c := strategies.ReadThrough(leaselessWith{store}, src)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.Zero(t, store.called("lease"), "leases in one table and holds in another would not see each other")
		h, err := c.Hold(t.Context(), []string{"a"})
		require.NoError(t, err)
		hasValue(t, 1, <-asked(t.Context(), c, "a"))
		require.NoError(t, h.Settle(t.Context(), []tarn.Outcome[int]{{Kind: tarn.Stored, Value: 2}}))
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

// While the store is slow to set a loaded value, an invalidation of that key waits its turn, and comes after it.
func TestStandInOrdersFillAndDelete(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		store.leaseless = true
		src := newSource(map[string]int{"a": 1, "b": 1})
		c := strategies.ReadThrough(store, src)
		store.on(func(ctx context.Context, op string) error {
			if op == "set" {
				return takes(time.Second)(ctx, "")
			}
			return nil
		})
		r := asked(t.Context(), c, "a")
		synctest.Wait()
		require.NoError(t, src.Save(t.Context(), "a", 2))
		start := time.Now()
		require.NoError(t, c.Delete(t.Context(), "b"))
		require.Equal(t, start, time.Now(), "another key does not wait")
		hurried, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		require.ErrorIs(t, c.Delete(hurried, "a"), context.DeadlineExceeded, "each waits with its context")
		require.NoError(t, c.Delete(t.Context(), "a"))
		require.Equal(t, time.Second, time.Since(start))
		hasValue(t, 1, <-r)
		store.on(nil)
		hasValue(t, 2, <-asked(t.Context(), c, "a"))
	})
}

// A write whose hold cannot empty the key in the store has no hold.
func TestStandInHoldFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := newTamper(t)
		store.leaseless = true
		c := strategies.LookAside(store)
		require.NoError(t, c.Set(t.Context(), "b", 1))
		store.on(func() func(context.Context, string) error {
			n := 0
			return func(_ context.Context, op string) error {
				if op == "delete" {
					if n++; n == 2 {
						return errBroken
					}
				}
				return nil
			}
		}())
		_, err := c.Hold(t.Context(), []string{"a", "b"})
		require.ErrorIs(t, err, errBroken)
		for _, k := range []string{"a", "b"} {
			require.NoError(t, c.Set(t.Context(), k, 2), "if Hold fails, nothing is held")
		}
	})
}

// A hold that panics is none either.
func TestStandInHoldPanics(t *testing.T) {
	for _, tt := range []struct {
		rule   string
		second any
		faulty bool
	}{
		{"the store, over the second key", "b", true},
		{"a key that cannot be compared", []int{1}, false},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &tamper[any, int]{inner: newMemory[any, int](t), leaseless: true}
				c := strategies.LookAside(store)
				store.on(func(_ context.Context, op string) error {
					if tt.faulty && op == "delete" && store.called("delete") == 2 {
						panic("boom")
					}
					return nil
				})
				require.Panics(t, func() { c.Hold(t.Context(), []any{"a", tt.second}) })
				for _, k := range []string{"a", "b"} {
					require.NoError(t, c.Set(t.Context(), k, 2))
				}
			})
		})
	}
}

// Leases and holds that end by themselves leave nothing behind in the table.
func TestStandInForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := plain[string, int]{newMemory[string, int](t)}
		src := newSource(map[string]int{})
		c := strategies.ReadThrough[string, int](store, src, strategies.WithHoldLife(time.Second))
		for i := range 5000 {
			_, err := c.Hold(t.Context(), []string{fmt.Sprint("k", i)})
			require.NoError(t, err)
			if i%1000 == 0 {
				time.Sleep(2 * time.Second)
			}
		}
		time.Sleep(2 * time.Second)
		require.NoError(t, c.Set(t.Context(), "k1", 1), "an ended hold is in nobody's way")
		hasValue(t, 1, <-asked(t.Context(), c, "k1"))
	})
}
