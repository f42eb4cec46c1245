package tiered

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn/ttl"
)

// trust says whether copies may be answered and made.
//
// It is lost in three steps, in this order: nobody begins to use a copy any more; the epoch moves; the copies are
// dropped, and the leases of those who are making one voided. A reader notes the epoch, then asks whether there is
// trust, then takes its lease. Before it keeps a copy it looks at the epoch again. So if trust was lost
//
//   - before it noted the epoch, there is none for it, or it was won again since, and what it reads from then on is
//     told of;
//   - after that and before it took its lease, the epoch has moved;
//   - after it took its lease, the lease is void, or what it has kept is dropped.
//
// Were the copies dropped before the epoch moves, a reader whose lease comes in between would keep what it read at a
// time of which nobody tells.
type trust struct {
	until atomic.Int64  // the ttl.Time, by the near store's clock, from which on there is no trust
	epoch atomic.Uint64 // how often it was lost

	mu        sync.Mutex // held by whoever changes the above; protects all below
	clear     func(ctx context.Context) error
	unwatched bool // trust needs nobody's word
	dirty     bool // clear has failed: there may be old copies
	over      bool
}

func (t *trust) init(clear func(ctx context.Context) error, unwatched bool) {
	t.clear, t.unwatched, t.dirty = clear, unwatched, true
	if unwatched {
		t.lose()
	}
}

// given reports whether there is trust. It reads the clock once, or not at all where trust has no end.
func (t *trust) given(clock ttl.Clock) bool {
	until := ttl.Time(t.until.Load())
	return until != 0 && (until == ttl.End || clock.Now() < until)
}

// lose ends the trust in all copies that there are.
func (t *trust) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.until.Store(0)
	t.epoch.Add(1)
	t.dirty = t.clear(context.Background()) != nil
	if t.unwatched && !t.dirty && !t.over {
		t.until.Store(int64(ttl.End))
	}
}

// win trusts copies until then.
func (t *trust) win(until ttl.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dirty {
		t.dirty = t.clear(context.Background()) != nil
	}
	if !t.dirty && !t.over {
		t.until.Store(int64(until))
	}
}

// end ends trust for good.
func (t *trust) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.until.Store(0)
}

// watchAgain is how long a Watch that came to an end by itself, which it should not, is left alone.
const watchAgain = time.Second

// watch listens to the far store until ctx ends.
func (s *Store[K, V]) watch(ctx context.Context) {
	defer close(s.ended)
	again := time.NewTimer(watchAgain)
	defer again.Stop()
	for {
		_ = s.far.watcher.Watch(ctx, watch[K, V]{s})
		if ctx.Err() != nil {
			return
		}
		s.lost()
		again.Reset(watchAgain)
		select {
		case <-again.C:
		case <-ctx.Done():
			return
		}
	}
}

// watch is what the far store tells of changes.
type watch[K comparable, V any] struct{ s *Store[K, V] }

func (w watch[K, V]) Changed(keys []K) {
	w.s.counts.changed.Add(uint64(len(keys)))
	w.s.drop(context.Background(), keys...)
}

func (w watch[K, V]) Lost() { w.s.lost() }

func (w watch[K, V]) Current(until ttl.Time) { w.s.trust.win(w.s.nearTime(until)) }

func (s *Store[K, V]) lost() {
	s.counts.lost.Add(1)
	s.trust.lose()
}

// Trusted reports whether copies are answered from near at this time: the far store has spoken for them, and its word
// has not run out.
func (s *Store[K, V]) Trusted() bool { return s.trust.given(s.near.clock) }

// drop drops the copies of keys, and voids the leases of who is making one. If the near store cannot do that, there is
// no trust in any copy until it could clear itself.
func (s *Store[K, V]) drop(ctx context.Context, keys ...K) {
	ctx = context.WithoutCancel(ctx)
	var err error
	switch {
	case len(keys) == 0:
	case len(keys) == 1 || s.near.batch == nil:
		for i := 0; i < len(keys) && err == nil; i++ {
			err = s.near.Delete(ctx, keys[i])
		}
	default:
		err = s.near.batch.DeleteMany(ctx, keys)
	}
	if err != nil {
		s.trust.lose()
	}
}
