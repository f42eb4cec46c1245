package bolt

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"sync"

	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// Journal is a [journal.Journal] in a file. It belongs to one strategy. It has no goroutines.
type Journal struct {
	path    string
	options Options

	turn  chan struct{} // holds one token: whoever has taken it may change what is here, and db
	state state         // as of the last transaction
	epoch uint64        // that of state, which never changes
	dead  error         // why nothing is accepted any more; nil: it works
	wrote bool          // since it was opened
	buf   []byte        // for encoded records

	using sync.RWMutex // protects db and file from being closed or replaced while they are read
	db    *bbolt.DB    // nil: closed
	file  *os.File     // that of db

	mu       sync.Mutex // protects replays, stats
	replayed bool
	stats    journal.Stats
}

var (
	_ journal.Journal = (*Journal)(nil)
	_ journal.Stater  = (*Journal)(nil)

	errReplayedTwice = errors.New("a journal is replayed once, by the one strategy that it belongs to")
	errNotReplayed   = errors.New("a journal is replayed before anything is appended to it")
)

// Open opens the journal that is kept in a file, and creates it if there is none; the folder has to be there. The file
// and its lock are this process' until Close. If most of the file is free, Open compacts it.
//
// It reads the whole file. One that is no journal, that a newer version has written ([journal.ErrVersion]) or in which
// something other than single records is damaged ([*journal.DamageError]) is refused, and stays as it is. So is an
// empty one: whatever emptied it, there may have been records. A journal is made and compacted in a file beside it, whose
// name is the journal's with ".tarn-new" behind it, so Open refuses a name that ends in that. Open panics if Options are
// out of range.
func Open(path string, options Options) (*Journal, error) {
	options = options.withDefaults()
	j, err := open(path, options)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", path, err)
	}
	return j, nil
}

func open(path string, options Options) (*Journal, error) {
	path, err := resolve(path)
	if err == nil {
		err = checkName(path)
	}
	if err != nil {
		return nil, err
	}
	f, err := options.openFile(path, 0)
	if errors.Is(err, os.ErrNotExist) {
		if err := options.create(path); err != nil {
			return nil, err
		}
		f, err = options.openFile(path, 0)
	}
	if err != nil {
		return nil, err
	}
	j, err := use(f, path, options)
	if err != nil {
		f.Close()
		return nil, err
	}
	return j, nil
}

// resolve follows links, so that what replaces the file stands where the file stood.
func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	real, err := filepath.EvalSymlinks(path)
	if !errors.Is(err, os.ErrNotExist) {
		return real, err
	}
	if _, lerr := os.Lstat(path); lerr == nil {
		return "", fmt.Errorf("a link to nothing: %w", err)
	}
	return path, nil
}

func use(f *os.File, path string, options Options) (*Journal, error) {
	in, err := inspect(f)
	if err != nil {
		return nil, err
	}
	db, err := openDB(f, options)
	if err != nil {
		return nil, err
	}
	j := &Journal{
		path: path, options: options, turn: make(chan struct{}, 1), state: in.state, epoch: in.state.epoch,
		db: db, file: f, stats: journal.Stats{MaxBytes: options.MaxBytes},
	}
	j.turn <- struct{}{}
	if err := contained(j.measure); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	if in.damaged == 0 && j.mostlyFree() {
		if err := j.compact(context.Background()); err != nil {
			return nil, errors.Join(err, j.db.Close())
		}
	}
	return j, nil
}

// openDB has bbolt use a file that is open, locked and inspected.
func openDB(f *os.File, options Options) (db *bbolt.DB, err error) {
	o := &bbolt.Options{
		Timeout:         options.LockTimeout,
		PageSize:        pageSize,
		MaxSize:         int(min(options.MaxBytes, math.MaxInt)),
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true, // else each transaction writes the whole list
		InitialMmapSize: initialMap(options.MaxBytes),
		OpenFile:        func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	}
	err = contained(func() error {
		db, err = bbolt.Open(f.Name(), 0o600, o)
		return err
	})
	if err == nil {
		db.AllocSize = 0 // grow here makes the file longer
	}
	return db, err
}

// initialMap spares readers and writers each other: bbolt waits for all readers before it maps more of the file.
func initialMap(maxBytes int64) int {
	if strconv.IntSize < 64 {
		return 0
	}
	return int(min(maxBytes, 1<<32))
}

// create makes a journal that is whole before it has its name, so that a crash leaves one or none. That it is there
// already is no error.
func (o Options) create(path string) error {
	temporary := path + unfinished
	f, err := o.openUnfinished(path)
	if err != nil {
		return err
	}
	if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
		return errors.Join(err, remove(temporary), f.Close()) // another process was quicker
	}
	db, err := o.initialize(f, state{epoch: newEpoch()})
	if err != nil {
		return errors.Join(err, remove(temporary), f.Close())
	}
	err = rename(temporary, path)
	if err == nil {
		err = syncFolder(path)
	}
	return errors.Join(err, db.Close())
}

// initialize makes a locked file an empty journal, whatever it was.
func (o Options) initialize(f *os.File, s state) (*bbolt.DB, error) {
	if err := truncate(f, 0); err != nil {
		return nil, err
	}
	db, err := openDB(f, o)
	if err != nil {
		return nil, err
	}
	err = contained(func() error { return db.Update(s.initialize) })
	if err == nil {
		err = settle(db)
	}
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

func (s state) initialize(tx *bbolt.Tx) error {
	about, err := tx.CreateBucket(aboutBucket)
	if err != nil {
		return err
	}
	if _, err := tx.CreateBucket(recordsBucket); err != nil {
		return err
	}
	if err := about.Put(formatKey, binary.AppendUvarint(nil, format)); err != nil {
		return err
	}
	return about.Put(stateKey, s.append(nil))
}

// settle has both first pages of the file tell the same: from then on damage to one is no loss.
func settle(db *bbolt.DB) error {
	return contained(func() error { return db.Update(func(*bbolt.Tx) error { return nil }) })
}

// newEpoch returns a random number that fits a signed column and is not zero.
func newEpoch() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // which never fails
	return max(binary.BigEndian.Uint64(b[:])>>1, 1)
}

// contained turns a panic of bbolt over a damaged file, or a fault over one that cannot be read, into an error after
// which nothing may be tried again.
func contained(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = &fatalError{error: fmt.Errorf("bbolt panicked: %v", p), panicked: true}
		}
	}()
	return f()
}

// Epoch returns the number that all of the journal's records have in common.
func (j *Journal) Epoch() uint64 { return j.epoch }

// take waits for its turn to change the journal.
func (j *Journal) take(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	select {
	case <-j.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *Journal) give() { j.turn <- struct{}{} }

// Close waits for an Append that is under way and closes the file. A Replay ends with [tarn.ErrClosed]. It is
// harmless to call it again.
func (j *Journal) Close() error {
	<-j.turn
	defer j.give()
	if j.db == nil {
		return nil
	}
	var err error
	if j.wrote && j.dead == nil {
		err = settle(j.db)
	}
	j.using.Lock()
	defer j.using.Unlock()
	err = errors.Join(err, j.release())
	j.db, j.dead = nil, tarn.ErrClosed
	if err != nil {
		return fmt.Errorf("close a journal: %w", err)
	}
	return nil
}

// release closes the file. After a panic bbolt's own locks may be held for ever, so then it is left alone.
func (j *Journal) release() error {
	if panicked(j.dead) {
		return j.file.Close()
	}
	return j.db.Close()
}

// Stats tells what the journal holds, as of the last Append. What is free is what could be used again at once.
func (j *Journal) Stats() journal.Stats {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.stats
}
