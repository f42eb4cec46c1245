package bolt_test

import (
	"context"
	"os"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

func size(t *testing.T, path string) int64 {
	info, err := os.Stat(path)
	require.NoError(t, err)
	return info.Size()
}

// large makes a journal of some megabytes of which the records 1, 101, 201 and so on are left.
func large(t *testing.T) (path string, left []uint64) {
	path = t.TempDir() + "/journal"
	j := open(t, path, bolt.Options{})
	replay(t, j)
	for at := uint64(1); at <= 50_000; at += 5000 {
		put(t, j, records(at, at+4999, 100)...)
	}
	gone := slices.DeleteFunc(numbers(1, 50_000), func(seq uint64) bool { return seq%100 == 1 })
	require.NoError(t, j.Append(t.Context(), journal.Change{Remove: gone, Seq: 70_000}))
	require.NoError(t, j.Close())
	require.Greater(t, size(t, path), int64(4<<20))
	for seq := uint64(1); seq <= 50_000; seq += 100 {
		left = append(left, seq)
	}
	return path, left
}

func TestOpenCompacts(t *testing.T) {
	path, left := large(t)
	j := open(t, path, bolt.Options{})
	require.Less(t, size(t, path), int64(1<<20))
	require.EqualValues(t, 1, j.Stats().Compactions)
	epoch := j.Epoch()
	got, p, err := tryReplay(j)
	require.NoError(t, err)
	require.Equal(t, left, got)
	require.Equal(t, journal.Position{Epoch: epoch, Seq: 70_000}, p)
	put(t, j, record(70_001, 10))
	require.NoError(t, j.Close())
	require.Equal(t, append(left, 70_001), replay(t, open(t, path, bolt.Options{})))
}

func TestCompactDuringReplay(t *testing.T) {
	path := made(t, 3000, 100)
	j := open(t, path, bolt.Options{})
	var got []uint64
	_, err := j.Replay(t.Context(), func(r journal.Record) error {
		if got = append(got, r.Seq); r.Seq%1000 == 500 {
			return j.Compact(t.Context())
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, numbers(1, 3000), got)
}

func TestCompactGivesUp(t *testing.T) {
	path := made(t, 50, 100)
	j := open(t, path, bolt.Options{})
	replay(t, j)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, j.Compact(ended), context.Canceled)
	require.NoError(t, os.Mkdir(path+".tarn-new", 0o700))
	require.Error(t, j.Compact(t.Context()), "there is something that is no file")
	put(t, j, record(51, 100))
	require.NoError(t, j.Close())
	require.ErrorIs(t, j.Compact(t.Context()), tarn.ErrClosed)
	require.Equal(t, numbers(1, 51), replay(t, open(t, path, bolt.Options{})))
}

// The memory that a replay takes does not grow with the number of records.
func TestReplayMemory(t *testing.T) {
	path := t.TempDir() + "/journal"
	j := open(t, path, bolt.Options{})
	replay(t, j)
	for at := uint64(1); at <= 40_000; at += 8000 {
		put(t, j, records(at, at+7999, 300)...)
	}
	require.NoError(t, j.Close())
	j = open(t, path, bolt.Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	n := 0
	_, err := j.Replay(t.Context(), func(journal.Record) error { n++; return nil })
	require.NoError(t, err)
	runtime.ReadMemStats(&after)
	require.Equal(t, 40_000, n)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(3<<20), "of 14 MB")
}

// A Close does not wait for a replay, whose each may take long.
func TestCloseDuringReplay(t *testing.T) {
	path := made(t, 3000, 100)
	j := open(t, path, bolt.Options{})
	_, err := j.Replay(t.Context(), func(journal.Record) error { return j.Close() })
	require.ErrorIs(t, err, tarn.ErrClosed)
}
