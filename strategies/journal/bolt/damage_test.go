package bolt_test

import (
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// sample returns the bytes of a journal with pages of all kinds, and the numbers of its records.
func sample(t testing.TB) (file []byte, seqs []uint64) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal")
	j := open(t, path, bolt.Options{})
	replay(t, j)
	put(t, j, records(1, 400, 30)...)
	put(t, j, records(401, 403, 9000)...)
	put(t, j, records(404, 1200, 1)...)
	require.NoError(t, j.Append(t.Context(), journal.Change{Remove: numbers(100, 250)}))
	require.NoError(t, j.Compact(t.Context()))
	require.NoError(t, j.Append(t.Context(), journal.Change{Remove: []uint64{402}}))
	require.NoError(t, j.Close())
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	return file, slices.Concat(numbers(1, 99), numbers(251, 401), numbers(403, 1200))
}

// requireRight opens a damaged file. It may be refused, and its replay may end; what it hands out is right, and when
// it ends well, all.
func requireRight(t *testing.T, path string, file []byte, want []uint64) (refused bool) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, file, 0o600))
	j, err := bolt.Open(path, bolt.Options{LockTimeout: -1})
	if err != nil {
		return true
	}
	defer j.Close()
	got, _, err := tryReplay(j)
	require.LessOrEqual(t, len(got), len(want))
	require.True(t, slices.Equal(want[:len(got)], got), "it handed out what was not there")
	if err != nil {
		require.ErrorIs(t, err, journal.ErrUnreadable)
		return true
	}
	require.Len(t, got, len(want), "records are missing")
	return false
}

// TestSoakDamage flips bits in the heads of all pages, and anywhere; in eight times as many places with TARN_SOAK.
func TestSoakDamage(t *testing.T) {
	step := 8
	if os.Getenv("TARN_SOAK") != "" {
		step = 1
	}
	file, want := sample(t)
	path, random := filepath.Join(t.TempDir(), "journal"), rand.New(rand.NewPCG(1, 2))
	refused, tried := 0, 0
	try := func(at int, bits byte) {
		file[at] ^= bits
		if tried++; requireRight(t, path, file, want) {
			refused++
		}
		file[at] ^= bits
	}
	require.False(t, requireRight(t, path, file, want))
	for at := 0; at < len(file); at += 4096 {
		for i := 0; i < 16+3*16; i += step {
			try(at+i, 1<<random.IntN(8))
		}
	}
	for range 640 / step {
		try(random.IntN(len(file)), byte(1+random.IntN(255)))
	}
	t.Logf("%d of %d refused, in a file of %d bytes", refused, tried, len(file))
	require.Greater(t, refused, tried/4)
}

// TestDamagedFirstPage has either of the first pages damaged: after a Close both tell the same.
func TestDamagedFirstPage(t *testing.T) {
	file, want := sample(t)
	path := filepath.Join(t.TempDir(), "journal")
	for page := range 2 {
		damaged := slices.Clone(file)
		for i := range 4096 {
			damaged[page*4096+i] ^= 0xa5
		}
		require.False(t, requireRight(t, path, damaged, want))
	}
}

func FuzzDamage(f *testing.F) {
	file, want := sample(f)
	f.Add([]byte{0, 0, 0, 1})
	f.Add([]byte{0, 0x20, 8, 1, 0, 0x30, 10, 0xff})
	path := filepath.Join(f.TempDir(), "journal")
	f.Fuzz(func(t *testing.T, flips []byte) {
		damaged := slices.Clone(file)
		for ; len(flips) >= 4; flips = flips[4:] {
			at := int(binary.BigEndian.Uint32(flips)>>8) % len(damaged)
			damaged[at] ^= flips[3]
		}
		requireRight(t, path, damaged, want)
	})
}

// Without a quarantine nothing is changed, however often a start is tried.
func TestNoQuarantine(t *testing.T) {
	path := made(t, 50, 100)
	require.NoError(t, place{path}.Damage(3))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	for range 2 {
		j := open(t, path, bolt.Options{})
		got, _, err := tryReplay(j)
		require.ErrorContains(t, err, "record 3")
		require.ErrorIs(t, err, journal.ErrUnreadable)
		require.Equal(t, numbers(1, 2), got)
		require.NoError(t, j.Close())
	}
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestQuarantinePutsAside(t *testing.T) {
	path := made(t, 50, 100)
	aside := path + ".aside"
	for _, seq := range []uint64{3, 4, 50} {
		require.NoError(t, place{path}.Damage(seq))
	}
	j := open(t, path, bolt.Options{Quarantine: aside})
	want := slices.DeleteFunc(numbers(1, 49), func(seq uint64) bool { return seq == 3 || seq == 4 || seq == 20 })
	var got []uint64
	_, err := j.Replay(t.Context(), func(r journal.Record) error {
		if r.Seq == 20 { // which the journal can read, and its reader cannot
			return journal.ErrUnreadable
		}
		got = append(got, r.Seq)
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.EqualValues(t, 4, j.Stats().Quarantined)
	require.Equal(t, len(want), j.Stats().Records)
	epoch := j.Epoch()
	require.NoError(t, j.Close())

	info, err := os.Stat(aside)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
	data, err := os.ReadFile(aside)
	require.NoError(t, err)
	var kept []uint64
	for len(data) > 0 {
		seq, size := binary.BigEndian.Uint64(data), binary.BigEndian.Uint32(data[8:])
		if seq == 20 {
			r, err := journal.Parse(data[12:12+size], epoch, 20)
			require.NoError(t, err)
			require.Equal(t, record(20, 100).Value, r.Value)
		}
		kept, data = append(kept, seq), data[12+size:]
	}
	require.Equal(t, []uint64{3, 4, 20, 50}, kept)
	require.Equal(t, want, replay(t, open(t, path, bolt.Options{})), "what was put aside is gone for good")
}

// What cannot be put aside stays.
func TestQuarantineFails(t *testing.T) {
	path := made(t, 5, 100)
	require.NoError(t, place{path}.Damage(3))
	j := open(t, path, bolt.Options{Quarantine: filepath.Join(t.TempDir(), "no", "aside")})
	_, _, err := tryReplay(j)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.Equal(t, 5, j.Stats().Records)
}

// A record of a newer version is whole: it is neither damaged nor put aside.
func TestNewerRecord(t *testing.T) {
	path := made(t, 5, 100)
	change(t, path, func(tx *bbolt.Tx) error {
		about, key := tx.Bucket([]byte("tarn journal")), binary.BigEndian.AppendUint64(nil, 6)
		state := slices.Clone(about.Get([]byte("state")))
		newer := []byte{2, 1, 'w', 'h', 'a', 't', 'e', 'v', 'e', 'r', '!'}
		d := xxhash.NewWithSeed(binary.BigEndian.Uint64(state))
		_, _ = d.Write(newer)
		newer = d.Sum(newer)
		sum := xxhash.Sum64(append(slices.Clone(key), newer[len(newer)-8:]...))
		binary.BigEndian.PutUint64(state[8:], 6)
		binary.BigEndian.PutUint64(state[16:], 6)
		binary.BigEndian.PutUint64(state[24:], binary.BigEndian.Uint64(state[24:])+sum)
		binary.BigEndian.PutUint64(state[32:], xxhash.Sum64(state[:32]))
		return errors.Join(about.Put([]byte("state"), state), tx.Bucket([]byte("records")).Put(key, newer))
	})
	j := open(t, path, bolt.Options{Quarantine: path + ".aside"})
	got, _, err := tryReplay(j)
	require.ErrorIs(t, err, journal.ErrVersion)
	require.NotErrorIs(t, err, journal.ErrUnreadable)
	require.Equal(t, numbers(1, 5), got)
	require.Equal(t, 6, j.Stats().Records)
	require.NoFileExists(t, path+".aside")
}
