package bolt_test

import (
	"encoding/binary"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn/internal/child"
	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// change changes a journal behind its back.
func change(t *testing.T, path string, f func(tx *bbolt.Tx) error) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	require.NoError(t, err)
	require.NoError(t, db.Update(f))
	require.NoError(t, db.Update(func(*bbolt.Tx) error { return nil }))
	require.NoError(t, db.Close())
}

func TestOpenRefuses(t *testing.T) {
	text := func(s string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) { require.NoError(t, os.WriteFile(path, []byte(s), 0o600)) }
	}
	about, recs := []byte("tarn journal"), []byte("records")
	tests := []struct {
		rule string
		make func(t *testing.T, path string)
		is   error
		says string
	}{
		{"a text is no journal", text(strings.Repeat("text ", 10_000)), nil, "not a journal"},
		{"nor is a short one", text("text"), nil, "not a journal"},
		{"an empty file has lost what it had", text(""), nil, "not a journal"},
		{"nor is a folder", func(t *testing.T, path string) { require.NoError(t, os.Mkdir(path, 0o700)) }, syscall.EISDIR, ""},
		{"nor is another's database", func(t *testing.T, path string) {
			db, err := bbolt.Open(path, 0o600, nil)
			require.NoError(t, err)
			require.NoError(t, db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err }))
			require.NoError(t, db.Close())
		}, nil, "not a journal"},
		{"nor one without a list of what is free", func(t *testing.T, path string) {
			change(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err })
		}, nil, "not a journal"},
		{"a bucket too many is another's", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(made(t, 5, 10), path))
			change(t, path, func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("b")); return err })
		}, nil, "not a journal"},
		{"a newer version's file is not touched", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(made(t, 5, 10), path))
			change(t, path, func(tx *bbolt.Tx) error {
				if _, err := tx.CreateBucket([]byte("something new")); err != nil {
					return err
				}
				return tx.Bucket(about).Put([]byte("format"), binary.AppendUvarint(nil, 2))
			})
		}, journal.ErrVersion, "format 2"},
		{"half a file is damaged", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(made(t, 500, 100), path))
			require.NoError(t, os.Truncate(path, 20_000))
		}, journal.ErrUnreadable, "cut short"},
		{"a record that is gone is missed", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(made(t, 5, 10), path))
			change(t, path, func(tx *bbolt.Tx) error {
				return tx.Bucket(recs).Delete(binary.BigEndian.AppendUint64(nil, 3))
			})
		}, journal.ErrUnreadable, "missing"},
		{"so is one in whose place another stands", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(made(t, 5, 10), path))
			change(t, path, func(tx *bbolt.Tx) error {
				b := tx.Bucket(aboutRecords(recs))
				epoch := binary.BigEndian.Uint64(tx.Bucket(about).Get([]byte("state")))
				return b.Put(binary.BigEndian.AppendUint64(nil, 3), record(3, 11).Append(nil, epoch))
			})
		}, journal.ErrUnreadable, "missing"},
		{"what it knows of itself has a checksum", func(t *testing.T, path string) {
			require.NoError(t, os.Rename(made(t, 5, 10), path))
			change(t, path, func(tx *bbolt.Tx) error {
				state := append([]byte(nil), tx.Bucket(about).Get([]byte("state"))...)
				state[15] ^= 1
				return tx.Bucket(about).Put([]byte("state"), state)
			})
		}, journal.ErrUnreadable, "damaged"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "journal")
			tt.make(t, path)
			before, _ := os.ReadFile(path)
			for range 2 {
				_, err := bolt.Open(path, bolt.Options{Quarantine: path + ".aside"})
				require.Error(t, err)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
				require.Contains(t, err.Error(), tt.says)
				require.Contains(t, err.Error(), path, "which file it is")
			}
			after, _ := os.ReadFile(path)
			require.Equal(t, before, after, "it changed the file")
			require.NoFileExists(t, path+".aside")
		})
	}
}

func aboutRecords(name []byte) []byte { return name }

func TestOpenWithoutFolder(t *testing.T) {
	_, err := bolt.Open(filepath.Join(t.TempDir(), "no", "journal"), bolt.Options{})
	require.ErrorIs(t, err, fs.ErrNotExist)
}

func TestOptionsOutOfRange(t *testing.T) {
	require.PanicsWithValue(t, "bolt: Options.MaxBytes is negative", func() {
		_, _ = bolt.Open(filepath.Join(t.TempDir(), "journal"), bolt.Options{MaxBytes: -1})
	})
}

func TestMode(t *testing.T) {
	t.Cleanup(func(old int) func() { return func() { syscall.Umask(old) } }(syscall.Umask(0)))
	path := filepath.Join(t.TempDir(), "journal")
	mode := func() fs.FileMode {
		info, err := os.Stat(path)
		require.NoError(t, err)
		return info.Mode()
	}
	j := open(t, path, bolt.Options{})
	require.Equal(t, fs.FileMode(0o600), mode(), "a new file is its owner's alone")
	require.NoError(t, j.Close())
	require.NoError(t, os.Chmod(path, 0o664))
	j = open(t, path, bolt.Options{})
	require.Equal(t, fs.FileMode(0o600), mode(), "a file that others can read is narrowed")
	require.NoError(t, j.Compact(t.Context()))
	require.Equal(t, fs.FileMode(0o600), mode(), "so is the one that takes its place")
}

// A crash while a journal is made or compacted leaves a file beside it.
func TestLeftBehind(t *testing.T) {
	for _, what := range []string{"", "text", strings.Repeat("text", 100_000)} {
		path := filepath.Join(t.TempDir(), "journal")
		require.NoError(t, os.WriteFile(path+".tarn-new", []byte(what), 0o644))
		j := open(t, path, bolt.Options{})
		replay(t, j)
		put(t, j, record(1, 10))
		require.NoFileExists(t, path+".tarn-new")
		require.NoError(t, os.WriteFile(path+".tarn-new", []byte(what), 0o644))
		require.NoError(t, j.Compact(t.Context()))
		require.NoFileExists(t, path+".tarn-new")
		require.NoError(t, j.Close())
		require.Equal(t, []uint64{1}, replay(t, open(t, path, bolt.Options{})))
	}
}

// What a journal is made and compacted in is never another journal.
func TestNoJournalIsWrittenOver(t *testing.T) {
	for _, name := range []string{"orders.new", "orders.tarn-new", "orders.TARN-New"} {
		t.Run(name, func(t *testing.T) {
			folder := t.TempDir()
			other := filepath.Join(folder, name)
			j, err := bolt.Open(other, bolt.Options{})
			if name != "orders.new" {
				require.ErrorContains(t, err, "not a journal yet")
				require.NoFileExists(t, other)
				return
			}
			require.NoError(t, err)
			replay(t, j)
			put(t, j, records(1, 10, 10)...)
			require.NoError(t, j.Close())
			j = open(t, filepath.Join(folder, "orders"), bolt.Options{})
			require.Empty(t, replay(t, j))
			require.NoError(t, j.Compact(t.Context()))
			require.Equal(t, numbers(1, 10), replay(t, open(t, other, bolt.Options{})))
		})
	}
	t.Run("at the end of a link", func(t *testing.T) {
		other := made(t, 5, 10)
		path := filepath.Join(t.TempDir(), "orders")
		require.NoError(t, os.Symlink(other, path+".tarn-new"))
		_, err := bolt.Open(path, bolt.Options{LockTimeout: -1})
		require.ErrorContains(t, err, "in the way")
		require.Equal(t, numbers(1, 5), replay(t, open(t, other, bolt.Options{})))
	})
}

func TestLink(t *testing.T) {
	folder := t.TempDir()
	path, link := filepath.Join(folder, "journal"), filepath.Join(folder, "link")
	require.NoError(t, os.Symlink(path, link))
	_, err := bolt.Open(link, bolt.Options{})
	require.Error(t, err, "a link to nothing is no name for a new journal")
	require.NoError(t, os.Rename(made(t, 5, 10), path))
	j := open(t, link, bolt.Options{})
	require.NoError(t, j.Compact(t.Context()))
	require.NoError(t, j.Close())
	require.Equal(t, numbers(1, 5), replay(t, open(t, path, bolt.Options{})), "it replaced the link, not the file")
	info, err := os.Lstat(link)
	require.NoError(t, err)
	require.NotZero(t, info.Mode()&fs.ModeSymlink)
}

func TestLockBetweenProcesses(t *testing.T) {
	path := made(t, 5, 10)
	t.Setenv("JOURNAL_CHILD", "hold")
	t.Setenv("JOURNAL_PATH", path)
	log := filepath.Join(t.TempDir(), "log")
	p, err := child.Program{Path: os.Args[0], Log: log}.Start()
	require.NoError(t, err)
	defer p.End()
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(log)
		return strings.Contains(string(text), "open <nil>")
	}, time.Minute, 5*time.Millisecond, "the child says that it has the journal")

	began := time.Now()
	_, err = bolt.Open(path, bolt.Options{LockTimeout: 100 * time.Millisecond})
	require.ErrorIs(t, err, journal.ErrLocked)
	require.GreaterOrEqual(t, time.Since(began), 100*time.Millisecond)
	quickest := time.Hour
	for tries := 0; tries < 20 && quickest > 90*time.Millisecond; tries++ { // a busy machine lets one wait that does not mean to
		began = time.Now()
		_, err = bolt.Open(path, bolt.Options{LockTimeout: -1})
		require.ErrorIs(t, err, journal.ErrLocked)
		quickest = min(quickest, time.Since(began))
	}
	require.Less(t, quickest, 90*time.Millisecond)

	time.AfterFunc(50*time.Millisecond, p.End) // by SIGKILL, as every test's child
	j := open(t, path, bolt.Options{LockTimeout: time.Minute})
	require.Equal(t, numbers(1, 5), replay(t, j), "a lock goes with its process")
}

// While a process waits for the lock, its owner may put another file in the place of the one that is locked.
func TestOpenWhileCompacted(t *testing.T) {
	path := made(t, 5, 10)
	j := open(t, path, bolt.Options{})
	replay(t, j)
	opened := make(chan *bolt.Journal)
	go func() {
		other, _ := bolt.Open(path, bolt.Options{LockTimeout: time.Minute})
		opened <- other
	}()
	for range 5 {
		require.NoError(t, j.Compact(t.Context()))
		time.Sleep(5 * time.Millisecond) // so that the other may wait for any of the files
	}
	put(t, j, record(6, 10))
	require.NoError(t, j.Close())
	other := <-opened
	require.NotNil(t, other)
	defer other.Close()
	require.Equal(t, numbers(1, 6), replay(t, other))
}

// Two that make one journal at once make one.
func TestMadeAtOnce(t *testing.T) {
	for range 5 {
		path := filepath.Join(t.TempDir(), "journal")
		epochs := make(chan uint64)
		for range 4 {
			go func() {
				j, err := bolt.Open(path, bolt.Options{LockTimeout: time.Minute})
				if err != nil {
					epochs <- 0
					return
				}
				epoch := j.Epoch()
				_ = j.Close()
				epochs <- epoch
			}()
		}
		first := <-epochs
		require.NotZero(t, first)
		for range 3 {
			require.Equal(t, first, <-epochs)
		}
		require.NoFileExists(t, path+".tarn-new")
	}
}
