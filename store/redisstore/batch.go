package redisstore

import (
	"cmp"
	"context"
	"errors"
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
// key from one of another type, so they are asked for again one by one.
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
		}
	}
	if len(damaged) > 0 {
		s.undecodable(ctx, cause, damaged...)
	}
	return nil
}

// lookMany sets seen[i] to what stands under names[i].
func (s *Store[K, V]) lookMany(ctx context.Context, names []keyName, seen []sight) error {
	gets := s.divide(names)
	for range maxRenewals {
		commands := make([]Command, len(gets), len(gets)+1)
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
			return err
		case !renew:
			return s.seeMany(ctx, names, gets, seen)
		}
		if err := s.renew(ctx, before); err != nil {
			return err
		}
	}
	return errUnloaded
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

// SetMany sets the keys, each as Set does, in one round trip.
func (s *Store[K, V]) SetMany(ctx context.Context, keys []K, entries []tarn.Entry[V]) error {
	if len(keys) != len(entries) {
		return errLengths("set many", len(keys), len(entries))
	}
	if err := ctx.Err(); err != nil {
		return wrap("set many", err)
	}
	errs := make(tarn.IndexError, len(keys))
	var commands []Command
	var which []int
	for i, key := range keys {
		command, refused, err := s.setting(ctx, key, &entries[i])
		if errs[i] = errors.Join(err, refused); err == nil {
			commands, which = append(commands, command), append(which, i)
		}
	}
	replies := make([]Reply, len(commands))
	s.run(ctx, commands, replies)
	for n, i := range which {
		errs[i] = setError(replies[n], errs[i])
	}
	return wrap("set many", failures(errs))
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
