package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

func TestFull(t *testing.T) {
	for _, size := range []int{0, 100, 1000, 3000, 20_000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			const most = 1 << 20
			j := open(t, path, bolt.Options{MaxBytes: most})
			replay(t, j)
			last := fill(t, j, size, most)
			require.Greater(t, last*uint64(size+50), uint64(most/5), "it was full too soon")

			// All of them go, though they lie in every page of a full file.
			for _, step := range []uint64{7, 3, 1} {
				var gone []uint64
				for seq := step; seq < last; seq += step {
					gone = append(gone, seq)
				}
				require.NoError(t, j.Append(t.Context(), journal.Change{Remove: gone}))
				requireBound(t, path, most)
			}
			require.Equal(t, 1, j.Stats().Records)
			put(t, j, records(last+1, last+5, size)...)
			require.NoError(t, j.Close())
			require.Equal(t, numbers(last, last+5), replay(t, open(t, path, bolt.Options{MaxBytes: most})))
		})
	}
}

// fill puts records until there is no room, and returns the last number.
func fill(t *testing.T, j *bolt.Journal, size int, most int64) uint64 {
	each := max(20_000/(uint64(size)+50), 1)
	for seq := uint64(1); ; seq += each {
		err := j.Append(t.Context(), journal.Change{Put: records(seq, seq+each-1, size)})
		if err != nil {
			require.ErrorIs(t, err, journal.ErrFull)
			require.ErrorIs(t, err, tarn.ErrFull)
			require.EqualValues(t, seq-1, j.Stats().Records, "of a change that is refused, nothing happens")
			require.LessOrEqual(t, j.Stats().Bytes, most)
			require.Greater(t, j.Stats().FreeBytes, int64(200<<10), "a reserve is kept for removals")
			return seq - 1
		}
	}
}

func requireBound(t *testing.T, path string, most int64) {
	t.Helper()
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), most)
}

func TestTooLarge(t *testing.T) {
	j := open(t, filepath.Join(t.TempDir(), "journal"), bolt.Options{MaxBytes: 4 << 20})
	replay(t, j)
	err := j.Append(t.Context(), journal.Change{Put: []journal.Record{record(1, 1<<20)}})
	require.ErrorIs(t, err, tarn.ErrTooHeavy)
	require.NotErrorIs(t, err, tarn.ErrFull, "waiting does not help")
	put(t, j, record(1, 1<<20-100))
}

// A journal that holds little takes as much of the disk as it needs, however much goes through it.
func TestReusesWhatIsFree(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, bolt.Options{})
	replay(t, j)
	var gone []uint64
	for seq := uint64(1); seq < 20_000; seq += 100 {
		require.NoError(t, j.Append(t.Context(), journal.Change{Remove: gone, Put: records(seq, seq+99, 100)}))
		gone = numbers(seq, seq+99)
	}
	requireBound(t, path, 1<<20)
}

// TestDiskFull limits what the kernel lets a file grow to, in a program of its own.
func TestDiskFull(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "JOURNAL_CHILD=full", "JOURNAL_PATH="+path)
	said, err := cmd.CombinedOutput()
	require.NoError(t, err, string(said))
	var first, last uint64
	_, err = fmt.Sscanf(string(said), "has %d to %d", &first, &last)
	require.NoError(t, err, string(said))
	require.Equal(t, numbers(first, last), replay(t, open(t, path, bolt.Options{})))
}

// fillLimited is that program. It says which records the journal should have.
func fillLimited(path string) {
	signal.Ignore(syscall.SIGXFSZ)
	ctx := context.Background()
	j := must(bolt.Open(path, bolt.Options{}))
	must(j.Replay(ctx, func(journal.Record) error { return nil }))
	limit(3 << 20)
	first, last := uint64(1), uint64(0)
	fill := func() {
		for {
			err := j.Append(ctx, journal.Change{Put: records(last+1, last+50, 200)})
			if errors.Is(err, journal.ErrFull) {
				return
			}
			check(err == nil, "filling:", err)
			last += 50
		}
	}
	drop := func(n uint64) {
		err := j.Append(ctx, journal.Change{Remove: numbers(first, first+n-1)})
		check(err == nil, "removing from a full disk:", err)
		first += n
	}
	fill()
	check(last > 5000, "it was full too soon:", last)
	fill()
	drop(1000)
	before := last
	fill()
	check(last > before, "what was removed made no room")

	// Now the disk shrinks below what the file has: bbolt's own writes fail, some of them.
	limit(1 << 20)
	failed := 0
	for range 100 {
		err := j.Append(ctx, journal.Change{Remove: []uint64{first}, Put: records(last+1, last+50, 200)})
		switch {
		case err == nil:
			first, last = first+1, last+50
		case errors.Is(err, journal.ErrFull):
			failed++
		default:
			check(false, "shrunk:", err)
		}
	}
	check(failed > 0, "nothing failed")
	limit(64 << 20)
	drop(500)
	err := j.Append(ctx, journal.Change{Put: records(last+1, last+500, 200)})
	check(err == nil, "after there was room again:", err)
	last += 500
	check(j.Close() == nil, "Close")
	fmt.Printf("has %d to %d\n", first, last)
	os.Exit(0)
}

func limit(size uint64) {
	var l syscall.Rlimit
	check(syscall.Getrlimit(syscall.RLIMIT_FSIZE, &l) == nil, "Getrlimit")
	set(&l.Cur, size)
	check(syscall.Setrlimit(syscall.RLIMIT_FSIZE, &l) == nil, "Setrlimit")
}

// set sets a number whose type depends on the system.
func set[T int64 | uint64](to *T, n uint64) { *to = T(n) }

func must[T any](v T, err error) T {
	check(err == nil, err)
	return v
}

func check(ok bool, says ...any) {
	if !ok {
		fmt.Println(says...)
		os.Exit(1)
	}
}
