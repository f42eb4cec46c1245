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
// round trip. What it took before an error ends by itself after terms.Life, whose resolution is a millisecond.
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
	for range 3 {
		if which, err = s.leaseSome(ctx, names, terms, into, which); err != nil || len(which) == 0 {
			return wrap("lease", err)
		}
	}
	for _, i := range which { // somebody keeps writing what this store cannot read
		into[i] = tarn.Lease[V]{State: tarn.Held}
	}
	return nil
}

// leaseSome leases the keys whose indexes are given, and returns those to ask for again.
func (s *Store[K, V]) leaseSome(
	ctx context.Context, names []keyName, terms tarn.LeaseTerms, into []tarn.Lease[V], which []int,
) (again []int, err error) {
	commands, replies := make([]Command, len(which)), make([]Reply, len(which))
	life, refresh := strconv.FormatInt(milliseconds(min(terms.Life, forever)), 10), ""
	if terms.Refresh {
		refresh = "r"
	}
	for n, i := range which {
		into[i] = tarn.Lease[V]{Token: newToken()}
		commands[n] = s.call("lease", names[i], 3, string(into[i].Token[:]), life, refresh)
	}
	now := s.clock.Now()
	s.run(ctx, commands, replies)
	var damaged []damage
	var cause error
	for n, i := range which {
		clock := s.clockOf(names[i].partition)
		text, lerr := leaseOf(replies[n], &into[i], func(answer int64) { clock.set(now, answer) })
		if lerr != nil {
			into[i] = tarn.Lease[V]{}
			err = errors.Join(err, lerr)
			continue
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
		case into[i].State == tarn.Hit: // it expired on its way
			again = append(again, i)
		}
	}
	if len(damaged) > 0 {
		s.undecodable(ctx, cause, damaged...)
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
		if len(text) < atPayload || r.Items[3].Kind != Int {
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

// Fill ends leases and stores entries where they stood, in one round trip. An entry that is too large, or has expired,
// leaves its key empty; that is no error, for whoever loaded the value can still use it, and [Stats] counts what was
// refused. One that cannot be encoded, and a Redis that is full, end the lease too, and are errors.
func (s *Store[K, V]) Fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	if err := ctx.Err(); err != nil {
		return wrap("fill", err)
	}
	commands, replies := make([]Command, len(fills)), make([]Reply, len(fills))
	errs := make(tarn.IndexError, len(fills))
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
			if args, err = s.lives(name, &f.Entry); err != nil {
				s.counts.refused.Add(1)
				if !errors.Is(err, tarn.ErrTooHeavy) {
					errs[i] = err
				}
			} else if args[0] != "" {
				what = "store"
				f.Entry.Expires = s.capped(f.Entry.Expires)
			}
		}
		commands[i] = s.call("fill", name, 3, string(f.Token[:]), what, args[0], args[1], args[2], args[3])
	}
	s.run(ctx, commands, replies)
	for i, r := range replies {
		err := counted(r)
		fills[i].Stored = err == nil && r.Int == 1
		if err != nil {
			errs[i] = err
		}
	}
	return wrap("fill", failures(errs))
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
		if err := counted(r); err != nil {
			clear(into)
			return wrap("stands", err)
		}
		into[i] = r.Int == 1
	}
	return nil
}

// undoTimeout bounds what is done when something has failed.
const undoTimeout = 500 * time.Millisecond
