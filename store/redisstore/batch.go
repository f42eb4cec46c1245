package redisstore

import (
	"cmp"
	"context"
	"slices"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// mostPerCommand is how many values one MGET asks for. Redis does nothing else meanwhile.
const mostPerCommand = 512

// mget is one command of a batch: some keys of it, and the records of their partitions.
type mget struct {
	which   []int // indexes of the keys
	records []int // partitions, distinct
	reply   *Reply
}

// GetMany reads the entries of keys in one round trip, and one more where some are missing: MGET does not tell a missing
// key from one of another type, so they are asked for again one by one. Where some have tags, it takes one more.
func (s *Store[K, V]) GetMany(ctx context.Context, keys []K, into []tarn.Lookup[V]) error {
	if len(keys) != len(into) {
		return errLengths("get many", len(keys), len(into))
	}
	clear(into)
	names, err := s.batch(ctx, keys)
	if err != nil {
		return wrap("get many", err)
	}
	seen := make([]sight, len(keys))
	if err := s.lookMany(ctx, names, seen); err != nil {
		return wrap("get many", err)
	}
	var damaged []damage
	var cause error
	tagged := false
	for i, look := range seen {
		if !look.isEntry() {
			continue
		}
		e, live, err := s.entry(look, names[i], s.clockOf(names[i].partition))
		switch {
		case err != nil:
			cause, damaged = err, append(damaged, damage{names[i], look.text})
		case live:
			into[i] = tarn.Lookup[V]{Entry: e, Found: true}
			tagged = tagged || e.Tags != nil
		}
	}
	if len(damaged) > 0 {
		s.undecodable(ctx, cause, damaged...)
	}
	if tagged {
		lost, err := s.withoutInvalidated(ctx, into)
		for _, i := range lost {
			s.gone.note(names[i], seen[i].id())
		}
		return wrap("get many", err)
	}
	return nil
}

// withoutInvalidated clears what has a tag that was invalidated, or may have been, and returns what was for certain. With
// an error, it clears all.
func (s *Store[K, V]) withoutInvalidated(ctx context.Context, found []tarn.Lookup[V]) (lost []int, err error) {
	all := make([]*tarn.Tags, len(found))
	for i := range found {
		all[i] = found[i].Entry.Tags
	}
	t, err := s.standing(ctx, all)
	for i := range found {
		switch {
		case err != nil:
		case t.valid(all[i]):
			continue
		case t.gone(all[i]):
			lost = append(lost, i)
		}
		found[i] = tarn.Lookup[V]{}
	}
	return lost, err
}

// lookMany sets seen[i] to what stands under names[i].
func (s *Store[K, V]) lookMany(ctx context.Context, names []keyName, seen []sight) error {
	gets := s.divide(names)
	if _, err := s.fetchMany(ctx, names, gets); err != nil {
		return err
	}
	return s.seeMany(ctx, names, gets, seen)
}

// fetchMany sends the commands of gets, and after them some of the script's, whose answers it returns.
func (s *Store[K, V]) fetchMany(
	ctx context.Context, names []keyName, gets []mget, after ...Command,
) (answers []Reply, err error) {
	for range maxRenewals {
		commands := make([]Command, len(gets), len(gets)+1+len(after))
		for i, g := range gets {
			all := make([]string, 0, len(g.which)+len(g.records))
			for _, k := range g.which {
				all = append(all, names[k].redis)
			}
			for _, p := range g.records {
				all = append(all, s.names.record(p))
			}
			commands[i] = Command{Words: mgetWords, Keys: all}
		}
		now := s.clock.Now()
		asked := s.oldClocks(gets, now)
		for _, p := range asked {
			commands = append(commands, s.callPartition("time", p))
		}
		answers := len(commands)
		commands = append(commands, after...)
		replies := make([]Reply, len(commands))
		before := s.renewals.count()
		s.client.Do(ctx, commands, replies)
		renew, err := false, error(nil)
		for i, r := range replies {
			switch {
			case r.Err != nil && isNoScript(r.Err):
				renew = true
			case r.Err != nil:
				err = r.Err
			case i >= answers:
			case i >= len(gets) && r.Kind != Int:
				err = errReply
			case i >= len(gets):
				s.clockOf(asked[i-len(gets)]).set(now, r.Int)
			case len(r.Items) != len(commands[i].Keys) || !areValues(r.Items):
				err = errReply
			default:
				gets[i].reply = &replies[i]
			}
		}
		switch {
		case err != nil:
			return nil, err
		case !renew:
			return replies[answers:], nil
		}
		if err := s.renew(ctx, before); err != nil {
			return nil, err
		}
	}
	return nil, errUnloaded
}

// divide puts keys into as many commands as they need: all into one where there is one server, and those of one
// partition where there are several.
func (s *Store[K, V]) divide(names []keyName) []mget {
	order := make([]int, len(names))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return cmp.Compare(names[a].partition, names[b].partition) })
	var gets []mget
	sharded := s.client.Sharded()
	last, records := -1, []int(nil)
	start := 0
	for n, i := range order {
		p := names[i].partition
		if n > start && (n-start == mostPerCommand || sharded && p != last) {
			gets = append(gets, mget{which: order[start:n], records: records})
			start, last, records = n, -1, nil
		}
		if p != last {
			last, records = p, append(records, p)
		}
	}
	if start < len(order) {
		gets = append(gets, mget{which: order[start:], records: records})
	}
	return gets
}

// oldClocks returns a partition of each server whose clock has to be asked.
func (s *Store[K, V]) oldClocks(gets []mget, now ttl.Time) (partitions []int) {
	for _, g := range gets {
		if s.clockOf(g.records[0]).old(now) {
			partitions = append(partitions, g.records[0])
			if !s.client.Sharded() {
				break
			}
		}
	}
	return partitions
}

// seeMany tells what the replies say. What is missing is looked at once more.
func (s *Store[K, V]) seeMany(ctx context.Context, names []keyName, gets []mget, seen []sight) error {
	var missing []Command
	for _, g := range gets {
		for n, p := range g.records {
			if g.reply.Items[len(g.which)+n].Kind == Nil {
				missing = append(missing, Command{Words: getWords, Keys: []string{s.names.record(p)}})
			}
		}
		at := 0 // the record of the key's partition; both are in order
		for n, i := range g.which {
			for g.records[at] != names[i].partition {
				at++
			}
			value := g.reply.Items[n]
			seen[i] = s.see(ctx, value.Text, g.reply.Items[len(g.which)+at].Text)
			if value.Kind == Nil {
				missing = append(missing, Command{Words: getWords, Keys: []string{names[i].redis}})
			}
		}
	}
	return s.missing(ctx, missing)
}

// missing returns an error if what an MGET did not find is there, but no string. What was stored meanwhile is not
// looked at: it was not there.
func (s *Store[K, V]) missing(ctx context.Context, gets []Command) error {
	if len(gets) == 0 {
		return nil
	}
	replies := make([]Reply, len(gets))
	s.client.Do(ctx, gets, replies)
	for _, r := range replies {
		if r.Err != nil {
			return r.Err
		}
		if !r.isValue() {
			return errReply
		}
	}
	return nil
}

// SetMany sets the keys, each as Set does, in one round trip, and one more where entries have tags.
func (s *Store[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if len(keys) != len(entries) {
		return errLengths("set many", len(keys), len(entries))
	}
	if err := ctx.Err(); err != nil {
		return wrap("set many", err)
	}
	t := s.tagging(ctx, tagsOfEntries(entries)...)
	errs := make(tarn.IndexError, len(keys))
	var commands []Command
	var sets []set
	var which []int
	for i, key := range keys {
		set, err := s.setting(key, &entries[i], t)
		if errs[i] = err; err == nil {
			commands, sets, which = append(commands, set.command), append(sets, set), append(which, i)
		}
	}
	replies := make([]Reply, len(commands))
	s.runTagged(ctx, t, commands, replies)
	for n, i := range which {
		errs[i] = sets[n].outcome(replies[n], t)
	}
	return wrap("set many", failures(errs))
}

// tagsOfEntries returns nil if none has any.
func tagsOfEntries[V any](entries []tarn.Entry[V]) (all []*tarn.Tags) {
	for i := range entries {
		if entries[i].Tags != nil {
			all = append(all, entries[i].Tags)
		}
	}
	return all
}

// DeleteMany deletes the keys, each as Delete does, in one round trip. Where some failed, the error is a
// [tarn.IndexError]; one whose bytes cannot be made keeps no other from being deleted.
func (s *Store[K, V]) DeleteMany(ctx context.Context, keys []K) error {
	if err := ctx.Err(); err != nil {
		return wrap("delete many", err)
	}
	errs := make(tarn.IndexError, len(keys))
	commands, which := make([]Command, 0, len(keys)), make([]int, 0, len(keys))
	for i, key := range keys {
		name, err := s.names.name(key)
		if errs[i] = err; err == nil {
			commands, which = append(commands, s.call("delete", name, 2)), append(which, i)
		}
	}
	replies := make([]Reply, len(commands))
	s.run(ctx, commands, replies)
	for n, i := range which {
		errs[i] = answered(replies[n], "deleted")
	}
	return wrap("delete many", failures(errs))
}
