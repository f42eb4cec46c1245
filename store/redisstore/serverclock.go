package redisstore

import (
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn/ttl"
)

// serverClock tells deadlines of a server's clock by the store's own. What is read from Redis says when it expires by the
// server's clock, as Redis itself keeps it, and how far that is from the store's is asked once in a while, for which
// a read takes one more command along.
type serverClock struct {
	ahead atomic.Int64 // nanoseconds that the server's clock is ahead of the store's, or a little more
	asked atomic.Int64 // when, by the store's clock; 0: never
}

// clockAge is how long an answer counts. A server whose clock is set is followed with that delay.
const clockAge = time.Second

// old reports whether the server has to be asked.
func (c *serverClock) old(now ttl.Time) bool {
	asked := ttl.Time(c.asked.Load())
	return asked == 0 || now.Sub(asked) > clockAge
}

// set takes the answer of a server that was asked at the given time or later. The answer is cut to milliseconds. What it
// is wrong by makes deadlines come early, never late.
func (c *serverClock) set(asked ttl.Time, answer int64) {
	c.ahead.Store((answer+1)*int64(time.Millisecond) - int64(asked))
	c.asked.Store(int64(asked))
}

// local returns a time of the server's clock by the store's.
func (c *serverClock) local(ms int64) ttl.Time {
	return ttl.Time(ms * int64(time.Millisecond)).Add(-time.Duration(c.ahead.Load()))
}

// clockOf returns the clock of the server that has a partition. Where the partitions are on several servers, each has
// its own.
func (s *Store[K, V]) clockOf(partition int) *serverClock {
	if !s.client.Sharded() {
		partition = 0
	}
	return &s.clocks[partition]
}
