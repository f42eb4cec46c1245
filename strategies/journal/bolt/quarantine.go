package bolt

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"

	"github.com/tarncache/tarn/strategies/journal"
)

// quarantine puts a record aside, and removes it when that is durable.
func (j *Journal) quarantine(ctx context.Context, seq uint64, data []byte) error {
	if err := keep(j.options.Quarantine, seq, data); err != nil {
		return fmt.Errorf("put record %d aside: %w", seq, err)
	}
	if err := j.take(ctx); err != nil {
		return err
	}
	defer j.give()
	if err := j.apply(journal.Change{Remove: []uint64{seq}}); err != nil {
		return err
	}
	j.tell(func(s *journal.Stats) { s.Quarantined++ })
	return nil
}

func keep(path string, seq uint64, data []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := f.Chmod(0o600); err != nil {
		return err
	}
	entry := binary.BigEndian.AppendUint64(nil, seq)
	entry = binary.BigEndian.AppendUint32(entry, uint32(len(data)))
	if _, err := f.Write(append(entry, data...)); err != nil {
		return err
	}
	return errors.Join(syncFile(f), syncFolder(path))
}
