package strategies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/strategies/journal"
)

// Delta is what is to be added to what the source has under a key.
type Delta[K comparable, D any] struct {
	Key   K
	Delta D
}

// Batch is what [Accumulate] writes at once. Its keys are distinct.
//
// Epoch and Seq are the batch's name: no other batch ever has both. A batch that fails, or of which nobody knows what
// became, is sent again under its name and with the same deltas, however often, also after a restart if there is a journal.
// So a source that records the name in the transaction that applies the deltas, and applies nothing if the name is there
// already, has each delta exactly once. Of a source that does not, each arrives at least once.
//
// A batch of the same Epoch below Settled is never sent again, so a record of it may be forgotten. A source that does so
// also remembers the greatest Settled that it was told, and refuses whatever is below: an attempt that was given up
// long ago may still arrive.
//
// Epoch is random, never zero, and new with each journal, or with each [Accumulator] without one; Seq grows. All three fit
// a signed 64-bit column.
type Batch[K comparable, D any] struct {
	Epoch, Seq uint64
	Settled    uint64
	Deltas     []Delta[K, D]
}

// AccumulateConfig says how [Accumulate] collects and writes deltas. The zero AccumulateConfig is a good default.
type AccumulateConfig[K comparable, D any] struct {
	// MaxBatch is how many keys are written in one batch at most. Zero: 500.
	MaxBatch int

	// MaxDelay is how long a delta waits for others to be merged and written with; less if a bound is met. The longer,
	// the fewer updates. Zero: a second.
	MaxDelay time.Duration

	// Concurrency is how many batches are written at once, of different keys. Those that failed and wait to be tried
	// again do not count. Zero: 4.
	Concurrency int

	// MaxPending is how many keys may have deltas that the source has not confirmed. Another delta of such a key
	// needs no further place. What the journal has at the start is taken in even if it is more. Zero: 100,000.
	MaxPending int

	// MaxPendingBytes is how many bytes the deltas may have that the source has not confirmed, as Size counts them.
	// Zero: no bound.
	MaxPendingBytes int64

	// Size returns the bytes of a delta, merged or not, with its key; a negative size counts as 0. It must be quick, and
	// is needed if there is a bound on bytes. Nil: bytes are not counted.
	Size func(key K, delta D) int64

	// WhenFull says what becomes of a delta that finds no room. WriteThroughWhenFull is not to be had: of a write that
	// failed nobody would know whether it counts. Zero: BlockWhenFull.
	WhenFull WhenFull

	// MinBackoff and MaxBackoff bound the time after which a batch that failed is tried again: a random time up to
	// MinBackoff after the first failure, twice that after the second, and so on up to MaxBackoff. Zero: 100
	// milliseconds and 30 seconds; if only one is set, the other is no less, or no more, than that.
	MinBackoff, MaxBackoff time.Duration

	// DeadLetter is handed a delta that is given up: the write failed with an error marked by [tarn.Permanent], and it
	// was alone in its batch, or the error was its own in a [tarn.IndexError]; or what was merged under its key has become
	// too heavy for the journal to name it as a batch, which is [tarn.ErrTooHeavy]. When it returns, the delta counts no
	// longer. If it panics, the delta stays, to be tried again later. ctx ends after WriteTimeout. Calls may be
	// concurrent, but not for one key. After a crash it may be handed a delta again. Nil: nothing is ever given up, and a
	// permanent failure is tried again every MaxBackoff.
	DeadLetter func(ctx context.Context, letter DeadDelta[K, D])

	// WriteTimeout bounds one attempt to write a batch: its context ends then. A write that goes on regardless keeps its
	// keys and one of the Concurrency places. Zero: 30 seconds.
	WriteTimeout time.Duration

	// LoadTimeout bounds one load, however long its callers would wait. What a load returns that goes on regardless is
	// dropped. Zero: 30 seconds.
	LoadTimeout time.Duration

	// Journal keeps what was added until the source has it, so that a crash loses nothing. It belongs to this Accumulator
	// alone, and to whoever opened it, who closes it after Close. If it is full, a delta that finds no room in it is one
	// that WhenFull is about; Add returns its other errors. If it is poisoned, nothing is accepted and nothing is sent
	// any more, since no batch could be named for good: what is in it is written once it was opened anew. Nil: a crash
	// loses what the source does not have.
	Journal journal.Journal

	// SyncEvery is how often the journal is brought to the disk. Zero: Add returns when what it added is durable. Above
	// zero, Add returns at once, and a crash loses what was added in that time and during one append; if the journal
	// fails for four times as long, Add returns its error.
	SyncEvery time.Duration

	// Codec turns deltas into bytes, for the journal. Nil: that of [codec.For].
	Codec codec.Codec[D]

	// Layers change the bytes of a delta, such as by encryption; the first is the first to encode. Keys stay as they are.
	Layers []codec.Layer

	// AppendKey appends the bytes of a key to dst, and ParseKey undoes it, for keys that are no kind of string or
	// integer and have no text of their own. Nil: there is no need.
	AppendKey func(dst []byte, key K) ([]byte, error)
	ParseKey  func(src []byte) (K, error)

	// MaxValues is how many values are kept in memory for reads; the one that was not read for longest makes room. Values
	// of keys in batches that are not confirmed are kept beside. Below 64, keys that fall into one part of the table may
	// make room for each other sooner. Zero: 100,000.
	MaxValues int

	// Fresh is how long a loaded value serves reads before it is loaded again, for a source to which others write as
	// well. While a batch with its key is not confirmed it serves on. Zero: until it makes room.
	Fresh time.Duration
}

// DeadDelta is a delta that was given up.
type DeadDelta[K comparable, D any] struct {
	Delta[K, D]
	Err      error // of the last attempt
	Attempts int   // how often it was tried, in whichever batch
}

const (
	defaultMaxValues  = 100_000
	defaultMergeDelay = time.Second
)

// validate returns an error that names the field that makes no sense.
func (c *AccumulateConfig[K, D]) validate() error {
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
		{"WriteTimeout", c.WriteTimeout < 0},
		{"LoadTimeout", c.LoadTimeout < 0},
		{"MaxValues", c.MaxValues < 0},
		{"Fresh", c.Fresh < 0},
		{"SyncEvery", c.SyncEvery < 0},
	} {
		if field.negative {
			return fmt.Errorf("AccumulateConfig.%s is negative", field.name)
		}
	}
	switch {
	case c.MaxPendingBytes > 0 && c.Size == nil:
		return errors.New("AccumulateConfig.MaxPendingBytes needs AccumulateConfig.Size")
	case c.Journal != nil && isNil(c.Journal): // of a type that is not nil, such as what Open returns beside an error
		return errors.New("AccumulateConfig.Journal is a nil pointer")
	case c.SyncEvery > 0 && c.Journal == nil:
		return errors.New("AccumulateConfig.SyncEvery needs AccumulateConfig.Journal")
	case c.WhenFull == WriteThroughWhenFull:
		return errors.New("AccumulateConfig.WhenFull is WriteThroughWhenFull")
	case c.WhenFull > WriteThroughWhenFull:
		return fmt.Errorf("AccumulateConfig.WhenFull is unknown: %d", c.WhenFull)
	case c.MaxBackoff > 0 && c.MinBackoff > c.MaxBackoff:
		return errors.New("AccumulateConfig.MinBackoff is greater than AccumulateConfig.MaxBackoff")
	}
	return nil
}

// withDefaults returns a copy in which what was left out is set.
func (c AccumulateConfig[K, D]) withDefaults() AccumulateConfig[K, D] {
	c.MaxBatch = cmp.Or(c.MaxBatch, defaultWriteBatch)
	c.MaxDelay = cmp.Or(c.MaxDelay, defaultMergeDelay)
	c.Concurrency = cmp.Or(c.Concurrency, defaultConcurrency)
	c.MaxPending = cmp.Or(c.MaxPending, defaultMaxPending)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, defaultWriteTimeout)
	c.LoadTimeout = cmp.Or(c.LoadTimeout, defaultLoadTimeout)
	c.MaxValues = cmp.Or(c.MaxValues, defaultMaxValues)
	switch {
	case c.MaxBackoff == 0:
		c.MinBackoff = cmp.Or(c.MinBackoff, defaultMinBackoff)
		c.MaxBackoff = max(defaultMaxBackoff, c.MinBackoff)
	case c.MinBackoff == 0:
		c.MinBackoff = min(defaultMinBackoff, c.MaxBackoff)
	}
	return c
}
