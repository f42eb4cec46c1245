package strategies_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/internal/memjournal"
)

// With a journal, a full batch waits for its age: what is pending is safe, and more of it is merged.
func TestWriteBackIsPatientWithAJournal(t *testing.T) {
	for _, row := range []struct {
		rule   string
		config wbConfig
		after  time.Duration
		writes int
	}{
		{"with a journal, a full batch waits", wbConfig{Journal: memjournal.New(), MaxBatch: 2}, 900 * time.Millisecond, 0},
		{"and leaves after a second", wbConfig{Journal: memjournal.New(), MaxBatch: 2}, 1100 * time.Millisecond, 4},
		{"or after MaxDelay", wbConfig{Journal: memjournal.New(), MaxBatch: 2, MaxDelay: time.Millisecond}, 2 * time.Millisecond, 4},
		{"without a journal, it leaves at once", wbConfig{MaxBatch: 2}, time.Millisecond, 4},
	} {
		t.Run(row.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, row.config, (*ledger).batched)
				for _, key := range []string{"a", "b", "c", "d"} {
					r.set(t, key, 1)
				}
				pass(row.after)
				require.Len(t, r.source.rows(), row.writes)
			})
		})
	}
}
