package strategies

import (
	"context"
	"sync"
)

// nest is the place of a load among the loads that asked for one another: a loader may call a cache, whose loader
// calls another, and so on, each on its own goroutine. It tells when a loader would wait for itself.
//
//	load of user 1 ── waits for ──► load of team 7 ── waits for ──► load of user 1
type nest struct {
	parent *nest // the load whose loader asked for this one, by its context; nil: an application's own
	load   nesting

	mu    sync.Mutex
	waits []nesting // the loads that this load's loader waits for now; protected by mu
}

// nesting is what a nest needs to know of a load of any type.
type nesting interface {
	// loads reports whether this is a load by reader, of type *reader[K, V], of key, of type K.
	loads(reader, key any) bool

	// waitsFor returns the loads that have to end before this one does.
	waitsFor() []nesting
}

type nestKey struct{}

// nestOf returns the load on whose context ctx is, or nil.
func nestOf(ctx context.Context) *nest {
	n, _ := ctx.Value(nestKey{}).(*nest)
	return n
}

// within reports whether a load of key by reader is among n and its parents.
func (n *nest) within(reader, key any) bool {
	for ; n != nil; n = n.parent {
		if n.load.loads(reader, key) {
			return true
		}
	}
	return false
}

// wait notes that n's loader is about to wait for l, unless l waits for n already: then it reports false, for both
// would wait for ever. Of two that are about to close a circle at least one sees it, since each notes before it looks.
func (n *nest) wait(l nesting) bool {
	n.mu.Lock()
	n.waits = append(n.waits, l)
	n.mu.Unlock()
	if reaches(l, n.load, map[nesting]bool{}) {
		n.awake(l)
		return false
	}
	return true
}

// awake notes that n's loader waits for l no longer.
func (n *nest) awake(l nesting) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, w := range n.waits {
		if w == l {
			n.waits = append(n.waits[:i], n.waits[i+1:]...)
			return
		}
	}
}

// end notes that the load has ended: it waits for nothing.
func (n *nest) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.waits = nil
}

// waiting returns what the loader waits for.
func (n *nest) waiting() []nesting {
	n.mu.Lock()
	defer n.mu.Unlock()
	return append([]nesting(nil), n.waits...)
}

// reaches reports whether from waits, directly or through others, for to.
func reaches(from, to nesting, seen map[nesting]bool) bool {
	if from == to {
		return true
	}
	if seen[from] {
		return false
	}
	seen[from] = true
	for _, next := range from.waitsFor() {
		if reaches(next, to, seen) {
			return true
		}
	}
	return false
}

func (l *load[K, V]) loads(reader, key any) bool {
	if reader != any(l.reader) {
		return false
	}
	k, ok := key.(K)
	if !ok {
		return false
	}
	for _, f := range l.flights {
		if f.key == k {
			return true
		}
	}
	return false
}

func (l *load[K, V]) waitsFor() []nesting {
	waits := l.nest.waiting()
	l.reader.flights.mu.Lock()
	defer l.reader.flights.mu.Unlock()
	if l.after != nil {
		waits = append(waits, l.after)
	}
	return waits
}
