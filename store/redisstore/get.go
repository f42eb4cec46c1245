package redisstore

import (
	"context"

	"github.com/tarncache/tarn"
)

// read is what a Get sends and what it is answered. It is used again.
type read struct {
	keys     [2]string
	commands [3]Command // the value, the record, and the time
	replies  [3]Reply
}

var getWords = []string{"GET"}

func newRead() *read {
	r := new(read)
	r.commands[0] = Command{Words: getWords, Keys: r.keys[:1]}
	r.commands[1] = Command{Words: getWords, Keys: r.keys[1:]}
	return r
}

// Get returns the entry of key. What is stored there and cannot be decoded is removed, told to the Observer, and not
// found. Where Redis has a list or any other type under the key, that is an error.
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
		if clock.old(now) {
			n, r.commands[2] = 3, s.callPartition("time", name.partition)
		}
		s.client.Do(ctx, r.commands[:n], r.replies[:n])
		for i := range r.replies[:n] {
			if err := r.replies[i].Err; err != nil && !isNoScript(err) {
				return sight{}, err
			}
		}
		if n == 2 {
			return s.see(r.replies[0].Text, r.replies[1].Text), nil
		}
		if r.replies[2].Err == nil {
			clock.set(now, r.replies[2].Int)
			return s.see(r.replies[0].Text, r.replies[1].Text), nil
		}
		if err := s.renew(ctx, s.renewals.count()); err != nil {
			return sight{}, err
		}
	}
	return sight{}, errUnloaded
}
