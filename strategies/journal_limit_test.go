package strategies_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/strategies"
)

// A write whose record can never fit into the journal is refused before it is accepted, also where nobody waits for the
// journal, and others are not concerned.
func TestRecordsBeyondTheLimitAreRefused(t *testing.T) {
	for _, every := range []time.Duration{0, 50 * time.Millisecond} {
		t.Run(fmt.Sprint(every), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, j := newLedger(), memjournal.New()
				j.SetMaxRecord(200)
				c := heavyCache(t, l, j, strategies.WriteBackConfig[string, int]{SyncEvery: every})
				long := strings.Repeat("k", 200)
				require.ErrorIs(t, c.Set(t.Context(), long, 1), tarn.ErrTooHeavy)
				require.ErrorIs(t, c.Delete(t.Context(), long), tarn.ErrTooHeavy)
				err := c.SetMany(t.Context(), []string{"a", long, "b"}, []int{1, 2, 3})
				require.ErrorIs(t, err, tarn.ErrTooHeavy)
				require.NoError(t, c.Set(t.Context(), "c", 4))
				_, err = c.Get(t.Context(), long)
				require.ErrorIs(t, err, tarn.ErrNotFound)
				require.NoError(t, c.Close(t.Context()))
				require.Equal(t, 3, len(l.rows()))
			})
		})
	}
}
