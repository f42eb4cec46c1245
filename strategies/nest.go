package strategies

import (
	"context"
	"sync"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

// nest is the place of a loader's call among the loads that asked for one another: a loader may call a cache, whose
// loader calls another, and so on, each on its own goroutine. It tells when a loader would wait for itself.
//
//	load of user 1 ── waits for ──► load of team 7 ── waits for ──► load of user 1
type nest struct {
	parent *nest // the call of the loader that asked for this one, by its context; nil: an application's own
	load   nesting
	ended  atomic.Bool // the loader has returned: whoever is still on its context holds nothing up

	mu    sync.Mutex
	waits []*nest  // what the loader waits for now; protected by mu, as all below
	after *nest    // what has to end before this one begins; nil: nothing
	urged bool     // a loader waits for it, so it is to wait for no place among the loads
	hurry []func() // have its calls begin although it is not their turn
}

// nesting is what a nest needs to know of what is loaded, of any type.
type nesting interface {
	// loads reports whether this is a load by reader, of type *reader[K, V], of key, of type K.
	loads(reader, key any) bool
	// leases reports whether this is a load of key that took the lease token.
	leases(key any, token tarn.Token) bool
}

type nestKey struct{}

// nestOf returns the running load on whose context ctx is, or nil.
func nestOf(ctx context.Context) *nest {
	n, _ := ctx.Value(nestKey{}).(*nest)
	return n.running()
}

// running returns the first of n and its parents that has not ended, or nil.
func (n *nest) running() *nest {
	for n != nil && n.ended.Load() {
		n = n.parent
	}
	return n
}

// within reports whether a load of key by reader is among n and its parents.
func (n *nest) within(reader, key any) bool {
	for n = n.running(); n != nil; n = n.parent.running() {
		if n.load.loads(reader, key) {
			return true
		}
	}
	return false
}

// leases reports whether a load among n and its parents took the lease token of key.
func (n *nest) leases(key any, token tarn.Token) bool {
	for n = n.running(); n != nil; n = n.parent.running() {
		if n.load.leases(key, token) {
			return true
		}
	}
	return false
}

// wait notes that n's loader is about to wait for o, unless o waits for n already: then it reports false, for both
// would wait for ever. Of two that are about to close a circle at least one sees it, since each notes before it looks.
func (n *nest) wait(o *nest) bool {
	n.mu.Lock()
	n.waits = append(n.waits, o)
	n.mu.Unlock()
	if o.reaches(n, map[*nest]bool{}) {
		n.awake(o)
		return false
	}
	o.urge()
	return true
}

// awake notes that n's loader waits for o no longer.
func (n *nest) awake(o *nest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, w := range n.waits {
		if w == o {
			n.waits = append(n.waits[:i], n.waits[i+1:]...)
			return
		}
	}
}

// follow notes that n begins when o has ended; nil: that it begins.
func (n *nest) follow(o *nest) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.after = o
}

// end notes that the loader has returned: it waits for nothing.
func (n *nest) end() {
	n.ended.Store(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waits = nil
}

// waitsFor returns what has to end before n does.
func (n *nest) waitsFor() []*nest {
	n.mu.Lock()
	defer n.mu.Unlock()
	waits := append([]*nest(nil), n.waits...)
	if n.after != nil {
		waits = append(waits, n.after)
	}
	return waits
}

// reaches reports whether n waits, directly or through others, for o.
func (n *nest) reaches(o *nest, seen map[*nest]bool) bool {
	if n == o {
		return true
	}
	if seen[n] {
		return false
	}
	seen[n] = true
	for _, next := range n.waitsFor() {
		if next.reaches(o, seen) {
			return true
		}
	}
	return false
}

// urge has n, and what n begins after, wait for no place and no turn: a loader waits for them that may have the place
// they wait for.
func (n *nest) urge() {
	for n != nil {
		n.mu.Lock()
		n.urged = true
		hurry, after := n.hurry, n.after
		n.hurry = nil
		n.mu.Unlock()
		for _, begin := range hurry {
			begin()
		}
		n = after
	}
}

// queue has begin called once a loader waits for n, or at once if one does already.
func (n *nest) queue(begin func()) {
	n.mu.Lock()
	urged := n.urged
	if !urged {
		n.hurry = append(n.hurry, begin)
	}
	n.mu.Unlock()
	if urged {
		begin()
	}
}

// urgent reports whether n is to wait for no place. If it is not, hurry will be called should it become so.
func (n *nest) urgent(hurry func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.parent.running() != nil || n.urged {
		return true
	}
	n.hurry = append(n.hurry, hurry)
	return false
}

func (l *load[K, V]) loads(reader, key any) bool {
	for _, f := range l.flights {
		if f.loads(reader, key) {
			return true
		}
	}
	return false
}

func (f *flight[K, V]) loads(reader, key any) bool {
	if reader != any(f.load.reader) {
		return false
	}
	k, ok := key.(K)
	return ok && f.key == k
}

func (l *load[K, V]) leases(key any, token tarn.Token) bool {
	for _, f := range l.flights {
		if f.leases(key, token) {
			return true
		}
	}
	return false
}

func (f *flight[K, V]) leases(key any, token tarn.Token) bool {
	k, ok := key.(K)
	if !ok || f.key != k {
		return false
	}
	t, mine := f.load.reader.flights.leaseOf(f)
	return mine && t == token
}
