package strategies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

// WriteBackCache is the cache that [WriteBack] makes. It implements [tarn.Cache] and [tarn.BatchCache].
type WriteBackCache[K comparable, V any] struct {
	inner  tarn.Guarded[K, V]
	read   manyReader[K, V]      // of inner
	many   tarn.BatchCache[K, V] // of inner; nil if it is none
	writer tarn.Writer[K, V]
	batch  tarn.BatchWriter[K, V] // of writer; nil if it is none
	config WriteBackConfig[K, V]
	writeConfig

	table pendingTable[K, V]
	log   *writeLog[K, V] // nil: there is no journal

	writing context.Context // of all that is written in the background; ends when Close gives up waiting
	recall  context.CancelFunc

	dispatched  chan struct{} // closed when dispatch has ended
	closeCalled atomic.Bool
	closing     chan struct{} // closed when Close begins: nothing is accepted any more
	closed      atomic.Bool   // nothing is answered any more
	closeDone   chan struct{} // closed when Close has ended
	closeErr    error         // set before closeDone is closed

	flushed, retried, deadLettered, writtenThrough atomic.Uint64
	refused, replayed, blockedTimes                atomic.Uint64
	waiting, blockedFor                            atomic.Int64
}

// WriteBack returns a Cache whose writes return at once and reach the source soon: they are collected, the later of
// two of one key replaces the earlier, and batches of them go to writer. Reads see a write as soon as it is
// accepted: what is pending is answered first, and the rest is read as inner does.
//
// Without a journal, what is pending is in memory alone: a crash of the process loses it. Nothing else does. A write
// that fails is tried again until the source has it, or until it is given up, see the config's DeadLetter; it delays its own
// key, and no other. Of one key, at most one write is in flight, so writes reach the source in the order in
// which they were accepted. There is no order among keys. A write that timed out may have reached the source all the
// same and is repeated, so writer is idempotent; each operation carries an Epoch, which is random, never zero and new
// with each Journal, or with each WriteBackCache without one, and a Seq, which grows with each operation, so that the
// source can refuse an older one that arrives late. Both fit a signed 64-bit column.
//
// If writer is a [tarn.BatchWriter], a batch is one Apply. If an Apply fails as a whole, nobody knows who is to
// blame: its operations are tried again in ever smaller batches apart from others. Otherwise each operation is saved
// or deleted, one after the other.
//
// While a key is written, inner holds it, and it learns of the value before the write ceases to be pending. This is
// the race it guards against:
//
//	reader                   writer
//	nothing pending: miss
//	load: old value
//	                         Set: pending
//	                         flush: write the source
//	                         no longer pending
//	fill: the old value stays
//
// The cache keeps what Set was given. If the source changes what it is given, choose [WriteAround].
//
// If inner cannot hold or be told, the write goes on: EventStoreFailed or EventMaybeStale says so.
//
// The writer may use the cache that it writes for. A Set of its own is accepted if there is room; if there is none,
// it waits until its context ends, for the room may be its own.
//
// A key that does not equal itself, such as NaN, cannot be pending: it is written to the source at once, uncached.
//
// A WriteBackCache has one goroutine that waits for batches to be due, and two for each batch in flight. Close ends
// them; without it they stay, and what is pending is lost with the process.
//
// With a Journal, what is pending outlives the process. A write is accepted once the journal has it durably, or with
// SyncEvery as soon as it is on its way there. While the journal fails, writes are refused, and what is pending is written
// all the same. The journal forgets what the source has within about a second; after a crash before that, it is written
// again. WriteBack takes in what the journal has before it returns, in order, and reads see it then; where there is more
// than may be pending, it waits for the source, each time for StartTimeout at most. Stats and EventReplayed say how much it
// was. A record that cannot be read, and that the journal does not put aside, is an error that tells its place. The
// goroutine that appends to the journal ends when there is nothing to append.
//
// WriteBack returns an error that names what is missing or makes no sense.
func WriteBack[K comparable, V any](
	inner tarn.Guarded[K, V], writer tarn.Writer[K, V], config WriteBackConfig[K, V], opts ...WriteOption,
) (*WriteBackCache[K, V], error) {
	if isNil(inner) {
		return nil, errors.New("strategies: WriteBack: inner is nil")
	}
	if isNil(writer) {
		return nil, errors.New("strategies: WriteBack: writer is nil")
	}
	if err := config.validate(); err != nil {
		return nil, fmt.Errorf("strategies: WriteBack: %w", err)
	}
	for i, o := range opts {
		if o == nil {
			return nil, fmt.Errorf("strategies: WriteBack: option %d is nil", i)
		}
	}
	options := newWriteConfig(opts)
	if options.leaveCopy {
		return nil, errors.New("strategies: WriteBack: WithCopyLeft is for WriteAround")
	}
	if shared(inner) && !options.sharedStore {
		return nil, errors.New("strategies: WriteBack: other processes share the store of inner and cannot see what is pending" +
			" here; if they may read older values meanwhile, say so with WithSharedStore")
	}
	c := &WriteBackCache[K, V]{
		inner:       inner,
		writer:      writer,
		config:      config.withDefaults(),
		writeConfig: options,
		dispatched:  make(chan struct{}),
		closing:     make(chan struct{}),
		closeDone:   make(chan struct{}),
	}
	c.read = manyOf(inner)
	c.many, _ = tarn.As[tarn.BatchCache[K, V]](inner)
	c.batch, _ = tarn.As[tarn.BatchWriter[K, V]](writer)
	c.writing, c.recall = context.WithCancel(context.Background())
	if err := c.start(); err != nil {
		return nil, fmt.Errorf("strategies: WriteBack: %w", err)
	}
	return c, nil
}

// start begins to write, and replays the journal.
func (c *WriteBackCache[K, V]) start() error {
	if c.config.Journal == nil {
		c.table.init(&c.config)
		go c.dispatch()
		return nil
	}
	form, err := newRecordForm(&c.config)
	if err != nil {
		return err
	}
	c.log = &writeLog[K, V]{newCommitter(c.config.Journal, c.config.SyncEvery, c.journalFailed), form}
	c.table.forget = c.log.remove
	c.table.init(&c.config)
	go c.dispatch()
	if err := c.replay(); err != nil {
		c.abort()
		return err
	}
	return nil
}

// Get returns what is pending for key, and ErrNotFound if that is a delete; otherwise what the inner cache returns.
// What is pending is answered even if ctx is done.
func (c *WriteBackCache[K, V]) Get(ctx context.Context, key K) (V, error) {
	if c.closed.Load() {
		var none V
		return none, tarn.ErrClosed
	}
	if value, deleted, ok := c.table.lookup(key); ok {
		return c.answer(ctx, key, value, deleted)
	}
	return c.inner.Get(ctx, key)
}

// answer answers a read with what is pending.
func (c *WriteBackCache[K, V]) answer(ctx context.Context, key K, value V, deleted bool) (V, error) {
	kind, err := tarn.EventHit, error(nil)
	if deleted {
		kind, err = tarn.EventNegativeHit, tarn.ErrNotFound
	}
	if c.observer != nil {
		c.observe(ctx, tarn.Event{Kind: kind, N: 1, Key: eventKey(&c.common, key)})
	}
	return value, err
}

// GetMany is Get for many keys; applications call [tarn.GetMany], which returns a map. Those that are not pending are
// read from the inner cache in one call if it is a [tarn.BatchCache], and one after the other otherwise.
func (c *WriteBackCache[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	if err := sameLength(len(keys), len(into)); err != nil {
		return err
	}
	if c.closed.Load() {
		return tarn.ErrClosed
	}
	if c.table.count.Load() == 0 {
		return c.read(ctx, keys, into)
	}
	restKeys := make([]K, 0, len(keys))
	restAt := make([]int, 0, len(keys))
	for i, key := range keys {
		if value, deleted, ok := c.table.lookup(key); ok {
			into[i].Value, into[i].Err = c.answer(ctx, key, value, deleted)
		} else {
			restKeys, restAt = append(restKeys, key), append(restAt, i)
		}
	}
	if len(restKeys) == 0 {
		return nil
	}
	rest := make([]tarn.Result[V], len(restKeys))
	err := c.read(ctx, restKeys, rest)
	for i, at := range restAt {
		if into[at] = rest[i]; err != nil {
			into[at] = tarn.Result[V]{Err: err}
		}
	}
	if len(restKeys) == len(keys) {
		return err
	}
	return nil
}

// Set accepts a value, which reads see from then on, and which reaches the source later. If there is no room, it
// does as WhenFull says. If it returns an error, nothing was accepted, except that a write-through of
// WriteThroughWhenFull that failed may have reached the source, that a write whose ctx ended while a Journal was told of it
// may be accepted yet, and that one which a Journal was poisoned by may be replayed by the next process. It keeps the
// value, not a copy.
func (c *WriteBackCache[K, V]) Set(ctx context.Context, key K, value V) error {
	return c.write(ctx, tarn.Op[K, V]{Key: key, Value: value})
}

// Delete accepts a delete, as Set does a value: reads find nothing from then on, and it reaches the source later.
func (c *WriteBackCache[K, V]) Delete(ctx context.Context, key K) error {
	return c.write(ctx, tarn.Op[K, V]{Key: key, Delete: true})
}

// SetMany is Set for each key, in their order. Applications call [tarn.SetMany].
func (c *WriteBackCache[K, V]) SetMany(ctx context.Context, keys []K, values []V) error {
	if err := sameLength(len(keys), len(values)); err != nil {
		return err
	}
	if err := c.refuses(ctx); err != nil {
		return err
	}
	return c.writeMany(ctx, len(keys), func(i int) tarn.Op[K, V] { return tarn.Op[K, V]{Key: keys[i], Value: values[i]} })
}

// DeleteMany is Delete for each key, in their order. Applications call [tarn.DeleteMany].
func (c *WriteBackCache[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	if err := c.refuses(ctx); err != nil {
		return err
	}
	return c.writeMany(ctx, len(keys), func(i int) tarn.Op[K, V] { return tarn.Op[K, V]{Key: keys[i], Delete: true} })
}

func (c *WriteBackCache[K, V]) writeMany(ctx context.Context, n int, at func(i int) tarn.Op[K, V]) error {
	if c.log != nil {
		return c.writeManyJournaled(ctx, n, at)
	}
	return eachOf(n, func(i int) error { return c.write(ctx, at(i)) })
}

// refuses returns the reason for which no write is accepted, if there is one.
func (c *WriteBackCache[K, V]) refuses(ctx context.Context) error {
	if c.closeCalled.Load() {
		return tarn.ErrClosed
	}
	return ctx.Err()
}

// Pending iterates over what is not known to be at the source: of each key the newest operation, in no order. It also
// does so after Close, to let the application keep what Close could not write.
func (c *WriteBackCache[K, V]) Pending() iter.Seq[tarn.Op[K, V]] {
	return func(yield func(tarn.Op[K, V]) bool) {
		for i := range c.table.shards {
			for _, op := range c.table.shards[i].ops() {
				if !yield(op) {
					return
				}
			}
		}
	}
}
