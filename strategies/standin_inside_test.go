package strategies

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

// forgetful is a store that keeps nothing.
type forgetful[K comparable] struct{}

func (forgetful[K]) Get(context.Context, K) (tarn.Entry[int], bool, error) {
	return tarn.Entry[int]{}, false, nil
}
func (forgetful[K]) Set(context.Context, K, tarn.Entry[int]) error { return nil }
func (forgetful[K]) Delete(context.Context, K) error               { return nil }

func standInOf[K comparable]() *standIn[K, int] {
	_, l, _ := guarded[K, int](forgetful[K]{})
	return l.(*standIn[K, int])
}

// What is in the table is bounded by what goes on: nothing outlives its lease or hold for long.
func TestStandInTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := standInOf[string]()
		for i := range 20_000 {
			key := []string{fmt.Sprint(i)}
			leases := make([]tarn.Lease[int], 1)
			require.NoError(t, s.Lease(t.Context(), key, tarn.LeaseTerms{Life: time.Second}, leases))
			require.Equal(t, tarn.Granted, leases[0].State)
			if i%2 == 0 {
				require.NoError(t, s.Fill(t.Context(), []tarn.Fill[string, int]{{Key: key[0], Token: leases[0].Token}}))
			}
			time.Sleep(5 * time.Millisecond) // 100 leases live at any time
		}
		require.Less(t, len(s.records), 3000)
		require.Empty(t, s.locks.queues)
		time.Sleep(time.Second)
		require.NoError(t, s.Delete(t.Context(), "19999"))
		require.NotContains(t, s.records, "19999")
	})
}

func TestStandInKeepsNoNaN(t *testing.T) {
	s := standInOf[float64]()
	nan := 0.0
	nan /= nan
	for range 100 {
		leases := make([]tarn.Lease[int], 1)
		require.NoError(t, s.Lease(t.Context(), []float64{nan}, tarn.LeaseTerms{Life: time.Hour}, leases))
		require.NoError(t, s.Hold(t.Context(), []float64{nan}, time.Hour, make([]tarn.Token, 1)))
		require.NoError(t, s.Set(t.Context(), nan, tarn.Entry[int]{}))
	}
	require.Empty(t, s.records)
	require.Empty(t, s.locks.queues)
}

// Loads leave nothing behind in the table of flights, however they ended.
func TestFlightsLeaveNothingBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		nan := 0.0
		nan /= nan
		c := ReadThrough[float64, int](forgetful[float64]{}, tarn.LoadFunc(func(ctx context.Context, k float64) (int, error) {
			select {
			case <-time.After(time.Second):
			case <-ctx.Done():
			}
			if k == 3 {
				panic("boom")
			}
			return 1, ctx.Err()
		}))
		leaving, leave := context.WithTimeout(t.Context(), time.Second/2)
		defer leave()
		for _, ctx := range []context.Context{t.Context(), leaving, t.Context()} {
			for _, k := range []float64{1, 2, 3, nan} {
				go c.Get(ctx, k)
				go c.GetMany(ctx, []float64{k, 1, 5, nan}, make([]tarn.Result[int], 4))
			}
			time.Sleep(time.Second / 4)
			c.Delete(t.Context(), 1)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Empty(t, c.reader.flights.slots)
		require.Empty(t, c.reader.flights.loads)
		require.NoError(t, c.Close(t.Context()))
	})
}
