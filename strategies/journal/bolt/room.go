package bolt

import (
	"encoding/binary"
	"errors"

	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn/strategies/journal"
)

// makeRoom sees to it, before a change is made, that what it puts has room in the file and on the disk, the reserve
// left aside. What only removes may use the reserve, and gets by with little more than the pages it sets free. What
// removes as much as it puts may use most of it, as it gives back about what it takes.
func (j *Journal) makeRoom(tx *bbolt.Tx, change journal.Change) error {
	if len(change.Put) == 0 {
		return nil
	}
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	size := int64(tx.DB().Info().PageSize)
	has := info.Size() / size
	need := pagesFor(change, size) + reservePages - (has - tx.Size()/size + j.freePages())
	if need <= 0 {
		return nil
	}
	err = j.grow(info.Size(), need, size)
	if errors.Is(err, journal.ErrFull) && need <= reservePages-leastReserve && shrinks(tx, change) {
		return nil
	}
	return err
}

// shrinks reports whether a change removes no less than it puts.
func shrinks(tx *bbolt.Tx, change journal.Change) bool {
	balance, records := 0, tx.Bucket(recordsBucket)
	var key [8]byte
	for _, seq := range change.Remove {
		binary.BigEndian.PutUint64(key[:], seq)
		balance += len(records.Get(key[:]))
	}
	for _, r := range change.Put {
		balance -= r.Size()
	}
	return balance >= 0
}

// grow makes the file longer by so many pages of a size, or more, if it may be.
func (j *Journal) grow(bytes, need, size int64) error {
	has := bytes / size
	most := j.options.MaxBytes / size
	if has+need > most {
		return journal.ErrFull
	}
	// By a quarter, so that it need not be done often.
	more := min(max(need, has/4), max(need, 16<<20/size), most-has)
	err := extend(j.file, bytes, (has+more)*size)
	if more > need && noRoom(err) {
		err = extend(j.file, bytes, (has+need)*size)
	}
	if noRoom(err) && !isFatal(err) {
		return errFull(err)
	}
	return err
}

// pagesFor is more pages than a change takes, in all but odd cases; those bbolt makes room for itself.
func pagesFor(change journal.Change, size int64) int64 {
	const element, path = 16 + 8, 12
	small, pages := int64(0), int64(path+min(len(change.Remove), 32))
	for _, r := range change.Put {
		if one := int64(r.Size() + element); one > size/4 {
			pages += one/size + 2
		} else {
			small += one
		}
	}
	return pages + 2*small/size + 1
}

// freePages are those that the next transaction can use.
func (j *Journal) freePages() int64 {
	s := j.db.Stats()
	return int64(s.FreePageN + s.PendingPageN)
}

// measure notes how large the file is and how much of it is free.
func (j *Journal) measure() error {
	info, err := j.file.Stat()
	if err != nil {
		return err
	}
	return j.db.View(func(tx *bbolt.Tx) error {
		free := info.Size() - tx.Size() + j.freePages()*int64(tx.DB().Info().PageSize)
		j.tell(func(s *journal.Stats) {
			s.Records, s.Bytes, s.FreeBytes = int(j.state.count), info.Size(), max(free, 0)
		})
		return nil
	})
}

func (j *Journal) tell(f func(*journal.Stats)) {
	j.mu.Lock()
	defer j.mu.Unlock()
	f(&j.stats)
}
