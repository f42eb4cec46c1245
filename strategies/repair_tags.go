package strategies

import (
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/tarncache/tarn"
)

// badTags are tags that could not be invalidated, to the number of the last failure of each. Nil: there are none. They do not
// change, so that a reader has those of before it asked the store.
type badTags map[string]uint64

// has reports whether an entry has one of the tags.
func (b *badTags) has(t *tarn.Tags) bool {
	if b == nil || t == nil {
		return false
	}
	return slices.ContainsFunc(t.Names(), func(name string) bool { _, bad := (*b)[name]; return bad })
}

// with returns b with more tags of a failure, and whether there was room for them.
func (b *badTags) with(tags []string, failure uint64) (more *badTags, room bool) {
	all, room := make(badTags), true
	if b != nil {
		maps.Copy(all, *b)
	}
	for _, tag := range tags {
		if _, known := all[tag]; known || len(all) < maxRepairs {
			all[tag] = failure
		} else {
			room = false
		}
	}
	return &all, room
}

// without returns b without those tags, or without all if there are none, whose last failure is not after that of a number.
func (b *badTags) without(failure uint64, tags ...string) *badTags {
	if b == nil {
		return nil
	}
	left := maps.Clone(*b)
	maps.DeleteFunc(left, func(tag string, failed uint64) bool {
		return failed <= failure && (len(tags) == 0 || slices.Contains(tags, tag))
	})
	if len(left) == 0 {
		return nil
	}
	return &left
}

// number returns the number of the last failure.
func (p *repairs[K]) number() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.last
}

// tagsBroke notes that tags could not be invalidated.
func (r *reader[K, V]) tagsBroke(err error, tags []string) {
	if errors.Is(err, tarn.ErrClosed) {
		return
	}
	p := &r.repairs
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	bad, room := p.tags.Load().with(tags, p.last)
	p.tags.Store(bad)
	if !room {
		p.all = p.last
	}
	r.mend()
	p.pause = minRepairPause
	r.arm()
}

// tagsRepaired notes that tags were invalidated by something that began when the last failure was that of number n.
func (r *reader[K, V]) tagsRepaired(tags []string, n uint64) {
	p := &r.repairs
	if p.tags.Load() == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tags.Store(p.tags.Load().without(n, tags...))
	r.mend()
}

// repairTags invalidates the tags that are to be, until the store fails.
func (r *reader[K, V]) repairTags(ctx context.Context) {
	bad := r.repairs.tags.Load()
	if bad == nil {
		return
	}
	for part := range slices.Chunk(slices.Collect(maps.Keys(*bad)), r.config.maxBatch) {
		if !r.repairSomeTags(ctx, part) {
			return
		}
	}
}

func (r *reader[K, V]) repairSomeTags(ctx context.Context, tags []string) bool {
	ctx, cancel := context.WithTimeout(ctx, defaultSettleTimeout)
	defer cancel()
	n := r.repairs.number()
	if err := r.tagger.InvalidateTags(ctx, tags...); err != nil {
		r.config.observe(ctx, tarn.Event{Kind: tarn.EventStoreFailed, N: 1, Err: err})
		return false
	}
	r.tagsRepaired(tags, n)
	return true
}
