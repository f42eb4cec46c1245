package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tarncache/tarn"
)

// Work is what the callers of a node do.
type Work struct {
	For     time.Duration // or until the context ends
	Keys    int64         // 1 to Keys are read and written
	Readers int           // goroutines for each cache
	Writers int           // as many; a third of what they write are deletes
	Batch   float64       // which part of the calls is for several keys
	Cancel  float64       // which part has so little time that it may not end
	Rest    time.Duration // between two calls of a goroutine, at most
	Clears  float64       // which part of the writes are made behind the caches, and the store cleared
	Tags    float64       // which part of the writes are made behind the caches, and tags of their keys invalidated
	Once    bool          // only read each key once through each cache
	Seed    uint64
}

// Record is what came of it.
type Record struct {
	History
	Errors map[string]int // what callers were told that they did not ask for, and how often
	Events map[string]int64
}

// Add adds what another node recorded.
func (r *Record) Add(other Record) {
	r.History.Add(other.History)
	if r.Errors == nil {
		r.Errors, r.Events = make(map[string]int), make(map[string]int64)
	}
	for what, n := range other.Errors {
		r.Errors[what] += n
	}
	for what, n := range other.Events {
		r.Events[what] += n
	}
}

// Run lets callers work, and returns what they noted.
func (n *Node) Run(ctx context.Context, w Work) Record {
	ctx, cancel := context.WithTimeout(ctx, w.For)
	defer cancel()
	if w.Once {
		ctx = context.Background()
	}
	var all sync.WaitGroup
	var mu sync.Mutex // protects record
	record := Record{}
	start := func(i int, stream uint64, work func(c *caller)) {
		c := &caller{
			node: n, work: w, door: n.doors[i], place: Place{n.setup.Node, n.setup.Node*100 + i},
			rng: rand.New(rand.NewPCG(n.setup.Seed^w.Seed, uint64(n.setup.Node)<<32|stream<<8|uint64(i))),
		}
		c.record.Errors = make(map[string]int)
		all.Go(func() {
			work(c)
			mu.Lock()
			defer mu.Unlock()
			record.Add(c.record)
		})
	}
	for i := range n.doors {
		if w.Once {
			start(i, 0, (*caller).readAll)
			continue
		}
		for r := range w.Readers {
			start(i, uint64(2*r+2), func(c *caller) { c.each(ctx, c.read) })
		}
		for r := range w.Writers {
			start(i, uint64(2*r+3), func(c *caller) { c.each(ctx, c.write) })
		}
	}
	all.Wait()
	record.Add(Record{Events: n.counts()})
	return record
}

func (n *Node) counts() map[string]int64 {
	counts := make(map[string]int64)
	for kind := range n.events {
		if c := n.events[kind].Swap(0); c > 0 {
			counts[tarn.EventKind(kind).String()] = c
		}
	}
	if n.near != nil {
		stats := n.near.Stats()
		counts["near kept"], counts["near refused"] = int64(stats.Kept), int64(stats.Refused)
		counts["near changed"], counts["near lost"] = int64(stats.Changed), int64(stats.Lost)
	}
	return counts
}

// caller is a goroutine of an application.
type caller struct {
	node   *Node
	work   Work
	door   door
	place  Place
	rng    *rand.Rand
	record Record
}

func (c *caller) each(ctx context.Context, do func(ctx context.Context)) {
	for ctx.Err() == nil {
		c.call(do)
		if c.work.Rest > 0 {
			sleep(ctx, time.Duration(c.rng.Int64N(int64(c.work.Rest))))
		}
	}
}

// call gives a call the time it has: much, or too little.
func (c *caller) call(do func(ctx context.Context)) {
	patience := 20 * time.Second
	if c.rng.Float64() < c.work.Cancel {
		patience = time.Duration(c.rng.Int64N(int64(5 * time.Millisecond)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	do(ctx)
}

// keys draws some keys, all different.
func (c *caller) keys() []int64 {
	n := int64(1)
	if c.rng.Float64() < c.work.Batch {
		n = min(2+c.rng.Int64N(4), c.work.Keys)
	}
	keys := make([]int64, n)
	first := c.rng.Int64N(c.work.Keys)
	for i := range keys {
		keys[i] = 1 + (first+int64(i))%c.work.Keys
	}
	return keys
}

func (c *caller) readAll() {
	for key := int64(1); key <= c.work.Keys; key++ {
		c.readKeys(context.Background(), []int64{key})
	}
}

func (c *caller) read(ctx context.Context) { c.readKeys(ctx, c.keys()) }

func (c *caller) readKeys(ctx context.Context, keys []int64) {
	begin := Now()
	items, failed := c.door.read(ctx, keys)
	end := Now()
	for _, key := range keys {
		if err := failed[key]; err != nil {
			c.told(ctx, "read", err)
			continue
		}
		item, ok := items[key]
		if ok && item.Key != key {
			item.Op = -1 // nobody wrote that under this key
		}
		c.record.Reads = append(c.record.Reads, Read{c.place, key, item.Op, begin, end})
	}
}

func (c *caller) write(ctx context.Context) {
	keys := c.keys()
	changes := make([]Change, len(keys))
	deletes := c.rng.IntN(3) == 0
	for i, key := range keys {
		changes[i] = Change{Key: key, Op: c.node.number(), Deleted: deletes}
	}
	write := c.door.write
	if c.rng.Float64() < c.work.Clears {
		write = c.node.writeAndClear
	}
	if c.rng.Float64() < c.work.Tags {
		write = c.writeAndInvalidate
	}
	begin := Now()
	errs := write(ctx, changes)
	end := Now()
	for i, change := range changes {
		outcome := Acknowledged
		switch err := errs[i]; {
		case errors.Is(err, tarn.ErrMaybeStale):
			outcome = MaybeStale
		case err != nil:
			outcome = Failed
			c.told(ctx, "write", err)
		}
		c.record.Writes = append(c.record.Writes,
			Write{c.place, change.Key, change.Op, change.Deleted, begin, end, outcome})
	}
}

// number gives out the number of a write, which no other node has.
func (n *Node) number() int64 { return int64(n.setup.Node+1)<<40 | n.operations.Add(1) }

func (n *Node) writeAndClear(ctx context.Context, changes []Change) []error {
	keys := keysOfChanges(changes)
	if err := n.src.write(ctx, changes); err != nil {
		return errorsOf(keys, err)
	}
	return errorsOf(keys, n.Clear(context.WithoutCancel(ctx)))
}

// writeAndInvalidate is what an application does that changes rows by other means, and knows the tags of what it changed.
func (c *caller) writeAndInvalidate(ctx context.Context, changes []Change) []error {
	keys := keysOfChanges(changes)
	if err := c.node.src.write(ctx, changes); err != nil {
		return errorsOf(keys, err)
	}
	tags := make([]string, len(keys))
	which := c.rng.IntN(2)
	for i, key := range keys {
		tags[i] = tagsOf(key)[which]
	}
	err := c.door.InvalidateTags(context.WithoutCancel(ctx), tags...)
	if err != nil {
		err = fmt.Errorf("%s%w", cacheAlone, err)
	}
	return errorsOf(keys, err)
}

// told notes an error, unless the caller's time has ended.
func (c *caller) told(ctx context.Context, op string, err error) {
	if ctx.Err() == nil {
		c.record.Errors[fmt.Sprintf("%s: %v", op, err)]++
	}
}
