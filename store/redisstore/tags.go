package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/tarncache/tarn"
)

// Tags, in Redis, are a counter for the namespace and a record for each tag that entries have; see tags.lua. An
// invalidation moves the counter, and then writes it into the records of its tags. An entry has the counter as of its lease,
// and is there as long as each of its tags has a record that says no more than that.
//
// So an entry that was loaded before an invalidation is gone, whenever it is stored, and one that was loaded after it
// stays, however late the invalidation arrives. Where a record or the counter was lost, entries are gone rather than old.
//
// Nothing is left over by tags that nobody uses: a record ends with the entries that have the tag, and an invalidation
// makes none. What it leaves is the floor in the record of the tag's partition: a record that is made later says at least
// that.

// maxMarks is how often an invalidation is tried whose counter was lost.
const maxMarks = 8

var errCounter = errors.New("redisstore: the counter of invalidations keeps being lost")

// InvalidateTags removes every entry that has one of the tags, in two round trips, and in one or two more where others
// invalidate the same tags at the same time. A full Redis does not hinder it. Where it fails, it may still reach Redis
// later; then it removes what was loaded before it was called, and nothing else.
func (s *Store[K, V]) InvalidateTags(ctx context.Context, tags ...string) error {
	if err := ctx.Err(); err != nil {
		return wrap("invalidate tags", err)
	}
	if err := tarn.CheckTags(tags...); err != nil {
		return wrap("invalidate tags", err)
	}
	tags = slices.Clone(tags)
	slices.Sort(tags)
	return wrap("invalidate tags", s.invalidate(ctx, slices.Compact(tags)))
}

func (s *Store[K, V]) invalidate(ctx context.Context, tags []string) error {
	for range maxMarks {
		moved, err := s.count(ctx, 0, true)
		if err != nil {
			return err
		}
		above, err := s.mark(ctx, tags, moved.n)
		if err != nil || above <= moved.n {
			return err
		}
		// Somebody was quicker, who has moved the counter further; or it was lost, and has come back lower.
		now, err := s.count(ctx, above, false)
		if err != nil || now.before >= above {
			return err
		}
	}
	return errCounter
}

// mark writes into the records of tags that they were invalidated at n, and tells it. It returns the latest moment that
// the records knew of.
func (s *Store[K, V]) mark(ctx context.Context, tags []string, n uint64) (latest uint64, err error) {
	commands, replies := make([]Command, len(tags)), make([]Reply, len(tags))
	for i, tag := range tags {
		commands[i] = s.call("mark", s.names.tag(tag), 2, strconv.FormatUint(n, 10))
	}
	s.run(ctx, commands, replies)
	for _, r := range replies {
		switch {
		case r.Err != nil:
			return 0, r.Err
		case r.Kind != Int || r.Int < 0 || r.Int > largestStamp:
			return 0, errReply
		}
		latest = max(latest, uint64(r.Int))
	}
	return latest, nil
}

// Stamp returns the counter of the namespace's invalidations, in one round trip.
func (s *Store[K, V]) Stamp(ctx context.Context) (tarn.Stamp, error) {
	if err := ctx.Err(); err != nil {
		return 0, wrap("stamp", err)
	}
	now, err := s.count(ctx, 0, false)
	return tarn.Stamp(now.n), wrap("stamp", err)
}

// counted is the counter, and what it was before.
type counted struct{ n, before uint64 }

// count asks for the counter, which is at least least afterwards, and is moved if that is wanted.
func (s *Store[K, V]) count(ctx context.Context, least uint64, move bool) (counted, error) {
	return s.counted(s.one(ctx, s.counting(least, move)))
}

// counting returns the command of a count. The counter does not fall behind what this process knows that it was.
func (s *Store[K, V]) counting(least uint64, move bool) Command {
	moves := ""
	if move {
		moves = "+"
	}
	return s.call("counter", s.names.counter(), 2, strconv.FormatUint(max(least, s.counter.Load()), 10), moves)
}

func (s *Store[K, V]) counted(r Reply) (c counted, err error) {
	switch {
	case r.Err != nil:
		return c, r.Err
	case len(r.Items) != 2 || r.Items[0].Kind != Int || r.Items[1].Kind != Int,
		r.Items[0].Int <= 0 || r.Items[0].Int > largestStamp || r.Items[1].Int < 0:
		return c, errReply
	}
	c = counted{uint64(r.Items[0].Int), uint64(r.Items[1].Int)}
	s.knows(c.n)
	return c, nil
}

// knows keeps in mind that the counter was at n: it does not come back lower.
func (s *Store[K, V]) knows(n uint64) {
	for {
		known := s.counter.Load()
		if known >= n || n > largestStamp || s.counter.CompareAndSwap(known, n) {
			return
		}
	}
}
