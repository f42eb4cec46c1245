package strategies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/strategies/journal"
)

// WriteBackConfig says how [WriteBack] collects and writes what is pending. The zero WriteBackConfig is a good
// default.
type WriteBackConfig[K comparable, V any] struct {
	// MaxBatch is how many keys are written in one batch at most. Zero: 500.
	MaxBatch int

	// MaxDelay is how long a write waits for others to be written with. A batch is due when it is full, or when its
	// oldest write has waited for so long; earlier if a bound is met. It is also what a crash can lose of a source
	// that keeps up. Zero: 100 milliseconds.
	//
	// With a Journal nothing is at risk meanwhile, so a full batch waits as well: the more writes of a key come within
	// MaxDelay, the fewer statements the source sees. Zero: a second.
	MaxDelay time.Duration

	// Concurrency is how many batches are written at once, of different keys. Zero: 4.
	Concurrency int

	// MaxPending is how many keys may be pending, those in flight included. Another write of a pending key needs no
	// further place. Zero: 100,000.
	MaxPending int

	// MaxPendingBytes is how many bytes may be pending, as Size counts them. A value in flight counts until the
	// source has answered, beside a newer one of its key. Zero: no bound.
	MaxPendingBytes int64

	// Size returns the bytes of a value with its key; a negative size counts as 0. A delete counts as no bytes. It
	// must be quick, and is needed if there is a bound on bytes. Nil: bytes are not counted.
	Size func(key K, value V) int64

	// WhenFull says what becomes of a write that finds no room. Zero: BlockWhenFull.
	WhenFull WhenFull

	// MinBackoff and MaxBackoff bound the time after which a key that failed is tried again: a random time up to
	// MinBackoff after the first failure, twice that after the second, and so on up to MaxBackoff. Zero: 100
	// milliseconds and 30 seconds; if only one is set, the other is no less, or no more, than that.
	MinBackoff, MaxBackoff time.Duration

	// MaxAttempts is how often a write is tried before it is handed to DeadLetter, or kept as a dead letter in the Journal
	// if that is nil. What failed only together with others of its batch is tried by itself first, so it may be tried some
	// times more. Attempts count whatever their error, so with a limit an outage gives writes up as well: ten attempts
	// take less than a minute if the source refuses at once. Zero: there is no limit.
	MaxAttempts int

	// DeadLetter is handed a write that is given up: its error is marked by [tarn.Permanent], or it was tried
	// MaxAttempts times. It is not called for a write that a newer one of its key replaces. When it returns, the
	// write is no longer pending, and reads see what the source has. If it panics, the write stays, to be tried
	// again later. ctx ends after WriteTimeout. Calls may be concurrent, but not for one key. After a crash it may be
	// called once more for the same write of a Journal. Nil: with a Journal, what is given up is kept there, see
	// DeadLetters; without, nothing is ever given up, and a permanent failure is tried again every MaxBackoff.
	DeadLetter func(ctx context.Context, letter DeadLetter[K, V])

	// WriteTimeout bounds one call of the Writer: its context ends then. A Writer that goes on regardless keeps its
	// keys and one of the Concurrency places. Where the Writer is no [tarn.BatchWriter], a batch that has taken so
	// long is cut short, and the rest of it is written in another. Zero: 30 seconds.
	WriteTimeout time.Duration

	// Journal keeps what was accepted until the source has it, so that a crash loses nothing; see [WriteBack]. It belongs
	// to who opened it, who closes it after the WriteBackCache, and is used by nothing else meanwhile. Nil: what is pending
	// is in memory alone.
	Journal journal.Journal

	// SyncEvery says when a write is acknowledged. Zero: once the journal has it durably; writes that come together share
	// that. Otherwise at once, and the journal is brought up to date every SyncEvery, and before the source is written: a
	// crash loses the writes of at most SyncEvery, and of the time that two appends to the journal take, the one that is
	// under way and the next; Stats.Unsynced says how many would be lost now.
	// While appends fail, they are tried again, and once a write has waited four times as long, new ones are refused.
	SyncEvery time.Duration

	// Codec turns values into what the journal keeps, and back. What one Codec and its Layers wrote, dead letters included,
	// no other is asked to read: WriteBack returns an error, unless the journal puts such records aside. So they are
	// changed when the journal has none, and a type that changes reads its older form. Nil: that of [codec.For], in
	// which JSON leaves a field that was renamed empty.
	Codec codec.Codec[V]

	// Layers change what Codec made, as compression and encryption do; the first is the first to. Keys stay as they are.
	Layers []codec.Layer

	// AppendKey appends the bytes of a key, which differ for keys that differ, and ParseKey makes the key of them
	// again. Both are needed for a Journal if keys are neither strings nor integers nor types that are an
	// encoding.TextMarshaler, and an encoding.TextUnmarshaler by their pointers.
	AppendKey func(dst []byte, key K) ([]byte, error)
	ParseKey  func(src []byte) (K, error)

	// MaxValue is how many bytes Codec may make of a value for the journal; a write above is refused with
	// [tarn.ErrTooHeavy]. Zero: 8 MB.
	MaxValue int

	// MaxDeadLetters is how many dead letters the journal keeps, and memory with it. A write for which there is no room
	// stays pending, and is tried again every MaxBackoff. Zero: 10,000.
	MaxDeadLetters int

	// StartTimeout bounds how long WriteBack waits, at a time, for the source to take some of what the journal has, if
	// there is more of it than MaxPending. Zero: a minute.
	StartTimeout time.Duration
}

// WhenFull says what becomes of a write that finds no room among the pending.
type WhenFull uint8

const (
	// BlockWhenFull waits for room until the context of the call ends, first come first served.
	BlockWhenFull WhenFull = iota

	// RefuseWhenFull returns [tarn.ErrFull]. Nothing was accepted.
	RefuseWhenFull

	// WriteThroughWhenFull writes the source before the call returns, as WriteThrough does, after whatever is in
	// flight of the key. What was pending of the key is replaced by it.
	WriteThroughWhenFull
)

// DeadLetter is a write that was given up.
type DeadLetter[K comparable, V any] struct {
	Op       tarn.Op[K, V]
	Err      error // of the last attempt
	Attempts int
}

const (
	defaultWriteBatch     = 500
	defaultWriteDelay     = 100 * time.Millisecond
	defaultJournaledDelay = time.Second
	defaultConcurrency    = 4
	defaultMaxPending     = 100_000
	defaultMinBackoff     = 100 * time.Millisecond
	defaultMaxBackoff     = 30 * time.Second
	defaultWriteTimeout   = 30 * time.Second
	defaultCloseTimeout   = 30 * time.Second

	defaultMaxDeadLetters = 10_000
	defaultStartTimeout   = time.Minute
)

// validate returns an error that names the field that makes no sense.
func (c *WriteBackConfig[K, V]) validate() error {
	for _, field := range []struct {
		name     string
		negative bool
	}{
		{"MaxBatch", c.MaxBatch < 0},
		{"MaxDelay", c.MaxDelay < 0},
		{"Concurrency", c.Concurrency < 0},
		{"MaxPending", c.MaxPending < 0},
		{"MaxPendingBytes", c.MaxPendingBytes < 0},
		{"MinBackoff", c.MinBackoff < 0},
		{"MaxBackoff", c.MaxBackoff < 0},
		{"MaxAttempts", c.MaxAttempts < 0},
		{"WriteTimeout", c.WriteTimeout < 0},
		{"SyncEvery", c.SyncEvery < 0},
		{"MaxDeadLetters", c.MaxDeadLetters < 0},
		{"StartTimeout", c.StartTimeout < 0},
	} {
		if field.negative {
			return fmt.Errorf("WriteBackConfig.%s is negative", field.name)
		}
	}
	switch {
	case c.MaxPendingBytes > 0 && c.Size == nil:
		return errors.New("WriteBackConfig.MaxPendingBytes needs WriteBackConfig.Size")
	case c.WhenFull > WriteThroughWhenFull:
		return fmt.Errorf("WriteBackConfig.WhenFull is unknown: %d", c.WhenFull)
	case c.MaxBackoff > 0 && c.MinBackoff > c.MaxBackoff:
		return errors.New("WriteBackConfig.MinBackoff is greater than WriteBackConfig.MaxBackoff")
	case c.MaxAttempts > 0 && c.DeadLetter == nil && c.Journal == nil:
		return errors.New("WriteBackConfig.MaxAttempts needs WriteBackConfig.DeadLetter or WriteBackConfig.Journal")
	case c.Journal != nil && isNil(c.Journal): // of a type that is not nil, such as what Open returns beside an error
		return errors.New("WriteBackConfig.Journal is a nil pointer")
	case c.SyncEvery > 0 && c.Journal == nil:
		return errors.New("WriteBackConfig.SyncEvery needs WriteBackConfig.Journal")
	}
	return nil
}

// withDefaults returns a copy in which what was left out is set.
func (c WriteBackConfig[K, V]) withDefaults() WriteBackConfig[K, V] {
	c.MaxBatch = cmp.Or(c.MaxBatch, defaultWriteBatch)
	if c.Journal != nil {
		c.MaxDelay = cmp.Or(c.MaxDelay, defaultJournaledDelay)
	}
	c.MaxDelay = cmp.Or(c.MaxDelay, defaultWriteDelay)
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	c.MaxPending = cmp.Or(c.MaxPending, defaultMaxPending)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, defaultWriteTimeout)
	c.MaxDeadLetters = cmp.Or(c.MaxDeadLetters, defaultMaxDeadLetters)
	c.StartTimeout = cmp.Or(c.StartTimeout, defaultStartTimeout)
	switch {
	case c.MaxBackoff == 0:
		c.MinBackoff = cmp.Or(c.MinBackoff, defaultMinBackoff)
		c.MaxBackoff = max(defaultMaxBackoff, c.MinBackoff)
	case c.MinBackoff == 0:
		c.MinBackoff = min(defaultMinBackoff, c.MaxBackoff)
	}
	return c
}
