package redisstore

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tarncache/tarn"
)

// KeyScanner is a Client that can name the keys that Redis has. A Store is a [tarn.Scanner] only through one.
type KeyScanner interface {
	// ScanKeys calls f with the Redis keys that match pattern, as SCAN does on every node that takes writes: some at a
	// time, in no order, one perhaps several times, and never none. Calls of f come one after the other, the first error of
	// f is the last, and ScanKeys returns it.
	// The Redis commands that f calls for must not hinder those of ScanKeys, nor the other way round.
	ScanKeys(ctx context.Context, pattern string, f func(keys []string) error) error
}

// errLeft ends a scan that its caller has left.
var errLeft = errors.New("left")

// pattern matches the Redis keys of all keys of the namespace, and some others perhaps.
func (s *Store[K, V]) pattern() string {
	escape := strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`, `]`, `\]`)
	record := s.names.record(0)
	namespace := record[1 : len(record)-len(":0}r")]
	return "{" + escape.Replace(namespace) + ":*}[" + string(plainMark) + string(hashedMark) + "]*"
}

// entries calls f with some names of the namespace at a time, and with what stands there: each once, no matter how
// often SCAN returns it. Of what it has seen it keeps 8 bytes for each key.
func (s *Store[K, V]) entries(
	ctx context.Context, read Command, f func(names []string, texts []Reply, record func(partition int) string) error,
) error {
	before := make(map[uint64]struct{})
	return s.client.(KeyScanner).ScanKeys(ctx, s.pattern(), func(keys []string) error {
		fresh := keys[:0:0]
		for _, key := range keys {
			if sum := xxhash.Sum64String(key); s.inNamespace(key) {
				if _, again := before[sum]; !again {
					before[sum] = struct{}{}
					fresh = append(fresh, key)
				}
			}
		}
		return s.fetch(ctx, read, fresh, f)
	})
}

// inNamespace reports whether a Redis key is one of a partition of this namespace.
func (s *Store[K, V]) inNamespace(redis string) bool {
	_, ok := s.partitionOf(redis)
	return ok
}

// partitionOf returns the partition that a Redis key says it is of.
func (s *Store[K, V]) partitionOf(redis string) (int, bool) {
	first := s.names.record(0)
	prefix := first[:len(first)-len("0}r")]
	rest, ok := strings.CutPrefix(redis, prefix)
	if !ok {
		return 0, false
	}
	p := 0
	for i := range len(rest) {
		c := rest[i]
		if c == '}' {
			return p, i > 0 && p < len(s.names.records)
		}
		if c < '0' || c > '9' || i > 5 {
			return 0, false
		}
		p = p*10 + int(c-'0')
	}
	return 0, false
}

// fetch reads what stands under some Redis keys, and the records of their partitions, and calls f with them.
func (s *Store[K, V]) fetch(
	ctx context.Context, read Command, keys []string,
	f func(names []string, texts []Reply, record func(partition int) string) error,
) error {
	if len(keys) == 0 {
		return nil
	}
	partitions := make(map[int]int) // to the reply with its record
	var commands []Command
	for _, key := range keys {
		commands = append(commands, Command{Words: read.Words, Keys: []string{key}, Args: read.Args})
	}
	for _, key := range keys {
		p, _ := s.partitionOf(key)
		if _, ok := partitions[p]; !ok {
			partitions[p] = len(commands)
			commands = append(commands, Command{Words: getWords, Keys: []string{s.names.record(p)}})
		}
	}
	now := s.clock.Now()
	for p := range partitions {
		if s.clockOf(p).old(now) {
			r := s.one(ctx, s.callPartition("time", p))
			if r.Err != nil {
				return r.Err
			}
			if r.Kind != Int {
				return errReply
			}
			s.clockOf(p).set(now, r.Int)
		}
	}
	replies := make([]Reply, len(commands))
	s.client.Do(ctx, commands, replies)
	for i, r := range replies {
		if r.Err != nil && !(i < len(keys) && strings.HasPrefix(r.Err.Error(), "WRONGTYPE")) {
			return r.Err
		}
		if r.Err == nil && !r.isValue() {
			return errReply
		}
	}
	return f(keys, replies[:len(keys)], func(p int) string { return replies[partitions[p]].Text })
}

// Count returns the number of entries, by looking at every key of the namespace. On a large one that takes long.
func (s *Store[K, V]) Count(ctx context.Context) (int, error) {
	if err := ctx.Err(); err != nil {
		return 0, wrap("count", err)
	}
	n := 0
	head := Command{Words: []string{"GETRANGE"}, Args: []string{"0", "34"}}
	err := s.entries(ctx, head, func(names []string, texts []Reply, record func(int) string) error {
		for i, name := range names {
			p, _ := s.partitionOf(name)
			if s.see(ctx, texts[i].Text, record(p)).isEntry() {
				n++
			}
		}
		return nil
	})
	return n, wrap("count", err)
}

// Scan iterates over the entries with SCAN. What cannot be decoded is left out.
func (s *Store[K, V]) Scan(ctx context.Context) (iter.Seq2[K, tarn.Entry[V]], func() error) {
	var err error
	seq := func(yield func(K, tarn.Entry[V]) bool) {
		if err = ctx.Err(); err != nil {
			return
		}
		get := Command{Words: getWords}
		err = s.entries(ctx, get, func(names []string, texts []Reply, record func(int) string) error {
			found, keys := make([]tarn.Lookup[V], 0, len(names)), make([]K, 0, len(names))
			tagged := false
			for i, redis := range names {
				p, _ := s.partitionOf(redis)
				key, e, ok, err := s.scanned(ctx, redis, s.see(ctx, texts[i].Text, record(p)))
				if err != nil {
					return err
				}
				if ok {
					found, keys = append(found, tarn.Lookup[V]{Entry: e, Found: true}), append(keys, key)
					tagged = tagged || e.Tags != nil
				}
			}
			if tagged {
				if _, err := s.withoutInvalidated(ctx, found); err != nil {
					return err
				}
			}
			for i, f := range found {
				if f.Found && !yield(keys[i], f.Entry) {
					return errLeft
				}
			}
			return nil
		})
		if errors.Is(err, errLeft) {
			err = nil
		}
	}
	return seq, func() error { return wrap("scan", err) }
}

// scanned returns the entry that a scan saw under a Redis key, if it is one.
func (s *Store[K, V]) scanned(ctx context.Context, redis string, seen sight) (key K, e tarn.Entry[V], ok bool, err error) {
	if !seen.isEntry() {
		return key, e, false, nil
	}
	full := ""
	if s.names.isHashed(redis) {
		_, payload, cut := cutMarks(seen.text[atMarks:])
		if !cut {
			return key, e, false, nil
		}
		if full, ok = fullKey(payload); !ok {
			return key, e, false, nil
		}
	}
	name, ok := s.names.back(redis, full)
	if !ok {
		return key, e, false, nil
	}
	e, ok, err = s.entry(seen, name, s.clockOf(name.partition))
	if err != nil {
		s.undecodable(ctx, err, damage{name, seen.text})
		return key, e, false, nil
	}
	if !ok {
		return key, e, false, nil
	}
	if key, err = s.names.parse(name.bytes); err != nil {
		return key, e, false, fmt.Errorf("a key: %w", err)
	}
	return key, e, true, nil
}
