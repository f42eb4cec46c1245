package strategies

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/tarncache/tarn"
)

// deltaLoad is a load of a key's value, for all who want it. When it has ended, done is closed, and who waited gets
// the value as readers saw it at that moment.
type deltaLoad[K comparable, V, D any] struct {
	key    K
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	users  int // who waits; protected by the shard's lock

	value V     // set before done is closed
	err   error // set before done is closed
}

// visible returns what a key has for readers. The caller holds the shard's lock, and the value is known.
func (t *deltaTable[K, V, D]) visible(k *deltaKey[K, V, D]) (value V, err error) {
	value, absent := k.value, k.absent
	if k.sent != nil {
		if value, err = t.merger.fold(value, absent, k.sentDelta); err != nil {
			return value, err
		}
		absent = false
	}
	if k.hasNext {
		value, err = t.merger.fold(value, absent, k.next)
	}
	return value, err
}

// peek returns what a reader of the key sees, if its value is in memory. A value that is stale serves on while a batch is
// unconfirmed.
func (t *deltaTable[K, V, D]) peek(key K) (value V, found bool, err error) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil || !k.known || k.sent == nil && t.isStale(k) {
		return value, false, nil
	}
	if k.sent == nil {
		s.read.remove(k)
		s.read.pushFront(k)
	}
	value, err = t.visible(k)
	return value, true, err
}

func (t *deltaTable[K, V, D]) isStale(k *deltaKey[K, V, D]) bool {
	return t.fresh > 0 && t.now() >= k.stale
}

// want is what a reader does that found no value: it joins the load, or waits for busy to be closed and looks again,
// after unwant.
func (t *deltaTable[K, V, D]) want(ctx context.Context, key K) (load *deltaLoad[K, V, D], busy <-chan struct{}, err error) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.shut.Load() {
		return nil, nil, tarn.ErrClosed
	}
	k := s.at(key)
	if k.load == nil && (k.sent != nil || k.owed) {
		if k.idle == nil {
			k.idle = make(chan struct{})
		}
		k.wanted++
		k.wantedBy = ctx
		return nil, k.idle, nil
	}
	if k.load == nil {
		k.load = t.startLoad(ctx, key)
	}
	k.load.users++
	return k.load, nil, nil
}

// unwant ends a wait of want.
func (t *deltaTable[K, V, D]) unwant(key K) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k.wanted--; k.wanted == 0 {
		k.wantedBy = nil
	}
	s.tidy(k)
}

// leaveLoad is called by who waits no longer. The last one ends the load.
func (t *deltaTable[K, V, D]) leaveLoad(load *deltaLoad[K, V, D]) {
	s := t.shard(load.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if load.users--; load.users > 0 {
		return
	}
	load.cancel()
	if k := s.keys[load.key]; k != nil && k.load == load {
		t.endLoad(s, k)
	}
}

// endLoad gives a key back to the batches. The caller holds the shard's lock.
func (t *deltaTable[K, V, D]) endLoad(s *deltaShard[K, V, D], k *deltaKey[K, V, D]) {
	k.load = nil
	t.release(k)
	s.tidy(k)
}

// release puts a key back into the queue that a batch passed over, once it is no longer busy. The caller holds the lock.
func (t *deltaTable[K, V, D]) release(k *deltaKey[K, V, D]) {
	if k.owed && k.load == nil && !k.rewriting {
		t.requeue(k)
	}
}

// loaded ends a load, unless it has ended, and gives the key back to the batches.
func (t *deltaTable[K, V, D]) loaded(load *deltaLoad[K, V, D], value V, err error) {
	s := t.shard(load.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[load.key]
	if k == nil || k.load != load {
		return
	}
	load.err = err
	if absent := errors.Is(err, tarn.ErrNotFound); err == nil || absent {
		s.forget(k)
		k.value, k.absent, k.stale = value, absent, saturated(t.now(), t.fresh)
		if absent {
			var none V
			k.value = none
		}
		load.value, load.err = t.visible(k)
		s.learn(k, t.maxValues)
	}
	close(load.done)
	t.endLoad(s, k)
}

// learn has the shard keep the value of a key that is in no batch; others make room. The caller holds the lock.
func (s *deltaShard[K, V, D]) learn(k *deltaKey[K, V, D], limit int) {
	k.known = true
	s.values++
	s.read.pushFront(k)
	for s.values > limit && s.read.last != k {
		oldest := s.read.last
		s.forget(oldest)
		s.tidy(oldest)
	}
}

// keep has the shard keep a value whose key has left a batch. The caller holds the lock.
func (t *deltaTable[K, V, D]) keep(s *deltaShard[K, V, D], k *deltaKey[K, V, D]) {
	s.values--
	s.learn(k, t.maxValues)
}

// forget drops the value of a key, if it is known. The caller holds the lock.
func (s *deltaShard[K, V, D]) forget(k *deltaKey[K, V, D]) {
	if !k.known {
		return
	}
	if k.sent == nil {
		s.read.remove(k)
	}
	var none V
	k.value, k.known, k.absent = none, false, false
	s.values--
}

// valueList is a list of keys, linked by fields of their own.
type valueList[K comparable, V, D any] struct {
	first, last *deltaKey[K, V, D]
}

func (l *valueList[K, V, D]) pushFront(k *deltaKey[K, V, D]) {
	k.newer, k.older = nil, l.first
	if l.first == nil {
		l.last = k
	} else {
		l.first.newer = k
	}
	l.first = k
}

func (l *valueList[K, V, D]) remove(k *deltaKey[K, V, D]) {
	if k.newer == nil {
		l.first = k.older
	} else {
		k.newer.older = k.older
	}
	if k.older == nil {
		l.last = k.newer
	} else {
		k.older.newer = k.newer
	}
	k.newer, k.older = nil, nil
}

// load returns what a reader of the key sees, once its value was loaded.
func (a *Accumulator[K, V, D]) load(ctx context.Context, key K) (value V, err error) {
	for {
		if err := ctx.Err(); err != nil {
			return value, err
		}
		load, busy, err := a.table.want(ctx, key)
		switch {
		case err != nil:
			return value, err
		case load != nil:
			return a.await(ctx, load)
		}
		err = a.awaitBatch(ctx, busy)
		a.table.unwant(key)
		if err != nil {
			return value, err
		}
		if value, found, err := a.table.peek(key); found {
			return value, err
		}
	}
}

// awaitBatch waits until the batch of a key is confirmed.
func (a *Accumulator[K, V, D]) awaitBatch(ctx context.Context, busy <-chan struct{}) error {
	select {
	case <-busy:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-a.closeDone:
		return tarn.ErrClosed
	}
}

// await waits for a load.
func (a *Accumulator[K, V, D]) await(ctx context.Context, load *deltaLoad[K, V, D]) (value V, err error) {
	defer a.table.leaveLoad(load)
	select {
	case <-load.done:
		return load.value, load.err
	case <-ctx.Done():
		return value, ctx.Err()
	}
}

// startLoad begins a load, on a goroutine of its own: it ends with its time limit, or when nobody waits for it. The caller
// holds the shard's lock, and the table is not shut.
func (a *Accumulator[K, V, D]) startLoad(ctx context.Context, key K) *deltaLoad[K, V, D] {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.config.LoadTimeout)
	load := &deltaLoad[K, V, D]{key: key, ctx: ctx, cancel: cancel, done: make(chan struct{})}
	a.loads.Add(1)
	go a.runLoad(load)
	return load
}

func (a *Accumulator[K, V, D]) runLoad(load *deltaLoad[K, V, D]) {
	defer a.loads.Done()
	defer load.cancel()
	stop := context.AfterFunc(a.writing, load.cancel)
	defer stop()
	var none V
	stopGivingUp := context.AfterFunc(load.ctx, func() {
		a.table.loaded(load, none, a.loadEnded(load.ctx.Err()))
	})
	defer stopGivingUp()
	returned := false
	defer func() {
		if !returned { // Fold has ended the goroutine
			err := &tarn.PanicError{Stack: debug.Stack()}
			a.panicked(err)
			a.table.loaded(load, none, err)
		}
	}()

	began := time.Now()
	var value V
	var err error
	if panicked := contained(func() { value, err = a.loader.Load(load.ctx, load.key) }); panicked != nil {
		a.panicked(panicked)
		err = panicked
	}
	if ended := load.ctx.Err(); ended != nil && errors.Is(err, ended) {
		err = a.loadEnded(ended)
	}
	kind := tarn.EventLoaded
	if err != nil && !errors.Is(err, tarn.ErrNotFound) {
		kind = tarn.EventLoadFailed
	}
	a.tell(tarn.Event{Kind: kind, N: 1, Duration: time.Since(began), Err: eventErr(kind, err)}, load.key)
	a.table.loaded(load, value, err)
	returned = true
}

func eventErr(kind tarn.EventKind, err error) error {
	if kind == tarn.EventLoaded {
		return nil
	}
	return err
}

// loadEnded says why a load is not waited for any longer.
func (a *Accumulator[K, V, D]) loadEnded(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return overdue(a.config.LoadTimeout)
	case a.table.shut.Load():
		return tarn.ErrClosed
	default:
		return err
	}
}
