package tiered

import (
	"context"
	"slices"
	"sync"

	"github.com/tarncache/tarn"
)

// leaving are the tags that the far store is invalidating for this process. Until that has ended, what is read there may
// be from before it or from after it, and a copy of the former would bring reads back that have seen the latter:
//
//	one reader                 another                    InvalidateTags
//	take the near stamp
//	read far: old value
//	                                                      far: invalidated
//	                           read far: nothing
//	keep a copy: the old value
//	                           read near: old value
//	                                                      near: invalidated
//
// So no copy is kept of what has such a tag. Whoever has asked before the tag was put here took his stamp before the near
// store was told of it for the first time, and who asks after it has gone, and read before the far store was told, took
// it before the last time: in both cases the near store refuses what he keeps, or drops it.
type leaving struct {
	mu   sync.Mutex
	tags map[string]int // by how many calls
}

func (l *leaving) add(tags []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.tags == nil {
		l.tags = make(map[string]int)
	}
	for _, tag := range tags {
		l.tags[tag]++
	}
}

func (l *leaving) remove(tags []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, tag := range tags {
		if l.tags[tag]--; l.tags[tag] == 0 {
			delete(l.tags, tag)
		}
	}
	if len(l.tags) == 0 {
		l.tags = nil // a map keeps the room that it once needed
	}
}

func (l *leaving) has(tags *tarn.Tags) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.tags) > 0 && slices.ContainsFunc(tags.Names(), func(tag string) bool { return l.tags[tag] > 0 })
}

// mayKeep reports whether a copy may be kept of an entry with these tags, which was read after the near store's moment
// stamp; zero: it has none to tell.
func (s *Store[K, V]) mayKeep(tags *tarn.Tags, stamp tarn.Stamp) bool {
	return stamp != 0 && !s.leaving.has(tags)
}

// nearStamp returns the present moment of the near store, if one of the fills may need it to be copied, and zero otherwise.
func (s *Store[K, V]) nearStamp(ctx context.Context, fills []tarn.Fill[K, V]) tarn.Stamp {
	tagged := func(f tarn.Fill[K, V]) bool { return f.Store && f.Entry.Tags != nil }
	if s.near.tagger == nil || !slices.ContainsFunc(fills, tagged) {
		return 0
	}
	stamp, err := s.near.tagger.Stamp(context.WithoutCancel(ctx))
	if err != nil {
		return 0
	}
	return stamp
}

// InvalidateTags invalidates tags in the far store. Whatever becomes of that, no copy of an entry that has one of them
// remains.
func (s *Store[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	if err := s.mayUse("invalidate tags", s.far.tagger != nil); err != nil {
		return err
	}
	if err := tarn.CheckTags(tags...); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	s.leaving.add(tags)
	defer s.leaving.remove(tags)
	defer s.dropTagged(ctx, tags)
	s.dropTagged(ctx, tags)
	return s.far.tagger.InvalidateTags(ctx, tags...)
}

// Stamp returns the far store's moment.
func (s *Store[K, V]) Stamp(ctx context.Context) (tarn.Stamp, error) {
	if err := s.mayUse("stamp", s.far.tagger != nil); err != nil {
		return 0, err
	}
	return s.far.tagger.Stamp(ctx)
}

// dropTagged drops the copies of entries that have one of the tags, and those of them that are being made. If the near
// store cannot do that, there is no trust in any copy until it could clear itself.
func (s *Store[K, V]) dropTagged(ctx context.Context, tags []string) {
	if s.near.tagger == nil {
		return // there are none
	}
	err := s.near.tagger.InvalidateTags(context.WithoutCancel(ctx), tags...)
	if err != nil || s.trust.unwatched && !s.Trusted() {
		s.trust.lose()
	}
}
