package strategies

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// addLogged is Add with a journal: the delta is given its place, then the journal learns of it, and then readers see it.
func (a *Accumulator[K, V, D]) addLogged(ctx context.Context, key K, delta D) error {
	if how, amended, err := a.table.amend(a.log, key, delta); err != nil {
		return mergeFailed(err)
	} else if amended {
		return a.accepted(ctx, key, how)
	}
	rec, err := a.log.record(Delta[K, D]{key, delta})
	if err != nil {
		return fmt.Errorf("strategies: accumulate: encode: %w", bare(err))
	}
	for {
		if err := a.awaitLog(ctx); err != nil {
			return err
		}
		if err := a.reserve(ctx, key, delta); err != nil {
			return err
		}
		err := a.commitDelta(ctx, key, delta, rec)
		switch {
		case !errors.Is(err, journal.ErrFull):
			return err
		case a.config.WhenFull == RefuseWhenFull:
			a.log.isFull()
			a.table.queue.press()
			return err
		}
		a.log.isFull()
		a.table.queue.press()
	}
}

// reserve takes a place for a delta.
func (a *Accumulator[K, V, D]) reserve(ctx context.Context, key K, delta D) error {
	size := a.table.sizeOf(key, delta)
	how := a.table.reserve(key, size, -1)
	for how == full {
		granted, err := a.waitForRoom(ctx, size, size)
		if err != nil {
			return err
		}
		how = a.table.reserve(key, size, granted)
	}
	return how.err()
}

// commitDelta has the journal learn of a delta for which there is a place, and then the readers. If ctx ends before they do,
// the journal forgets it.
func (a *Accumulator[K, V, D]) commitDelta(ctx context.Context, key K, delta D, rec journal.Record) error {
	size := a.table.sizeOf(key, delta)
	var how acceptance
	var records int
	var merge error
	x := &provisional{commit: commit{put: []journal.Record{rec}}}
	x.apply = func(err error) {
		entered := false
		defer func() {
			if err == nil && !entered {
				a.log.remove(x.put[0].Seq)
			}
		}()
		if err != nil || !x.state.CompareAndSwap(0, 1) {
			a.table.cancel(key, size)
			return
		}
		how, records, merge = a.table.enter(key, delta, size, x.put[0].Seq)
		if entered = merge == nil; entered && records > 1 && a.log.every > 0 {
			records = a.table.condense(a.log, key)
		}
	}
	if err := a.log.enter(ctx, x); err != nil {
		return fmt.Errorf("strategies: accumulate: %w", bare(err))
	}
	if merge != nil {
		return mergeFailed(merge)
	}
	if records >= rewriteAt {
		a.rewrite(key)
	}
	return a.accepted(ctx, key, how)
}

// enter brings a delta into the journal, and returns when it is durable and applied, or, with every, applied. If ctx ends
// before it is applied, it will not be.
func (l *deltaLog[K, D]) enter(ctx context.Context, x *provisional) error {
	group, err := l.join(&x.commit)
	if err != nil {
		x.apply(err)
		return err
	}
	if group == nil {
		return nil
	}
	select {
	case <-group.done:
		return x.err
	case <-ctx.Done():
	}
	if x.state.CompareAndSwap(0, 2) {
		return ctx.Err()
	}
	<-group.done // it is being applied
	return x.err
}

// reserve takes a place for a delta of size bytes, to be used by enter or given back by cancel. granted is as accept's.
func (t *deltaTable[K, V, D]) reserve(key K, size, granted int64) acceptance {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if t.closed.Load() {
		t.giveBack(granted)
		return closed
	}
	k := s.keys[key]
	keys := int64(1)
	if k.placed() {
		keys = 0
	}
	if granted >= 0 {
		t.bounds.give(1-keys, granted-size)
	} else if !t.bounds.take(keys, size) {
		return full
	}
	if k == nil {
		k = s.at(key)
	}
	if !k.placed() {
		t.count.Add(1)
	}
	k.incoming++
	return accepted
}

// enter merges a delta that has a place, and returns how many records its key has.
func (t *deltaTable[K, V, D]) enter(key K, delta D, size int64, seq uint64) (how acceptance, records int, err error) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	entered := false
	defer func() {
		if !entered { // Merge failed, or has ended the goroutine
			t.bounds.give(0, size)
		}
		k.incoming--
		t.unplace(k)
		s.tidy(k)
	}()
	next, nextSize, err := t.merged(k, key, delta)
	if err != nil {
		return 0, 0, err
	}
	entered = true
	t.bounds.give(0, size-(nextSize-k.nextSize))
	s.added++
	how = t.put(s, k, next, nextSize)
	k.records = append(k.records, seq)
	if !k.rewriting {
		records = len(k.records)
	}
	return how, records, nil
}

// cancel gives the place of a delta back.
func (t *deltaTable[K, V, D]) cancel(key K, size int64) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	t.bounds.give(0, size)
	k.incoming--
	t.unplace(k)
	s.tidy(k)
}

// rewrite makes one record of those of a key, in the place of the last, unless it is done already. It does not wait. No
// batch takes the key meanwhile, since an append removes before it puts.
func (a *Accumulator[K, V, D]) rewrite(key K) {
	next, records, ok := a.table.beginRewrite(key)
	if !ok {
		return
	}
	rec, err := a.log.record(Delta[K, D]{key, next})
	if err != nil {
		a.table.endRewrite(key, 0)
		return
	}
	n := len(records)
	rec.Seq = records[n-1]
	x := &commit{renew: []journal.Record{rec}, remove: records[:n-1]}
	x.apply = func(err error) {
		if err != nil {
			n = 0
		}
		a.table.endRewrite(key, n)
	}
	if _, err := a.log.join(x); err != nil {
		x.apply(err)
	}
}

// beginRewrite returns what the records of a key are to become.
func (t *deltaTable[K, V, D]) beginRewrite(key K) (next D, records []uint64, ok bool) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil || !k.hasNext || len(k.records) < rewriteAt || k.rewriting {
		return next, nil, false
	}
	k.rewriting = true
	return k.next, k.records[:len(k.records):len(k.records)], true
}

// endRewrite ends what beginRewrite began: the first n records are one, which has the number of the last of them.
func (t *deltaTable[K, V, D]) endRewrite(key K, n int) {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	k.rewriting = false
	if n > 0 {
		k.records = append([]uint64(nil), k.records[n-1:]...)
	}
	t.release(k)
}

// isFull says that the journal found no room. Deltas keep out of it for a while: an append that failed with theirs
// may work without, and make room.
func (l *deltaLog[K, D]) isFull() {
	l.committer.mu.Lock()
	room := l.freed
	l.committer.mu.Unlock()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.full, l.fullTill = room, time.Now().Add(fullPause)
}

// pause returns what to wait for before something is added, and how long; nil: nothing.
func (l *deltaLog[K, D]) pause() (room <-chan struct{}, left time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.full == nil {
		return nil, 0
	}
	select {
	case <-l.full:
	default:
		if left = time.Until(l.fullTill); left > 0 {
			return l.full, left
		}
	}
	l.full = nil
	return nil, 0
}

// awaitLog waits while there is no room in the journal, or refuses to.
func (a *Accumulator[K, V, D]) awaitLog(ctx context.Context) error {
	room, left := a.log.pause()
	if room == nil {
		return nil
	}
	if a.config.WhenFull == RefuseWhenFull {
		return fmt.Errorf("strategies: accumulate: %w", journal.ErrFull)
	}
	timer := time.NewTimer(left)
	defer timer.Stop()
	select {
	case <-room:
		return nil
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-a.closing:
		return tarn.ErrClosed
	}
}
