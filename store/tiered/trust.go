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
// It is lost in two steps, in this order: the word changes, so that nobody begins to use a copy any more, and the epoch
// moves; then the copies are dropped, and the leases of those who are making one voided. A reader notes the word, then
// takes its lease, reads the far store, and looks at the word again before it keeps a copy. So if trust was lost
//
//   - before it noted the word, there is none for it, or it was won again since, and what it reads from then on is
//     told of;
//   - after that and before it took its lease, the epoch has moved;
//   - after it took its lease, the lease is void, or what it has kept is dropped.
//
// Were the copies dropped before the epoch moves, a reader whose lease comes in between would keep what it read at a
// time of which nobody tells.
type trust struct {
	now atomic.Pointer[word]

	mu        sync.Mutex // held by whoever changes now; protects all below
	clear     func(ctx context.Context) error
	unwatched bool     // trust needs nobody's word; never changes
	told      ttl.Time // until when it would be given if nothing were in the way, as word.until
	dirty     bool     // clear has failed: there may be old copies
	pauses    int      // there are: the far store is being cleared
	over      bool
}

// word is what is known of copies. It does not change.
type word struct {
	epoch uint64   // how often trust was lost
	until ttl.Time // by the near store's clock, from when on there is no trust; 0: there is none, End: that has no end
}

// given reports whether there is trust. It reads the clock once, or not at all where trust has no end.
func (w *word) given(clock ttl.Clock) bool {
	return w.until != 0 && (w.until == ttl.End || clock.Now() < w.until)
}

func (t *trust) init(clear func(ctx context.Context) error, unwatched bool) {
	t.clear, t.unwatched, t.dirty = clear, unwatched, true
	t.now.Store(&word{})
	if unwatched {
		t.lose()
	}
}

// lose ends the trust in all copies that there are.
func (t *trust) lose() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told = 0
	if t.unwatched {
		t.told = ttl.End
	}
	t.drop()
	t.say()
}

// pause ends the trust in all copies that there are, and lets none be made until resume. It is for what changes every
// key, as [change] is for what changes some.
func (t *trust) pause() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pauses++
	t.drop()
}

// resume ends a pause.
func (t *trust) resume() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.pauses--
	t.say()
}

// win trusts copies until then.
func (t *trust) win(until ttl.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.dirty {
		t.dirty = t.clear(context.Background()) != nil
	}
	t.told = until
	t.say()
}

// drop ends the trust in all copies, and drops them. The caller has mu.
func (t *trust) drop() {
	t.now.Store(&word{epoch: t.now.Load().epoch + 1})
	t.dirty = t.clear(context.Background()) != nil
}

// say changes until when copies are trusted, if they can be. The caller has mu.
func (t *trust) say() {
	if !t.dirty && !t.over && t.pauses == 0 {
		t.now.Store(&word{t.now.Load().epoch, t.told})
	}
}

// end ends trust for good.
func (t *trust) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.over = true
	t.now.Store(&word{epoch: t.now.Load().epoch})
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

func (w watch[K, V]) Invalidated(tags []string) {
	w.s.counts.tags.Add(uint64(len(tags)))
	w.s.dropTagged(context.Background(), tags)
}

func (w watch[K, V]) Lost() { w.s.lost() }

func (w watch[K, V]) Current(until ttl.Time) { w.s.trust.win(w.s.nearTime(until)) }

func (s *Store[K, V]) lost() {
	s.counts.lost.Add(1)
	s.trust.lose()
}

// Trusted reports whether copies are answered from near at this time: the far store has spoken for them, and its word
// has not run out.
func (s *Store[K, V]) Trusted() bool { return s.trusted() != nil }

// trusted returns what is known of copies if they are trusted, and nil otherwise.
func (s *Store[K, V]) trusted() *word {
	if w := s.trust.now.Load(); w.given(s.near.clock) {
		return w
	}
	return nil
}

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
	if err != nil || s.trust.unwatched && !s.Trusted() {
		s.trust.lose()
	}
}
