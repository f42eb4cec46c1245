package memory

import (
	"context"
	"fmt"
	"hash/maphash"
	"strings"
	"sync"
	"sync/atomic"
	"unsafe"

	"github.com/tarncache/tarn"
)

// tags are the records of the tags that entries of the store have. A node points to those of its own tags, so that to
// look whether it was invalidated takes a load for each, and no lock. A record goes with the last node that has its tag,
// or a while after what has it was refused, and leaves the moment of its last invalidation to its part, where it counts
// for all tags of the part that have no record. So a load that began before an invalidation is refused, whether or not an
// entry had the tag at the time.
//
// A part's mu is taken under a segment's mu, and no lock under a part's.
type tags struct {
	moment       atomic.Uint64 // the number of the last invalidation; never zero
	parts        atomic.Pointer[[tagParts]tagPart]
	invalidating sync.Mutex // one InvalidateTags at a time; taken after a segment's mu and before a part's
	litter       litter
}

// tagParts is in how many parts the tags are. An invalidation of a tag that no entry has refuses what is being loaded
// under others of its part that none has either, so there are many.
const tagParts = 512

type tagPart struct {
	mu     sync.Mutex
	byName map[string]*tag
	others uint64 // the moment of the last invalidation of a tag that is not in byName
	kept   []*tag // records that are there for what is loaded next, though nodes may have none of them; see keep
	oldest int    // of kept, once it is full
}

// mostKept bounds the records that a part keeps for the tags of what it refused.
const mostKept = 8

// tag is the record of a tag that some entry has.
type tag struct {
	invalidated atomic.Uint64 // the moment of its last invalidation, or a later one; written under the part's mu
	part        *tagPart
	name        string
	nodes       int // that point to it; protected by the part's mu, as is live
	live        int // those of them that were not invalidated
	kept        bool
}

// stamp returns the present moment.
func (t *tags) stamp() tarn.Stamp { return tarn.Stamp(t.moment.Load()) }

// settled returns the present moment while no invalidation is under way: those up to it are complete.
func (t *tags) settled() tarn.Stamp {
	t.invalidating.Lock()
	defer t.invalidating.Unlock()
	return t.stamp()
}

// knows reports whether a stamp is of a moment that was: not of none, nor of another store that has come further.
func (t *tags) knows(stamp tarn.Stamp) bool { return stamp != 0 && stamp <= t.stamp() }

// part returns the part of a tag.
func (t *tags) part(seed maphash.Seed, name string) *tagPart {
	parts := t.parts.Load()
	if parts == nil {
		t.parts.CompareAndSwap(nil, new([tagParts]tagPart))
		parts = t.parts.Load()
	}
	return &parts[maphash.String(seed, name)%tagParts]
}

// invalidate makes entries gone that have the tag and an earlier stamp, and returns how many.
func (p *tagPart) invalidate(name string, moment uint64) (gone int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.byName[name]
	if r == nil {
		p.others = moment
		return 0
	}
	r.invalidated.Store(moment)
	gone, r.live = r.live, 0
	return gone
}

// last returns the moment of the last invalidation of a tag, or a later one.
func (p *tagPart) last(name string) uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r := p.byName[name]; r != nil {
		return r.invalidated.Load()
	}
	return p.others
}

// take returns the record of a tag for one more node, and whether that is invalidated already.
func (p *tagPart) take(name string, stamp tarn.Stamp) (r *tag, invalidated bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	r = p.byName[name]
	if r == nil {
		if p.byName == nil {
			p.byName = make(map[string]*tag)
		}
		r = &tag{part: p, name: strings.Clone(name)} // it may be a part of something large
		r.invalidated.Store(p.others)
		p.byName[r.name] = r
	}
	r.nodes++
	if invalidated = r.invalidated.Load() > uint64(stamp); !invalidated {
		r.live++
	}
	return r, invalidated
}

// give gives a record back for a node that has left, and reports whether it was invalidated.
func (r *tag) give(stamp tarn.Stamp) (invalidated bool) {
	p := r.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if invalidated = r.invalidated.Load() > uint64(stamp); !invalidated {
		r.live--
	}
	r.nodes--
	p.tidy(r)
	return invalidated
}

// tidy forgets a record that nobody needs. The caller has mu.
func (p *tagPart) tidy(r *tag) {
	if r.nodes == 0 && !r.kept {
		delete(p.byName, r.name)
		p.others = max(p.others, r.invalidated.Load())
	}
}

// keep keeps the record of a tag of something that was refused, maybe only since tags that nobody has were invalidated:
// what is loaded next finds it, and is refused for an invalidation of the tag itself alone. It takes the place of the one
// that was kept longest.
func (r *tag) keep() {
	p := r.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.kept {
		return
	}
	r.kept = true
	if len(p.kept) < mostKept {
		p.kept = append(p.kept, r)
		return
	}
	old := p.kept[p.oldest]
	p.kept[p.oldest] = r
	p.oldest = (p.oldest + 1) % mostKept
	old.kept = false
	p.tidy(old)
}

// taggedNode is a node whose entry has tags, which never change: an entry with others is put into another node.
type taggedNode[K comparable, V any] struct {
	timedNode[K, V]
	tags    *tarn.Tags
	records []*tag // of its names
}

// tagged returns the node with its tags. It has them only if its version says so.
func (n *node[K, V]) tagged() *taggedNode[K, V] {
	return (*taggedNode[K, V])(unsafe.Pointer(n)) // n is the first field of the first field of one
}

// newTagged returns a node for an entry that has tags. The caller has mu, and gives the node's records back if it does
// not put it into the table. They are taken before anybody asks whether the node is invalidated: an invalidation finds
// the records, or is found in them.
func (g *segment[K, V]) newTagged(key K, hash uint32, e *tarn.Entry[V]) *node[K, V] {
	s := g.store
	n := &taggedNode[K, V]{tags: e.Tags}
	if !s.tags.knows(e.Tags.Stamp()) {
		n.tags = e.Tags.Restamped(s.tags.stamp())
	}
	names := n.tags.Names()
	n.records = make([]*tag, len(names))
	for i, name := range names {
		r, invalidated := s.tags.part(s.seed, name).take(name, n.tags.Stamp())
		n.records[i] = r
		if invalidated {
			s.tags.litter.count.Add(1)
		}
	}
	n.fresh.Store(int64(e.Fresh))
	n.expires.Store(int64(e.Expires))
	n.version.Store(flagsOf(e) | isTimed | isTagged)
	n.key, n.hash, n.value = key, hash, e.Value
	return &n.node
}

// invalidated reports whether a tag of the node was invalidated after its stamp. Anybody may call it.
func (n *node[K, V]) invalidated() bool {
	return n.version.Load()&isTagged != 0 && n.tagged().invalidated()
}

func (n *taggedNode[K, V]) invalidated() bool {
	stamp := uint64(n.tags.Stamp())
	for _, r := range n.records {
		if r.invalidated.Load() > stamp {
			return true
		}
	}
	return false
}

// refuse gives the records of a node back that is not put into the table since it is invalidated.
func (s *Store[K, V]) refuse(n *node[K, V]) {
	for _, r := range n.tagged().records {
		r.keep()
	}
	s.untag(n)
}

// untag gives the records of a node back that has left the table.
func (s *Store[K, V]) untag(n *node[K, V]) {
	if n.version.Load()&isTagged == 0 {
		return
	}
	tagged := n.tagged()
	for _, r := range tagged.records {
		if r.give(tagged.tags.Stamp()) {
			s.tags.litter.count.Add(-1)
		}
	}
}

// gone reports whether an entry that is to be stored has expired, or was invalidated by a tag. The caller has mu.
func (g *segment[K, V]) gone(e *tarn.Entry[V]) bool {
	if g.passed(e.Expires) {
		return true
	}
	return e.Tags != nil && g.store.tags.knows(e.Tags.Stamp()) && g.store.outdated(e.Tags)
}

// outdated reports whether one of the tags, which are of no node, was invalidated after their stamp, or may have been.
func (s *Store[K, V]) outdated(tags *tarn.Tags) bool {
	for _, name := range tags.Names() {
		if s.tags.part(s.seed, name).last(name) > uint64(tags.Stamp()) {
			return true
		}
	}
	return false
}

// Stamp returns the present moment of the store's tags. It does not look at ctx, since it neither waits nor writes. The
// only error is [tarn.ErrClosed].
func (s *Store[K, V]) Stamp(context.Context) (tarn.Stamp, error) {
	if s.closed.Load() {
		return 0, tarn.ErrClosed
	}
	return s.tags.stamp(), nil
}

// InvalidateTags removes every entry that has one of the tags: none is found any more by a call that begins after it has
// returned. It takes a time that depends on the number of tags alone.
//
// What is gone leaves later, when OnRemove is told: it makes room for others or is written again, or the goroutine that
// removes what has expired removes it too: at once if there is much of it, and after a minute however little there is.
func (s *Store[K, V]) InvalidateTags(ctx context.Context, names ...string) error {
	if err := tarn.CheckTags(names...); err != nil {
		return fmt.Errorf("memory: invalidate tags: %w", err)
	}
	if err := s.mayWrite(ctx); err != nil {
		return err
	}
	t := &s.tags
	t.invalidating.Lock()
	defer t.invalidating.Unlock()
	moment := t.moment.Add(1)
	gone := 0
	for _, name := range names {
		gone += t.part(s.seed, name).invalidate(name, moment)
	}
	if due, earlier := t.litter.add(gone, &s.clock); earlier {
		s.wake(due)
	}
	return nil
}
