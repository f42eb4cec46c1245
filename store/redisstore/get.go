package redisstore

import (
	"context"
	"sync/atomic"

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

// Get returns the entry of key. What is stored there and cannot be decoded is removed, told to the Observer, and not
// found. Where Redis has a list or any other type under the key, that is an error.
//
// It takes one round trip. A miss that follows many hits takes two: then values are asked for in a way that is quicker
// where there is one, and does not tell a missing key from one of another type.
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
		together := s.streak.long()
		n := r.ask(together)
		now := s.clock.Now()
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
		return s.answer(ctx, r, together)
	}
	return sight{}, errUnloaded
}

// ask sets the commands that read a value and its record, and returns their number.
func (r *read) ask(together bool) int {
	if together {
		r.commands[0] = Command{Words: mgetWords, Keys: r.keys[:]}
		return 1
	}
	r.commands[0] = Command{Words: getWords, Keys: r.keys[:1]}
	r.commands[1] = Command{Words: getWords, Keys: r.keys[1:]}
	return 2
}

// answer tells what the replies say.
func (s *Store[K, V]) answer(ctx context.Context, r *read, together bool) (sight, error) {
	value, record := &r.replies[0], &r.replies[1]
	if together {
		if len(r.replies[0].Items) != 2 {
			return sight{}, errReply
		}
		value, record = &r.replies[0].Items[0], &r.replies[0].Items[1]
	}
	if !value.isValue() || !record.isValue() {
		return sight{}, errReply
	}
	hit := value.Kind != Nil && record.Kind != Nil
	s.streak.note(hit)
	if together && !hit {
		return sight{}, s.missing(ctx, []Command{
			{Words: getWords, Keys: []string{r.keys[0]}}, {Words: getWords, Keys: []string{r.keys[1]}},
		})
	}
	return s.see(value.Text, record.Text), nil
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

// streak is how many reads in a row found something. One command for value and record is quicker than two, but takes
// a second look where it finds nothing: MGET does not tell a missing key from one of another type. So it pays where
// hits are the rule.
type streak struct{ hits atomic.Int32 }

const longStreak = 32

func (s *streak) long() bool { return s.hits.Load() >= longStreak }

func (s *streak) note(hit bool) {
	switch n := s.hits.Load(); {
	case !hit && n != 0:
		s.hits.Store(0)
	case hit && n < longStreak:
		s.hits.Add(1)
	}
}
