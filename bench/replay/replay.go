// Package replay asks caches for the keys of traces and counts how many they have.
package replay

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"runtime"

	"github.com/tarncache/tarn/bench/peers"
	"github.com/tarncache/tarn/bench/trace"
)

// Plan says what is replayed: each trace, at each of its capacities, against each cache. All of that happens on the
// caller's goroutine, one after the other, but for what a cache does on goroutines of its own; what it does there for
// a Set is waited for, as its own simulators do.
type Plan struct {
	Traces []Traced
	Caches []string // names that package peers knows

	// Runs is how often each cache is tried, each time a new one, since where keys fall in it is up to chance.
	// 0: once.
	Runs int

	// Optimum asks for the most hits that any cache could have had.
	Optimum bool

	// Hold is the length in requests up to which a trace is kept in memory, at 8 bytes each. A longer one is read
	// again for each cache and capacity. 0: none is kept.
	Hold int64

	// Progress is told now and then how far the replay is. nil: nobody is.
	Progress func(Progress)
}

// Traced is a trace and the capacities, in entries, at which it is replayed.
type Traced struct {
	trace.Source
	Capacities []int
}

// Progress says how many requests of a trace are done, of how many, counted for each capacity, cache and run. While
// the trace is read for the first time, and for the optimum, nobody knows of how many: Total is 0 then.
type Progress struct {
	Trace       string
	Done, Total int64
}

// Row is what was found of one trace at one capacity.
type Row struct {
	Trace    string
	Capacity int
	Requests int64
	Cells    []Cell // in the order of the plan's caches

	// Known says that the plan asked for the optimum. Then Keys is the number of different keys, and Optimum that of
	// the hits that are possible.
	Known   bool
	Keys    int64
	Optimum int64
}

// Cell is what one cache did.
type Cell struct {
	Cache string
	Hits  int64 // the mean of all runs
	Least int64 // the hits of the run with the fewest
	Most  int64 // and of the one with the most
	Held  int   // entries that were in it at once, looked at every 4096 requests, as far as it can tell
}

// Ratio returns which part of the requests so many hits are, in percent.
func (r Row) Ratio(hits int64) float64 { return 100 * float64(hits) / float64(max(1, r.Requests)) }

// DefaultCaches returns the names of all caches, but of two that evict alike only one.
func DefaultCaches() []string {
	var names []string
	for _, f := range peers.All() {
		if f.Name != "golang-lru" { // the same as lru
			names = append(names, f.Name)
		}
	}
	return names
}

// Run replays what p says.
func (p Plan) Run() ([]Row, error) {
	if err := p.check(); err != nil {
		return nil, err
	}
	var rows []Row
	for _, t := range p.Traces {
		more, err := p.trace(t)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	return rows, nil
}

// check finds before a long run what would end it later.
func (p Plan) check() error {
	for _, name := range p.Caches {
		if _, err := peers.Find(name); err != nil {
			return fmt.Errorf("replay: %w", err)
		}
	}
	for _, t := range p.Traces {
		for _, c := range t.Capacities {
			if c < 1 {
				return fmt.Errorf("replay: %s: a capacity of %d entries", t.Name(), c)
			}
		}
	}
	return nil
}

// trace returns the rows of one trace.
func (p Plan) trace(t Traced) ([]Row, error) {
	p.tell(Progress{Trace: t.Name()})
	loaded, err := trace.Load(t.Source, p.Hold)
	if err != nil {
		return nil, err
	}
	rows := make([]Row, len(t.Capacities))
	for i, c := range t.Capacities {
		rows[i] = Row{Trace: t.Name(), Capacity: c, Requests: loaded.Requests}
	}
	if p.Optimum {
		if err := optimum(loaded, rows); err != nil {
			return nil, err
		}
	}
	runs := max(1, p.Runs)
	at := Progress{Trace: t.Name(), Total: loaded.Requests * int64(len(rows)*len(p.Caches)*runs)}
	done := func(requests int) {
		at.Done += int64(requests)
		p.tell(at)
	}
	for i := range rows {
		for _, name := range p.Caches {
			cell, err := repeat(name, loaded, rows[i].Capacity, runs, done)
			if err != nil {
				return nil, err
			}
			rows[i].Cells = append(rows[i].Cells, cell)
		}
	}
	return rows, nil
}

func (p Plan) tell(at Progress) {
	if p.Progress != nil {
		p.Progress(at)
	}
}

func optimum(t trace.Trace, rows []Row) error {
	o, err := trace.NewOptimum(t)
	if err != nil {
		return err
	}
	if err := t.Same(o.Requests); err != nil {
		return err
	}
	for i := range rows {
		rows[i].Known, rows[i].Keys, rows[i].Optimum = true, o.Keys, o.Hits(rows[i].Capacity)
	}
	return nil
}

// repeat replays a trace against caches of one name. It calls done after so many requests.
func repeat(name string, t trace.Trace, capacity, runs int, done func(requests int)) (Cell, error) {
	facts, err := peers.Find(name)
	if err != nil {
		return Cell{}, err
	}
	cell := Cell{Cache: name, Least: math.MaxInt64}
	for range runs {
		var hits int64
		var held int
		if facts.StringKeys {
			hits, held, err = once(name, t, capacity, done, bytesOf)
		} else {
			hits, held, err = once(name, t, capacity, done, same)
		}
		if err != nil {
			return Cell{}, fmt.Errorf("replay: %s at %d entries: %w", name, capacity, err)
		}
		cell.Hits += hits
		cell.Least, cell.Most = min(cell.Least, hits), max(cell.Most, hits)
		cell.Held = max(cell.Held, held)
	}
	cell.Hits /= int64(runs)
	return cell, nil
}

func same(key uint64) uint64 { return key }

func bytesOf(key uint64) string { return string(binary.BigEndian.AppendUint64(nil, key)) }

var errValue = errors.New("it returned another key's value")

// turn is after how many requests the goroutines of a cache get one, so that they do not lag behind for as long as
// every request is a hit, and no Set waits for them. ristretto hands over hits in lots of 64, and drops those for
// which three others wait; on one processor it would drop most.
const turn = 64

// once replays a trace against a new cache.
func once[K peers.Key](
	name string, t trace.Trace, capacity int, done func(requests int), keyOf func(uint64) K,
) (hits int64, held int, err error) {
	cache, err := peers.New[K, uint64](name, peers.Options{Capacity: capacity, Replay: true})
	if err != nil {
		return 0, 0, err
	}
	defer cache.Close()
	requests := int64(0)
	for keys, err := range trace.Batches(t) {
		if err != nil {
			return 0, 0, err
		}
		some, err := ask(cache, keys, keyOf)
		if err != nil {
			return 0, 0, err
		}
		hits += some
		requests += int64(len(keys))
		held = max(held, cache.Len())
		done(len(keys))
	}
	return hits, held, t.Same(requests)
}

// ask asks for each key, and sets it if it is not there. Values are keys, so that a wrong one is seen.
func ask[K peers.Key](cache peers.Cache[K, uint64], keys []uint64, keyOf func(uint64) K) (hits int64, err error) {
	for i, number := range keys {
		if i%turn == 0 {
			runtime.Gosched()
		}
		key := keyOf(number)
		value, found := cache.Get(key)
		switch {
		case !found:
			cache.Set(key, number)
		case value != number:
			return 0, errValue
		default:
			hits++
		}
	}
	return hits, nil
}
