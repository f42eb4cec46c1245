package bolt_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// A full journal takes what removes no less than it puts, however often, and has room for removals all the same.
func TestFullExchanges(t *testing.T) {
	for _, size := range []int{100, 1000, 20_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			const most = 1 << 20
			j := open(t, path, bolt.Options{MaxBytes: most})
			replay(t, j)
			last := fill(t, j, size, most)
			for j.Append(t.Context(), journal.Change{Put: records(last+1, last+1, size)}) == nil {
				last++
			}
			first, exchanged := uint64(1), 0
			for ; first < last/2; first++ {
				r := record(first, size)
				r.Seq = last + first
				err := j.Append(t.Context(), journal.Change{Remove: []uint64{first}, Put: []journal.Record{r}})
				if err != nil {
					require.ErrorIs(t, err, journal.ErrFull)
					break
				}
				exchanged++
			}
			requireBound(t, path, most)
			require.EqualValues(t, last/2-1, exchanged)
			require.NoError(t, j.Append(t.Context(), journal.Change{Remove: numbers(1, 2*last)}))
			require.Zero(t, j.Stats().Records)
		})
	}
}

// What MaxRecord tells is the bound.
func TestMaxRecord(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal"), bolt.Options{})
	require.Equal(t, 1<<28, journal.Limit(j))
	j = open(t, filepath.Join(t.TempDir(), "small"), bolt.Options{MaxBytes: 1 << 20})
	replay(t, j)
	limit := journal.Limit(j)
	require.Equal(t, 1<<18, limit)
	r := record(1, limit)
	r.Value = r.Value[:2*limit-r.Size()]
	require.Equal(t, limit, r.Size())
	require.NoError(t, j.Append(t.Context(), journal.Change{Put: []journal.Record{r}}))
	r.Value = append(r.Value, 0)
	require.ErrorIs(t, j.Append(t.Context(), journal.Change{Put: []journal.Record{r}}), tarn.ErrTooHeavy)
}
