package strategies

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

const (
	maxRepairs     = 10_000 // keys, and as many tags; more are all keys
	minRepairPause = 100 * time.Millisecond
	maxRepairPause = 30 * time.Second
)

// repairs are the keys under which the store may keep a value that was invalidated in vain, because the store
// failed. Until a key is repaired its reader goes around the store for it: what is found there is not served, and a
// load is shared only with who will look later. What repairs a key is a Delete, a write, or a load's fill in place of
// another entry, that began after the failure and succeeded; a timer tries Deletes until one does. A fill where no entry was
// is none: the store tells nobody of it, and another process may have a copy of an entry that the store has lost since.
//
// Tags that could not be invalidated are repaired in the same way, by the timer or by another InvalidateTags. Until then an
// entry that has one of them is not served, whenever it was loaded, and a load whose value may have tags is not joined.
//
// Failures are numbered, so that what began before a failure does not pass for its repair.
type repairs[K comparable] struct {
	any atomic.Bool // there is something to repair

	mu     sync.Mutex // protects all below
	last   uint64
	keys   map[K]uint64            // to the number of its last failure
	tags   atomic.Pointer[badTags] // nil: none; changed under mu
	all    uint64                  // number of the last failure that found no room; 0: none
	timer  *time.Timer             // nil: not set
	pause  time.Duration
	pass   chan struct{} // closed when the pass that runs has ended; nil: none runs
	closed bool
}

// broke notes that keys could not be invalidated.
func (r *reader[K, V]) broke(err error, keys ...K) {
	if len(keys) == 0 || errors.Is(err, tarn.ErrClosed) {
		return
	}
	p := &r.repairs
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	if p.keys == nil {
		p.keys = make(map[K]uint64)
	}
	for _, key := range keys {
		if _, known := p.keys[key]; key == key && !known && len(p.keys) >= maxRepairs {
			p.all = p.last
		} else if key == key {
			p.keys[key] = p.last
		}
	}
	r.mend()
	p.pause = minRepairPause
	r.arm()
}

// broken returns the number of the failure that key is to be repaired of, or 0 if there is none.
func (r *reader[K, V]) broken(key K) uint64 {
	p := &r.repairs
	if !p.any.Load() {
		return 0
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return max(p.keys[key], p.all)
}

// repaired notes that key was made right by something that began when broken said n.
func (r *reader[K, V]) repaired(key K, n uint64) {
	if n == 0 {
		return
	}
	p := &r.repairs
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.keys[key] <= n {
		delete(p.keys, key)
		r.mend()
	}
}

// mend tells the hot path whether there is anything to repair. The caller holds repairs.mu.
func (r *reader[K, V]) mend() {
	p := &r.repairs
	left := len(p.keys) > 0 || p.all > 0 || p.tags.Load() != nil
	p.any.Store(left)
	if left {
		r.attentive.Or(attentiveRepairs)
	} else {
		r.attentive.And(^attentiveRepairs)
	}
}

// arm sets the timer, if there is something to repair. The caller holds repairs.mu.
func (r *reader[K, V]) arm() {
	p := &r.repairs
	if p.closed || p.timer != nil || p.pass != nil || !p.any.Load() {
		return
	}
	p.timer = time.AfterFunc(p.pause, r.repair)
	p.pause = min(2*p.pause, maxRepairPause)
}

// repair tries to invalidate what is to be repaired, and sets the timer again if something is left.
func (r *reader[K, V]) repair() {
	p := &r.repairs
	p.mu.Lock()
	p.timer = nil
	if p.closed {
		p.mu.Unlock()
		return
	}
	pass := make(chan struct{})
	p.pass = pass
	p.mu.Unlock()
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.pass = nil
		close(pass)
		r.arm()
	}()
	r.repairSome(context.Background())
}

// repairSome invalidates what is to be repaired, until the store fails.
func (r *reader[K, V]) repairSome(ctx context.Context) {
	p := &r.repairs
	p.mu.Lock()
	all, keys := p.all, make([]K, 0, len(p.keys))
	for key := range p.keys {
		keys = append(keys, key)
	}
	p.mu.Unlock()
	if all > 0 {
		r.repairAll(ctx, all)
		return
	}
	for part := range slices.Chunk(keys, r.config.maxBatch) {
		if !r.repairKeys(ctx, part) {
			return
		}
	}
	r.repairTags(ctx)
}

// repairKeys invalidates keys, in one call if the store can, and reports whether it could.
func (r *reader[K, V]) repairKeys(ctx context.Context, keys []K) bool {
	broken := make([]uint64, len(keys))
	for i, key := range keys {
		broken[i] = r.broken(key)
	}
	err := r.invalidate(ctx, keys)
	for i, key := range keys {
		if tarn.ErrAt(err, i, len(keys)) == nil {
			r.repaired(key, broken[i])
		}
	}
	if err != nil {
		r.storeFailed(ctx, err, failedOf(err, keys)...)
	}
	return err == nil
}

// invalidate deletes keys. A store that takes them one by one has its time for each, and is asked for no more when it
// has failed.
func (r *reader[K, V]) invalidate(ctx context.Context, keys []K) (err error) {
	within := func(do func(ctx context.Context) error) error {
		ctx, cancel := context.WithTimeout(ctx, defaultSettleTimeout)
		defer cancel()
		return do(ctx)
	}
	if r.batch != nil && len(keys) > 1 {
		return within(func(ctx context.Context) error { return r.batch.DeleteMany(ctx, keys) })
	}
	return eachOf(len(keys), func(i int) error {
		if err == nil {
			err = within(func(ctx context.Context) error { return r.store.Delete(ctx, keys[i]) })
		}
		return err
	})
}

// repairAll clears the store, because more keys were to be repaired than there is room for.
func (r *reader[K, V]) repairAll(ctx context.Context, n uint64) {
	clearer, ok := tarn.As[tarn.Clearer](r.store)
	if !ok {
		return // the reader goes around all keys for good
	}
	ctx, cancel := context.WithTimeout(ctx, defaultSettleTimeout)
	defer cancel()
	if err := clearer.Clear(ctx); err != nil {
		r.storeFailed(ctx, err)
		return
	}
	p := &r.repairs
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all <= n {
		p.all = 0
	}
	for key, failed := range p.keys {
		if failed <= n {
			delete(p.keys, key)
		}
	}
	p.tags.Store(p.tags.Load().without(n))
	r.mend()
}

// endRepairs stops the timer, waits for a pass that runs and makes a last one, as long as ctx allows. It reports whether
// nothing is left to repair.
func (r *reader[K, V]) endRepairs(ctx context.Context) bool {
	p := &r.repairs
	p.mu.Lock()
	p.closed = true
	if p.timer != nil {
		p.timer.Stop()
	}
	pass := p.pass
	p.mu.Unlock()
	if pass != nil {
		select {
		case <-pass:
		case <-ctx.Done():
		}
	}
	if p.any.Load() && ctx.Err() == nil {
		r.repairSome(ctx)
	}
	return !p.any.Load()
}
