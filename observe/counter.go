package observe

import (
	"context"
	"math/bits"
	"runtime"
	"strings"
	"sync/atomic"
	"unsafe"

	"github.com/tarncache/tarn"
)

// Counter is a [tarn.Observer] that counts events by their kind: how many keys each kind concerned. It is a [Source] of
// these counts. It allocates nothing once it is made, and goroutines that run at the same time seldom write the same cache
// line. Make one with [NewCounter]. All methods may be called by any number of goroutines.
type Counter struct {
	often []often                  // of the kinds below oftenKinds
	rare  [rareKinds]atomic.Uint64 // of the others; in the first, of those that have no place of their own
}

const (
	oftenKinds = 8 // those that reads of the cache bring with them come first
	rareKinds  = 64
)

// often is a cache line.
type often [oftenKinds]atomic.Uint64

// NewCounter returns a Counter of nothing yet.
func NewCounter() *Counter {
	n := 16 * runtime.GOMAXPROCS(0)
	return &Counter{often: make([]often, 1<<min(bits.Len(uint(n-1)), 10))}
}

// Observe counts e.
func (c *Counter) Observe(_ context.Context, e tarn.Event) {
	n := uint64(max(e.N, 1))
	switch {
	case e.Kind < oftenKinds:
		c.own()[e.Kind].Add(n)
	case e.Kind < rareKinds:
		c.rare[e.Kind].Add(n)
	default:
		c.rare[0].Add(n)
	}
}

// own is the line of the goroutine that calls, chosen by the address of its stack. Two that come to share one lose time,
// and no count.
func (c *Counter) own() *often {
	var here byte
	address := uint64(uintptr(unsafe.Pointer(&here))) >> 10
	return &c.often[address*0x9E3779B97F4A7C15>>40&uint64(len(c.often)-1)]
}

// Total returns how many keys the events of a kind concerned until now.
func (c *Counter) Total(kind tarn.EventKind) uint64 {
	switch {
	case kind == 0:
		return c.total(0) + c.rare[0].Load()
	case kind < oftenKinds:
		return c.total(kind)
	case kind < rareKinds:
		return c.rare[kind].Load()
	}
	return 0
}

func (c *Counter) total(kind tarn.EventKind) (n uint64) {
	for i := range c.often {
		n += c.often[i][kind].Load()
	}
	return n
}

// Stats returns the counts as what they say about a cache: its hits, misses, loads, writes and removals, in keys, and under
// events whatever else happened. All kinds that there are have a Stat, also where nothing was counted.
//
// Hits and misses do not add up to reads where old values are served in place of a source that fails: a read that waited
// for its own load first counts as a miss and as a hit of the kind "rescued". So a hit ratio takes the other kinds:
// hits / (hits + misses), all hits but those. A rescued read that waited for nothing is in neither then.
func (c *Counter) Stats() []Stat {
	var stats []Stat
	for kind := range tarn.EventKind(rareKinds) {
		n := c.Total(kind)
		if n == 0 && kind.String() == tarn.EventKind(0).String() {
			continue
		}
		stat := statOf(kind)
		stat.Value = float64(n)
		stats = add(stats, stat)
	}
	return stats
}

// add adds the value of stat to the one that is of the same.
func add(stats []Stat, stat Stat) []Stat {
	for i := range stats {
		if s := &stats[i]; s.Name == stat.Name && s.LabelValue == stat.LabelValue {
			s.Value += stat.Value
			return stats
		}
	}
	return append(stats, stat)
}

// statOf says what the events of a kind are counted as. The sum over the values of a label means something: that is what
// tells a label from a name.
func statOf(kind tarn.EventKind) Stat {
	stat := func(name, label, value, help string) Stat {
		return Stat{Of: "cache", Name: name, Label: label, LabelValue: value, Unit: "keys", Count: true, Help: help}
	}
	const (
		hits     = "Reads answered from the cache."
		loads    = "Keys that the source was asked for."
		writes   = "Writes that the source was asked for, in keys."
		removals = "Entries that the store removed by itself."
		events   = "Keys concerned by what else happened."
	)
	switch kind {
	case tarn.EventHit:
		return stat("hits", "kind", "fresh", hits)
	case tarn.EventNegativeHit:
		return stat("hits", "kind", "negative", hits)
	case tarn.EventStaleHit:
		return stat("hits", "kind", "stale", hits)
	case tarn.EventRescued:
		return stat("hits", "kind", "rescued", hits)
	case tarn.EventMiss:
		return stat("misses", "", "", "Reads that found nothing in the cache to serve at once; one that is served an old value after its load failed is a rescued hit too.")
	case tarn.EventLoaded:
		return stat("loads", "outcome", "success", loads)
	case tarn.EventLoadFailed:
		return stat("loads", "outcome", "error", loads)
	case tarn.EventWritten, tarn.EventFlushed:
		return stat("writes", "outcome", "success", writes)
	case tarn.EventWriteFailed:
		return stat("writes", "outcome", "error", writes)
	case tarn.EventEvicted:
		return stat("removals", "reason", "evicted", removals)
	case tarn.EventExpired:
		return stat("removals", "reason", "expired", removals)
	default:
		return stat("events", "event", words.Replace(kind.String()), events)
	}
}

var words = strings.NewReplacer(" ", "_", "-", "_")
