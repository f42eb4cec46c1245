package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/tarncache/tarn"
)

var (
	errLeaseLife = errors.New("redisstore: lease: LeaseTerms.Life is not positive")
	errHoldLife  = errors.New("redisstore: hold: life is not positive")
)

// errLengths says that two slices of a batch do not go together.
func errLengths(op string, keys, others int) error {
	return fmt.Errorf("redisstore: %s: %d keys, but %d places for the results", op, keys, others)
}

// newToken returns 128 random bits.
func newToken() (token tarn.Token) {
	_, _ = rand.Read(token[:]) // never fails: it would rather end the program
	return token
}

// batch returns the names of keys that are about to be read or written.
func (s *Store[K, V]) batch(ctx context.Context, keys []K) ([]keyName, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	names := make([]keyName, len(keys))
	for i, key := range keys {
		var err error
		if names[i], err = s.names.name(key); err != nil {
			return nil, err
		}
	}
	return names, nil
}

// Lease looks keys up, and takes a lease on each that has no entry, or on each at all if terms.Refresh says so, in one
// round trip. Where it finds entries with tags, it takes one more, to look at the tags, and a third if they were
// invalidated and terms.Refresh does not say that they are leased all the same; but not where a Get or GetMany of this
// store has found just that before. What it took before an error ends by itself after terms.Life, whose resolution is a
// millisecond.
func (s *Store[K, V]) Lease(
	ctx context.Context, keys []K, terms tarn.LeaseTerms, into []tarn.Lease[V],
) error {
	switch {
	case terms.Life <= 0:
		return errLeaseLife
	case len(keys) != len(into):
		return errLengths("lease", len(keys), len(into))
	}
	clear(into)
	names, err := s.batch(ctx, keys)
	if err != nil {
		return wrap("lease", err)
	}
	which := make([]int, len(keys))
	for i := range which {
		which[i] = i
	}
	// What cannot be decoded is removed, and asked for again.
	gone := s.gone.take(names)
	for range 3 {
		if which, err = s.leaseSome(ctx, names, terms, into, which, gone); err != nil || len(which) == 0 {
			return wrap("lease", err)
		}
	}
	for _, i := range which { // somebody keeps writing what this store cannot read
		into[i] = tarn.Lease[V]{State: tarn.Held}
	}
	return nil
}

// leaseSome leases the keys whose indexes are given, and returns those to ask for again. gone has the IDs of entries that
// are to be taken for gone.
func (s *Store[K, V]) leaseSome(
	ctx context.Context, names []keyName, terms tarn.LeaseTerms, into []tarn.Lease[V], which []int, gone map[int]string,
) (again []int, err error) {
	commands, replies := make([]Command, len(which), len(which)+1), make([]Reply, len(which)+1)
	life, refresh := strconv.FormatInt(milliseconds(min(terms.Life, forever)), 10), ""
	if terms.Refresh {
		refresh = "r"
	}
	for n, i := range which {
		into[i] = tarn.Lease[V]{Token: newToken()}
		commands[n] = s.call("lease", names[i], 3, string(into[i].Token[:]), life, refresh, gone[i])
	}
	if terms.Stamp { // before any of the keys is loaded
		commands = append(commands, s.counting(0, false))
	}
	now := s.clock.Now()
	s.run(ctx, commands, replies[:len(commands)])
	var moment counted
	if terms.Stamp {
		moment, err = s.counted(replies[len(which)])
	}
	var damaged []damage
	var cause error
	var tagged []int
	ids := make(map[int]string)
	for n, i := range which {
		clock := s.clockOf(names[i].partition)
		text, lerr := leaseOf(replies[n], &into[i], func(answer int64) { clock.set(now, answer) })
		if lerr != nil {
			into[i] = tarn.Lease[V]{}
			err = errors.Join(err, lerr)
			continue
		}
		if into[i].State == tarn.Granted {
			into[i].Stamp = tarn.Stamp(moment.n)
		}
		if text == "" {
			continue
		}
		e, live, derr := s.entry(sight{text[atKind], text}, names[i], clock)
		switch {
		case derr != nil:
			cause, damaged, again = derr, append(damaged, damage{names[i], text}), append(again, i)
		case live:
			into[i].Entry, into[i].Found = e, true
			if e.Tags != nil {
				tagged, ids[i] = append(tagged, i), text[atID:atExpires]
			}
		case into[i].State == tarn.Hit: // it expired on its way
			again = append(again, i)
		}
	}
	if len(damaged) > 0 {
		s.undecodable(ctx, cause, damaged...)
	}
	if len(tagged) > 0 {
		some, terr := s.leaseTagged(ctx, into, tagged)
		for _, i := range some {
			gone[i] = ids[i]
		}
		again, err = append(again, some...), errors.Join(err, terr)
	}
	return again, err
}

// leaseTagged takes away what was found and has tags that were invalidated. It returns the keys that have to be asked for
// again, as they are leased only now.
func (s *Store[K, V]) leaseTagged(ctx context.Context, into []tarn.Lease[V], which []int) (again []int, err error) {
	all := make([]*tarn.Tags, len(which))
	for n, i := range which {
		all[n] = into[i].Entry.Tags
	}
	t, err := s.standing(ctx, all)
	for n, i := range which {
		switch l := &into[i]; {
		case err == nil && t.valid(all[n]):
		case l.State != tarn.Hit:
			l.Entry, l.Found = tarn.Entry[V]{}, false
		case err != nil:
			*l = tarn.Lease[V]{}
		default:
			again = append(again, i)
		}
	}
	return again, err
}

// leaseOf takes the answer apart. text is what is stored, if that was answered, and clock is told the server's time.
func leaseOf[V any](r Reply, l *tarn.Lease[V], clock func(int64)) (text string, err error) {
	switch {
	case r.Err != nil:
		return "", r.Err
	case len(r.Items) == 0:
		return "", errReply
	}
	if len(r.Items) == 4 {
		text = r.Items[2].Text
		if len(text) <= atMarks || r.Items[3].Kind != Int {
			return "", errReply
		}
		clock(r.Items[3].Int)
	}
	token := tarn.Token{}
	if len(r.Items) > 1 {
		copy(token[:], r.Items[1].Text)
	}
	switch r.Items[0].Text {
	case "granted":
		l.State = tarn.Granted
	case "leased":
		l.State, l.Token = tarn.Leased, token
	case "held":
		l.State, l.Token = tarn.Held, tarn.Token{}
	case "hit":
		l.State, l.Token = tarn.Hit, tarn.Token{}
	default:
		return "", errReply
	}
	return text, nil
}

// Fill ends leases and stores entries where they stood, in one round trip, also where entries have tags. On a cluster it
// takes two more for the first entry with a tag of a partition, since the partition's record began: the counter that the
// tag's record is to be made by lies on another node, and has to be read after the partition was seen.
//
// Where an entry replaces one whose tags were invalidated, nothing is stored. The script sees to that itself, but on a
// cluster it cannot where the tags lie in other partitions than the key. If they are not among those of the new entry, it
// takes two more round trips, to look at the tags before and afterwards; what has been stored meanwhile is removed then,
// and may have been read for a moment.
//
// An entry that is too large, or has expired, leaves its key empty; that is no error, for whoever loaded the value can
// still use it, and [Stats] counts what was refused. One that cannot be encoded, and a Redis that is full, end the lease
// too, and are errors.
func (s *Store[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	if err := ctx.Err(); err != nil {
		return wrap("fill", err)
	}
	commands, replies := make([]Command, len(fills)), make([]Reply, len(fills))
	errs := make(tarn.IndexError, len(fills))
	t, stored := s.taggingFills(ctx, fills)
	var overtakable []int
	for i := range fills {
		f := &fills[i]
		f.Stored = false
		name, err := s.names.name(f.Key)
		if err != nil {
			return wrap("fill", err)
		}
		what, args := "release", [4]string{}
		if f.Store {
			what = "empty"
			var tags *tarn.Tags
			if args, tags, err = s.filling(name, f, t); err != nil {
				s.counts.refused.Add(1)
				if !errors.Is(err, tarn.ErrTooHeavy) {
					errs[i] = err
				}
			} else if args[0] != "" {
				what = "store"
				f.Entry.Expires = s.capped(f.Entry.Expires)
			}
			if tags != nil {
				stored[i] = tags
			}
		}
		commands[i] = s.call("fill", name, 3, string(f.Token[:]), what, args[0], args[1], args[2], args[3])
		if what == "store" && !s.guard(&commands[i], name, f.Over) && !covers(f.Entry.Tags, f.Over) {
			overtakable = append(overtakable, i)
		}
	}
	s.runTagged(ctx, t, commands, replies)
	for i, r := range replies {
		err := oneOrNone(r)
		fills[i].Stored = err == nil && r.Int == 1
		if fills[i].Stored && t != nil {
			fills[i].Stored, err = t.stood(stored[i])
		}
		if err != nil {
			errs[i] = err
		}
	}
	s.undoOvertaken(ctx, fills, overtakable, commands, errs)
	return wrap("fill", failures(errs))
}

// filling is lives of what a fill is to store, which is nothing where the entry that it replaces is gone by its tags.
func (s *Store[K, V]) filling(
	name keyName, f *tarn.Fill[K, V], t *tagging,
) (args [4]string, tags *tarn.Tags, err error) {
	if there, err := t.there(f.Over); !there {
		return args, nil, err
	}
	return s.lives(name, &f.Entry, t, false)
}

// taggingFills returns what has to be known of the tags of entries to be filled in, and of those that they replace, and
// has room for these tags. Where there are none, both are nil. It asks where no script can see to what is replaced.
func (s *Store[K, V]) taggingFills(ctx context.Context, fills []tarn.Fill[K, V]) (*tagging, []*tarn.Tags) {
	var all []*tarn.Tags
	unseen := false
	for i := range fills {
		f := &fills[i]
		if f.Store && (f.Entry.Tags != nil || f.Over != nil) {
			all = append(all, f.Entry.Tags, f.Over)
			name, err := s.names.name(f.Key)
			unseen = unseen || err == nil && !s.sees(name, f.Over) && !covers(f.Entry.Tags, f.Over)
		}
	}
	switch {
	case len(all) == 0:
		return nil, nil
	case unseen:
		return s.tagging(ctx, all...), make([]*tarn.Tags, len(fills))
	}
	return s.presuming(ctx, all), make([]*tarn.Tags, len(fills))
}

// failures returns errs if there are any.
func failures(errs tarn.IndexError) error {
	for _, err := range errs {
		if err != nil {
			return errs
		}
	}
	return nil
}

// Stands reports for each lease whether it still stands, in one round trip.
func (s *Store[K, V]) Stands(ctx context.Context, keys []K, tokens []tarn.Token, into []bool) error {
	if len(keys) != len(tokens) || len(keys) != len(into) {
		return errLengths("stands", len(keys), min(len(tokens), len(into)))
	}
	clear(into)
	names, err := s.batch(ctx, keys)
	if err != nil {
		return wrap("stands", err)
	}
	commands, replies := make([]Command, len(keys)), make([]Reply, len(keys))
	for i, name := range names {
		commands[i] = s.call("stands", name, 3, string(tokens[i][:]))
	}
	s.run(ctx, commands, replies)
	for i, r := range replies {
		if err := oneOrNone(r); err != nil {
			clear(into)
			return wrap("stands", err)
		}
		into[i] = r.Int == 1
	}
	return nil
}

// undoTimeout bounds what is done when something has failed.
const undoTimeout = 500 * time.Millisecond
