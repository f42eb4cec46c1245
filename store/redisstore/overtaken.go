package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"github.com/tarncache/tarn"
)

// What is stored in place of an entry with tags is as old as that entry may be, and need not have its tags. So it is not
// enough that they stood before it was stored. The script looks at their records in the step that stores, where it can:
// see guard. On a cluster no script can look at the records of tags and store what lies in another partition, so they are
// looked at once more afterwards:
//
//	look at the records
//	                              invalidate the tags: acknowledged
//	store without these tags
//	look again: remove it
//
// What is found to be right then was stored before any invalidation that it does not know of.

// there reports whether the entry that had the tags was there when what is known was read.
func (t *tagging) there(tags *tarn.Tags) (bool, error) {
	switch {
	case len(tags.Names()) == 0:
		return true, nil
	case t.failed != nil:
		return false, t.failed
	}
	return uint64(tags.Stamp()) <= t.counter && (t.presumed || t.valid(tags)), nil
}

// guard makes a command that stores do so only if none of the tags was invalidated, and reports whether it can.
func (s *Store[K, V]) guard(c *Command, name keyName, tags *tarn.Tags) bool {
	if tags == nil || !s.sees(name, tags) {
		return tags == nil
	}
	keys := slices.Clone(c.Keys)
	for _, tag := range tags.Names() {
		tag := s.names.tag(tag)
		keys = append(keys, tag.redis, s.names.record(tag.partition))
	}
	c.Keys, c.Words = keys, []string{c.Words[0], c.Words[1], strconv.Itoa(len(keys))}
	c.Args = append(c.Args, strconv.FormatUint(uint64(tags.Stamp()), 10))
	return true
}

// sees reports whether a script that is run for a key can look at the records of tags: on a cluster, only at those that
// lie in the slot of the key.
func (s *Store[K, V]) sees(name keyName, tags *tarn.Tags) bool {
	return !s.client.Sharded() || !slices.ContainsFunc(tags.Names(), func(tag string) bool {
		return s.names.tag(tag).partition != name.partition
	})
}

// covers reports whether every name of others is one of tags: what has these is reached by what reaches the others.
func covers(tags, others *tarn.Tags) bool {
	names := tags.Names()
	for _, name := range others.Names() {
		for len(names) > 0 && names[0] < name {
			names = names[1:]
		}
		if len(names) == 0 || names[0] != name {
			return false
		}
	}
	return true
}

// removal is the command that removes the value with the ID, if that stands still.
func (s *Store[K, V]) removal(name keyName, id string) Command {
	return s.call("compute", name, 2, id, "", "", "", "")
}

// undo runs commands that take back what was done, also where the context is over.
func (s *Store[K, V]) undo(ctx context.Context, commands []Command, replies []Reply) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	s.run(ctx, commands, replies)
}

// undoOvertaken takes those fills back whose Over was invalidated before they were stored, or may have been. One of which
// nothing was heard loses its lease too, so that it does not arrive later.
func (s *Store[K, V]) undoOvertaken(
	ctx context.Context, fills []tarn.Fill[K, V], which []int, commands []Command, errs tarn.IndexError,
) {
	var over []*tarn.Tags
	var doubtful []int
	for _, i := range which {
		if fills[i].Stored || errs[i] != nil {
			over, doubtful = append(over, fills[i].Over), append(doubtful, i)
		}
	}
	if len(doubtful) == 0 {
		return
	}
	records, err := s.standing(ctx, over)
	var undo []Command
	var undone []int
	for _, i := range doubtful {
		f := &fills[i]
		name, nerr := s.names.name(f.Key)
		if nerr != nil || err == nil && errs[i] == nil && records.valid(f.Over) {
			continue
		}
		f.Stored = false
		errs[i] = errors.Join(errs[i], err)
		undone = append(undone, i)
		undo = append(undo, s.call("fill", name, 3, string(f.Token[:]), "release", "", "", "", ""),
			s.removal(name, idOf(commands[i])))
	}
	if len(undo) == 0 {
		return
	}
	replies := make([]Reply, len(undo))
	s.undo(ctx, undo, replies)
	for n, i := range undone {
		errs[i] = errors.Join(errs[i], oneOrNone(replies[2*n]), answered(replies[2*n+1], "stored", "held", "changed"))
	}
}

// restamp gives what was made of an entry that had tags a stamp of which an invalidation that may still reach that entry
// is no part, if it has none: that of the entry, if they have a tag in common, or else of a moment before it was looked
// at. Where that is too early for its other tags, a later moment is taken, and the entry has to be looked at again.
func (c *computing[K, V]) restamp(
	ctx context.Context, t *tagging, had *tarn.Tags, next *tarn.Entry[V],
) (done bool, err error) {
	names := next.Tags.Names()
	if len(names) == 0 || next.Tags.Stamp() != 0 {
		return true, nil
	}
	stamps := []tarn.Stamp{c.stamp}
	if slices.ContainsFunc(names, func(name string) bool { return slices.Contains(had.Names(), name) }) {
		stamps = []tarn.Stamp{had.Stamp(), c.stamp}
	}
	for _, stamp := range stamps {
		tags, _ := tarn.NewTags(stamp, names...)
		if stamp != 0 && t.right(tags) {
			next.Tags = tags
			return true, nil
		}
	}
	t.begin(next.Tags)
	c.runTagged(ctx, t, nil, nil)
	now, err := c.count(ctx, 0, false)
	c.stamp = tarn.Stamp(now.n)
	return false, err
}

// undoOvertakenStore takes a Compute back if what it was made of had tags that were invalidated before it was stored, or
// may have been, and reports whether they were not.
func (c *computing[K, V]) undoOvertakenStore(
	ctx context.Context, had *tarn.Tags, command Command, failed error,
) (there bool, err error) {
	if there, err = c.stands(ctx, had); there && failed == nil {
		return true, nil
	}
	var replies [1]Reply
	c.undo(ctx, []Command{c.removal(c.name, idOf(command))}, replies[:])
	return false, errors.Join(failed, err, answered(replies[0], "stored", "held", "changed"))
}
