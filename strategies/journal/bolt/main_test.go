package bolt_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// TestMain is also the programs that the tests start.
func TestMain(m *testing.M) {
	does, path := os.Getenv("JOURNAL_CHILD"), os.Getenv("JOURNAL_PATH")
	switch does {
	case "":
		var err error
		if dir, err = os.MkdirTemp("", "tarn-journal-"); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		code := m.Run()
		os.RemoveAll(dir)
		os.RemoveAll(built.folder) // "" if no test needed it
		os.Exit(code)
	case "hold":
		j, err := bolt.Open(path, bolt.Options{})
		fmt.Println("open", err)
		time.Sleep(time.Hour)
		_ = j
	case "full":
		fillLimited(path)
	}
}

func open(t testing.TB, path string, o bolt.Options) *bolt.Journal {
	t.Helper()
	j, err := bolt.Open(path, o)
	require.NoError(t, err)
	t.Cleanup(func() { j.Close() })
	return j
}

// replay returns the numbers of all records.
func replay(t testing.TB, j *bolt.Journal) []uint64 {
	t.Helper()
	seqs, _, err := tryReplay(j)
	require.NoError(t, err)
	return seqs
}

func tryReplay(j *bolt.Journal) (seqs []uint64, p journal.Position, err error) {
	p, err = j.Replay(context.Background(), func(r journal.Record) error {
		if string(r.Value) != string(record(r.Seq, len(r.Value)).Value) {
			return errors.New("a record has another's value")
		}
		seqs = append(seqs, r.Seq)
		return nil
	})
	return seqs, p, err
}

// record returns the one record of a number and a size.
func record(seq uint64, size int) journal.Record {
	value := make([]byte, size)
	for i := range value {
		value[i] = byte(seq)*31 + byte(i)
	}
	return journal.Record{Seq: seq, Kind: journal.Save, Key: fmt.Appendf(nil, "key %d", seq), Value: value}
}

func records(from, to uint64, size int) (all []journal.Record) {
	for seq := from; seq <= to; seq++ {
		all = append(all, record(seq, size))
	}
	return all
}

func put(t testing.TB, j *bolt.Journal, all ...journal.Record) {
	t.Helper()
	require.NoError(t, j.Append(t.Context(), journal.Change{Put: all}))
}

func numbers(from, to uint64) (seqs []uint64) {
	for seq := from; seq <= to; seq++ {
		seqs = append(seqs, seq)
	}
	return seqs
}

// made returns the name of a closed journal with the records 1 to n.
func made(t testing.TB, n uint64, size int) string {
	t.Helper()
	path := t.TempDir() + "/journal"
	j := open(t, path, bolt.Options{})
	replay(t, j)
	for at := uint64(1); at <= n; at += 10 {
		put(t, j, records(at, min(at+9, n), size)...)
	}
	require.NoError(t, j.Close())
	return path
}
