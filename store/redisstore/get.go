package redisstore

import (
	"context"

	"github.com/tarncache/tarn"
)

// read is what a Get sends and what it is answered. It is used again.
type read struct {
	keys     [2]string // the value and the record
	commands [3]Command
	replies  [3]Reply
}

var (
	getWords  = []string{"GET"}
	mgetWords = []string{"MGET"}
)

func newRead() *read {
	r := new(read)
	r.commands[0] = Command{Words: getWords, Keys: r.keys[:1]}
	r.commands[1] = Command{Words: getWords, Keys: r.keys[1:]}
	return r
}

// Get returns the entry of key. What is stored there and cannot be decoded is removed, told to the Observer, and not
// found. Where Redis has a list or any other type under the key, that is an error.
//
// It takes one round trip, with two commands: MGET would not tell a missing key from one of another type. For an entry
// with tags it takes one more.
func (s *Store[K, V]) Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return e, false, wrap("get", err)
	}
	seen, err := s.look(ctx, name)
	if err != nil || !seen.isEntry() {
		return e, false, wrap("get", err)
	}
	e, found, err = s.entry(seen, name, s.clockOf(name.partition))
	if err != nil {
		s.undecodable(ctx, err, damage{name, seen.text})
		return e, false, nil
	}
	if found && e.Tags != nil {
		t, err := s.standing(ctx, []*tarn.Tags{e.Tags})
		if err != nil || !t.valid(e.Tags) {
			if err == nil && t.gone(e.Tags) {
				s.gone.note(name, seen.id())
			}
			return tarn.Entry[V]{}, false, wrap("get", err)
		}
	}
	return e, found, nil
}

// look reads what stands under a key.
func (s *Store[K, V]) look(ctx context.Context, name keyName) (sight, error) {
	r := s.reads.Get().(*read)
	defer s.reads.Put(r)
	defer clear(r.replies[:])
	clock := s.clockOf(name.partition)
	r.keys = [2]string{name.redis, s.names.record(name.partition)}
	for range maxRenewals {
		n, now := 2, s.clock.Now()
		old := clock.old(now)
		if old {
			r.commands[n] = s.callPartition("time", name.partition)
			n++
		}
		before := s.renewals.count()
		s.client.Do(ctx, r.commands[:n], r.replies[:n])
		for i := range r.replies[:n] {
			if err := r.replies[i].Err; err != nil && !isNoScript(err) {
				return sight{}, err
			}
		}
		if old && r.replies[n-1].Err != nil {
			if err := s.renew(ctx, before); err != nil {
				return sight{}, err
			}
			continue
		}
		if old && r.replies[n-1].Kind != Int {
			return sight{}, errReply
		}
		if old {
			clock.set(now, r.replies[n-1].Int)
		}
		value, record := &r.replies[0], &r.replies[1]
		if !value.isValue() || !record.isValue() {
			return sight{}, errReply
		}
		return s.see(ctx, value.Text, record.Text), nil
	}
	return sight{}, errUnloaded
}

// isValue reports whether a reply can be that to a GET that has not failed.
func (r *Reply) isValue() bool { return r.Kind == Text || r.Kind == Nil }

func areValues(items []Reply) bool {
	for i := range items {
		if !items[i].isValue() {
			return false
		}
	}
	return true
}
