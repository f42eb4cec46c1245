package strategies

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

const (
	minLeasePause = 2 * time.Millisecond
	maxLeasePause = 50 * time.Millisecond
)

// awaits reports whether a flight is to wait for another's load: one whose fill it will find in the store, and that does
// not wait for this flight in its turn.
func (l *load[K, V]) awaits(f *flight[K, V], lease *tarn.Lease[V]) bool {
	return lease.State == tarn.Leased && f.broken == 0 &&
		!l.reader.vain.has(f.key, lease.Token) && !f.nest.leases(f.key, lease.Token)
}

// outwait loads the keys of left, while it waits for the loads of others to bring those of waiting. Of these it asks the
// store again, for all in one call:
//
//	a value            is the answer
//	the lease          was given back, or ended by itself: this load goes to the source, and stores what it brings
//	a hold             the key is being written: it goes to the source
//	another's lease    it waits on, until the bound has passed; then it goes to the source, and stores nothing
//
// Each time it asks is a look like the first one. Whoever joined before it is answered by what came after; whoever
// comes after the last one needs a proof. No place among the loads is held meanwhile.
func (l *load[K, V]) outwait(left, waiting []*flight[K, V]) {
	var others sync.WaitGroup
	defer others.Wait()
	config := &l.reader.config
	until := time.Now().Add(min(config.leaseWait, config.loadTimeout/2))
	for pause := minLeasePause; len(waiting) > 0; pause = min(2*pause, maxLeasePause) {
		l.loadBeside(&others, left)
		if !l.pause(min(pause/2+rand.N(pause/2), time.Until(until))) {
			l.deliver(waiting, failed[V](len(waiting), l.ctx.Err()))
			return
		}
		more := time.Now().Before(until)
		left, waiting = l.look(waiting, more)
		if !more {
			l.gaveUp(left)
		}
	}
	l.loadAll(left)
}

// gaveUp notes that flights are loaded although others have their leases.
func (l *load[K, V]) gaveUp(fs []*flight[K, V]) {
	for _, f := range fs {
		if token, mine := l.reader.flights.leaseOf(f); !mine {
			l.reader.vain.add(f.key, token)
		}
	}
}

// loadBeside is loadAll on a goroutine of its own.
func (l *load[K, V]) loadBeside(others *sync.WaitGroup, fs []*flight[K, V]) {
	if len(fs) == 0 {
		return
	}
	others.Go(func() {
		defer func() { l.rescue(fs, recover()) }()
		l.loadAll(fs)
	})
}

// pause waits, and reports whether the load is to go on.
func (l *load[K, V]) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return l.ctx.Err() == nil
	case <-l.ctx.Done():
		return false
	}
}

// maxVain bounds how many leases a reader keeps in mind; with more it forgets them all, and waits for them once more.
const maxVain = 1024

// vain are leases that it is no use to wait for: their holder has been waited for already, or was this reader and could
// not give them back. The zero vain is ready.
type vain[K comparable] struct {
	any atomic.Bool // there is one

	mu     sync.Mutex // protects tokens
	tokens map[K]tarn.Token
}

func (v *vain[K]) add(key K, token tarn.Token) {
	if token == (tarn.Token{}) || key != key {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.tokens == nil || len(v.tokens) >= maxVain {
		v.tokens = make(map[K]tarn.Token)
	}
	v.tokens[key] = token
	v.any.Store(true)
}

// has reports whether it is no use to wait for the lease that stands on key. One that stood there before is forgotten.
func (v *vain[K]) has(key K, token tarn.Token) bool {
	if !v.any.Load() {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if t, ok := v.tokens[key]; !ok || t == token {
		return ok
	}
	delete(v.tokens, key)
	v.any.Store(len(v.tokens) > 0)
	return false
}
