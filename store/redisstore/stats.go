package redisstore

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"sync/atomic"

	"github.com/tarncache/tarn"
)

// Stats counts what is out of the ordinary, since the Store was made.
type Stats struct {
	Undecodable uint64 // values that were removed since they could not be decoded
	Foreign     uint64 // reads that found something of a newer version, or nothing of tarn's
	Refused     uint64 // entries that a Fill or a Settle did not store: too large, not to be encoded, or (Settle) without room
	Renewed     uint64 // partitions that were cleared since their server had restarted, forgot the script, or was new
	Lost        uint64 // how often a Watch could not know what had changed
}

type counts struct {
	undecodable, foreign, refused, renewed, lost atomic.Uint64
}

// Stats returns the counts.
func (s *Store[K, V]) Stats() Stats {
	return Stats{
		Undecodable: s.counts.undecodable.Load(),
		Foreign:     s.counts.foreign.Load(),
		Refused:     s.counts.refused.Load(),
		Renewed:     s.counts.renewed.Load(),
		Lost:        s.counts.lost.Load(),
	}
}

// damage is what stands under a key and cannot be decoded.
type damage struct {
	name keyName
	text string
}

var errForeign = errors.New("redisstore: what lies under the key was written by a stranger, or by a newer version")

// foreign counts and tells what is nothing of this store's. It stays where it is.
func (s *Store[K, V]) foreign(ctx context.Context) {
	s.counts.foreign.Add(1)
	if s.observer != nil {
		s.observer.Observe(ctx, tarn.Event{Kind: tarn.EventUndecodable, N: 1, Err: errForeign})
	}
}

// undecodable counts and tells what cannot be decoded, and removes it if it still stands there. If it cannot, the next
// one who reads it will try.
func (s *Store[K, V]) undecodable(ctx context.Context, cause error, found ...damage) {
	s.counts.undecodable.Add(uint64(len(found)))
	if s.observer != nil {
		s.observer.Observe(ctx, tarn.Event{Kind: tarn.EventUndecodable, N: len(found), Err: cause})
	}
	commands, replies := make([]Command, len(found)), make([]Reply, len(found))
	for i, d := range found {
		sum := sha1.Sum([]byte(d.text))
		commands[i] = s.call("drop", d.name, 2, hex.EncodeToString(sum[:]))
	}
	s.run(ctx, commands, replies)
}
