package bolt_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// What is merged until it is due may be more than one record of the journal holds.
func TestAccumulateMoreThanARecord(t *testing.T) {
	for _, every := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint("every ", every), func(t *testing.T) {
			j := open(t, filepath.Join(t.TempDir(), "journal"), bolt.Options{MaxBytes: 4 << 20})
			var mu sync.Mutex // protects got
			got := map[int]int{}
			a, err := strategies.Accumulate(
				tarn.LoadFunc(func(context.Context, int) ([]byte, error) { return nil, tarn.ErrNotFound }),
				func(_ context.Context, b strategies.Batch[int, []byte]) error {
					mu.Lock()
					defer mu.Unlock()
					for _, d := range b.Deltas {
						got[d.Key] += len(d.Delta)
					}
					return nil
				},
				strategies.Append[byte](),
				strategies.AccumulateConfig[int, []byte]{Journal: j, SyncEvery: every, MaxDelay: time.Hour},
			)
			require.NoError(t, err)
			var adds sync.WaitGroup
			for key := range 400 {
				adds.Go(func() {
					if err := a.Add(t.Context(), key, make([]byte, 3<<10)); err != nil {
						t.Error(err)
					}
				})
			}
			adds.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			require.NoError(t, a.Close(ctx))
			require.Len(t, got, 400)
			for _, n := range got {
				require.Equal(t, 3<<10, n)
			}
			require.Zero(t, j.Stats().Records)
		})
	}
}
