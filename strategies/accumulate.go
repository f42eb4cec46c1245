package strategies

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

// Accumulator collects what is added to values, such as page views to a counter. [Accumulate] makes it. It is no
// [tarn.Cache]: what is added is not what is read.
type Accumulator[K comparable, V, D any] struct {
	loader tarn.Loader[K, V]
	write  func(ctx context.Context, batch Batch[K, D]) error
	config AccumulateConfig[K, D]
	common

	table     deltaTable[K, V, D]
	log       *deltaLog[K, D] // nil: there is no journal
	epoch     uint64
	unsettled unsettledBatches

	settleTimeout time.Duration // bounds what the journal is told at the end

	writing context.Context // of all that is written and loaded; ends when Close gives up waiting
	recall  context.CancelFunc
	loads   sync.WaitGroup // goroutines that load; grows under a shard's lock, while the table is not shut

	dispatched  chan struct{} // closed when dispatch has ended
	closeCalled atomic.Bool
	closing     chan struct{} // closed when Close begins: nothing is accepted any more
	closed      atomic.Bool   // nothing is answered any more
	closeDone   chan struct{} // closed when Close has ended
	closeErr    error         // set before closeDone is closed

	batches, updates, retried, deadLettered, replayed atomic.Uint64
}

// Accumulate returns an Accumulator: what is added to a key is merged with what was added before, and reaches the source
// soon, in batches. A million increments of a thousand counters become a thousand updates.
//
// A reader sees a delta as soon as it is accepted: Get returns what loader returned, with everything folded into it that
// was added since. Each delta counts once at every instant, also while a batch is under way, and while nobody knows
// whether a batch that failed was committed all the same: a value is loaded only while no batch with its key is
// unconfirmed, and no batch with the key is sent while it is loaded. A Get that finds no value in memory waits for that.
// A key that loader does not have, by ErrNotFound, has the zero V.
//
// write applies a batch: it adds each delta to what the source has, in one transaction. It returns nil if the source has
// them all. After any other error nobody knows, so the batch is sent again, under the same Epoch and Seq and with the
// same deltas, until it is confirmed. If write records these two in its transaction, and applies nothing if they are there
// already, each delta counts exactly once. If it does not, each counts at least once: a batch that was committed,
// but whose confirmation was lost, counts twice. Without a journal, what is added is in memory alone, and a crash
// loses what is not at the source.
//
// Two kinds of errors say more. One marked by [tarn.Permanent] says that the batch was not applied, by this attempt or by
// an earlier one, and never will be as it is: it is parted into ever smaller batches, with names of their own, until the delta to blame is alone. A
// [tarn.IndexError] with an error for each delta says that those without one were applied; the others are sent again,
// under the same name. So such a write records the name with each key that it applied, not with the batch, whose rest would
// count as applied. A transaction that was rolled back has applied none, so it must not return an IndexError with nils. What becomes of a single delta whose error is permanent, the config's DeadLetter decides.
//
// Of one key at most one batch is unconfirmed. What is added meanwhile waits for the next, so the source gets the deltas
// of a key in the order in which they were accepted. There is no order among keys.
//
// A key that does not equal itself, such as NaN, is refused.
//
// An Accumulator has one goroutine that waits for batches to be due, two for each batch in flight, and two for each load.
// Close ends them.
//
// Accumulate returns an error that names what is missing or makes no sense.
func Accumulate[K comparable, V, D any](
	loader tarn.Loader[K, V], write func(ctx context.Context, batch Batch[K, D]) error, merger Merger[V, D],
	config AccumulateConfig[K, D], opts ...Option,
) (*Accumulator[K, V, D], error) {
	switch {
	case isNil(loader):
		return nil, errors.New("strategies: Accumulate: loader is nil")
	case write == nil:
		return nil, errors.New("strategies: Accumulate: write is nil")
	case merger.Merge == nil:
		return nil, errors.New("strategies: Accumulate: Merger.Merge is nil")
	case merger.Fold == nil:
		return nil, errors.New("strategies: Accumulate: Merger.Fold is nil")
	}
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("strategies: Accumulate: %w", err)
	}
	a := &Accumulator[K, V, D]{
		loader:     loader,
		write:      write,
		config:     config.withDefaults(),
		epoch:      newEpoch(),
		dispatched: make(chan struct{}),
		closing:    make(chan struct{}),
		closeDone:  make(chan struct{}),
	}
	options := writeConfig{settleTimeout: defaultSettleTimeout}
	for i, o := range opts {
		if o == nil {
			return nil, fmt.Errorf("strategies: Accumulate: option %d is nil", i)
		}
		o.applyWrite(&options)
	}
	a.common, a.settleTimeout = options.common, options.settleTimeout
	a.writing, a.recall = context.WithCancel(context.Background())
	a.table.init(merger, &a.config)
	a.table.startLoad = a.startLoad
	if config.Journal != nil {
		if err := a.openLog(); err != nil {
			a.recall()
			return nil, fmt.Errorf("strategies: Accumulate: %w", bare(err))
		}
	}
	go a.dispatch()
	return a, nil
}

// Add adds delta to key. Readers see it from then on, and it reaches the source later. If there is no room, Add does as
// WhenFull says. If it returns an error, nothing was added; but if the journal failed, or ctx ended while it was written, and
// the process crashes before the journal has forgotten delta, that may count after all. Add keeps delta, not a copy.
func (a *Accumulator[K, V, D]) Add(ctx context.Context, key K, delta D) error {
	if a.closeCalled.Load() {
		return tarn.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if key != key {
		return errUnequalKey
	}
	if a.log != nil {
		return a.addLogged(ctx, key, delta)
	}
	how, lacks, err := a.table.accept(key, delta, -1)
	if how != full {
		return a.accepted(ctx, key, how)
	}
	if err != nil {
		return mergeFailed(err)
	}
	return a.addFull(ctx, key, delta, lacks)
}

// errUnequalKey refuses a key that no table can hold.
var errUnequalKey = errors.New("strategies: accumulate: the key does not equal itself")

func mergeFailed(err error) error { return fmt.Errorf("strategies: accumulate: merge: %w", bare(err)) }

// accepted tells the observer, and returns what the caller is told.
func (a *Accumulator[K, V, D]) accepted(ctx context.Context, key K, how acceptance) error {
	if how == coalesced && a.observer != nil {
		a.observe(ctx, tarn.Event{Kind: tarn.EventCoalesced, N: 1, Key: eventKey(&a.common, key)})
	}
	return how.err()
}

// addFull does what is to be done where there is no room for a delta.
func (a *Accumulator[K, V, D]) addFull(ctx context.Context, key K, delta D, lacks int64) error {
	for {
		granted, err := a.waitForRoom(ctx, a.table.sizeOf(key, delta), lacks)
		if err != nil {
			return err
		}
		var how acceptance
		if how, lacks, err = a.table.accept(key, delta, granted); how != full {
			return a.accepted(ctx, key, how)
		}
		if err != nil {
			return mergeFailed(err)
		}
	}
}

// waitForRoom takes one key from the bounds, and the bytes that a delta lacks, as soon as they are there. It does so
// only if it was told to wait.
func (a *Accumulator[K, V, D]) waitForRoom(ctx context.Context, size, lacks int64) (granted int64, err error) {
	limit := a.config.MaxPendingBytes
	if limit > 0 && size > limit {
		return 0, fmt.Errorf("strategies: accumulate: above AccumulateConfig.MaxPendingBytes by itself: %w", bare(tarn.ErrTooHeavy))
	}
	if a.config.WhenFull == RefuseWhenFull {
		a.table.queue.press()
		return 0, tarn.ErrFull
	}
	if granted = max(lacks, 0); limit > 0 {
		granted = min(granted, limit) // what is more than that finds room once what the key has was sent
	}
	return granted, a.table.bounds.wait(ctx, granted, a.closing, a.table.queue.press)
}

// Get returns the value of key as the source has it, with all that was added and is not there yet. If it is not in
// memory, it is loaded; several callers share a load. It waits, until ctx ends, while a batch with the key is
// unconfirmed whose value was not in memory before. What is in memory is answered even if ctx is done. Nobody may
// change a value that is, or points to, something that can be changed.
func (a *Accumulator[K, V, D]) Get(ctx context.Context, key K) (V, error) {
	if a.closed.Load() {
		var none V
		return none, tarn.ErrClosed
	}
	value, found, err := a.table.peek(key)
	kind := tarn.EventHit
	if !found {
		kind = tarn.EventMiss
	}
	if a.observer != nil {
		a.observe(ctx, tarn.Event{Kind: kind, N: 1, Key: eventKey(&a.common, key)})
	}
	switch {
	case found:
	case key != key:
		return value, errUnequalKey
	default:
		value, err = a.load(ctx, key)
	}
	if err != nil {
		var none V
		return none, err
	}
	return value, nil
}

// AccumulatorStats is what an [Accumulator] has and did.
type AccumulatorStats struct {
	Pending       int           // keys with deltas that are not at the source, those in flight included
	PendingBytes  int64         // as the config's Size counts them
	OldestPending time.Duration // how long the oldest of them has waited; 0 if there is none
	Unconfirmed   int           // of Pending: keys in a batch that was, or is being, sent
	Retrying      int           // of Pending: keys in a batch whose last attempt failed
	Values        int           // values in memory for reads

	Added        uint64 // deltas that were accepted
	Coalesced    uint64 // of these: merged into one that was there already
	Updates      uint64 // merged deltas that reached the source
	Batches      uint64 // writes with which they did
	Retried      uint64 // merged deltas of attempts that failed and were followed, or will be, by another
	DeadLettered uint64 // merged deltas that were given up

	// With a journal.
	Replayed uint64 // records that were there at the start
	Unsynced int    // records that are not on the disk yet, and that a crash would lose
}

// Stats returns what the accumulator has now and did until now. It looks at every key.
func (a *Accumulator[K, V, D]) Stats() AccumulatorStats {
	stats := AccumulatorStats{
		Updates:      a.updates.Load(),
		Batches:      a.batches.Load(),
		Retried:      a.retried.Load(),
		DeadLettered: a.deadLettered.Load(),
		Replayed:     a.replayed.Load(),
	}
	if a.log != nil {
		stats.Unsynced = a.log.unsynced()
	}
	now := a.table.now()
	a.table.each(func(k *deltaKey[K, V, D]) {
		stats.Pending++
		since := k.since
		if k.sent != nil {
			stats.Unconfirmed++
			since = k.sentSince
			if k.turn.failures > 0 {
				stats.Retrying++
			}
		}
		stats.OldestPending = max(stats.OldestPending, now-since)
	})
	for i := range a.table.shards {
		s := &a.table.shards[i]
		s.mu.Lock()
		stats.Values += s.values
		stats.Added += s.added
		stats.Coalesced += s.merged
		s.mu.Unlock()
	}
	_, stats.PendingBytes = a.table.bounds.taken()
	return stats
}

// tell tells the observer of one key.
func (a *Accumulator[K, V, D]) tell(e tarn.Event, key K) {
	if a.observer != nil {
		e.Key = eventKey(&a.common, key)
		a.tellContained(e)
	}
}

// panicked tells the observer of a function that panicked or ended its goroutine.
func (a *Accumulator[K, V, D]) panicked(err error) {
	a.tellContained(tarn.Event{Kind: tarn.EventPanicked, N: 1, Err: err})
}

// tellContained is observe where a panic would end the process. The observer is told of its own panic, if it lets itself.
func (a *Accumulator[K, V, D]) tellContained(e tarn.Event) {
	if a.observer == nil {
		return
	}
	panicked := contained(func() { a.observer.Observe(a.writing, e) })
	if panicked != nil && e.Kind != tarn.EventPanicked {
		a.panicked(panicked)
	}
}
