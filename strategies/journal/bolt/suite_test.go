package bolt_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
	"github.com/tarncache/tarn/strategies/journal/journaltest"
)

// place is a file's name.
type place struct{ path string }

func (p place) Open() (journal.Journal, error) {
	j, err := bolt.Open(p.path, bolt.Options{LockTimeout: -1})
	if err != nil {
		return nil, err
	}
	return j, nil
}

func (p place) Damage(seq uint64) error {
	file, err := os.ReadFile(p.path)
	if err != nil {
		return err
	}
	head := binary.BigEndian.AppendUint64([]byte{1, byte(journal.Save)}, seq)
	found := false
	for at := 0; ; {
		i := bytes.Index(file[at:], head)
		if i < 0 {
			break
		}
		at += i + len(head)
		file[at+3] ^= 1
		found = true
	}
	if !found {
		return errors.New("there is no such record")
	}
	return os.WriteFile(p.path, file, 0o600)
}

func TestSuite(t *testing.T) {
	journaltest.Run(t, func(t testing.TB) journaltest.Place {
		return place{filepath.Join(t.TempDir(), "journal")}
	})
}
