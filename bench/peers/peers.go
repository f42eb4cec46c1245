// Package peers makes the caches that tarn is measured beside, each set up as its own documentation advises, so that
// benchmarks and trace replays treat all of them alike. Each file says where the advice stands.
package peers

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"
)

// Key is what all the caches can be asked by, but for those of Facts.StringKeys.
type Key interface{ uint64 | string }

// Cache is one cache. The caches that Facts.ReplayOnly names serve one goroutine, the others any number.
type Cache[K Key, V any] interface {
	Get(key K) (V, bool)
	Set(key K, value V)

	// Run does a part of a load and returns how many of its Gets found something.
	//
	// Every adapter has this loop for itself, with the calls of its cache spelled out. A loop outside, over an
	// interface or over a type parameter, would add an indirect call to each operation, which is a larger share of
	// a fast cache's time than of a slow one's.
	Run(load Load[K, V]) (hits int)
}

// Load is a part of a series of operations: number From and the Ops-1 that follow. Number i concerns Keys[i&Mask],
// and is a Get if i&3 < Reads and otherwise a Set of Values[i&Mask].
type Load[K Key, V any] struct {
	Keys   []K // a power of two of them, or more
	Values []V // as many; may be the same slice
	Mask   int // the length of the part of Keys that is used, less one
	Reads  int // of 4
	From   int
	Ops    int
}

// Options say how a cache is made.
type Options struct {
	// Capacity is the number of entries, of which each weighs 1.
	Capacity int

	// Life is how long every entry lives after it was written; 0: until it is evicted.
	Life time.Duration

	// Replay makes a cache for one goroutine that counts hits: what a cache would do later on another goroutine is
	// done, or waited for, before Set returns.
	Replay bool
}

// Peer is a cache, what is known of it, and the calls that no benchmark times.
type Peer[K Key, V any] struct {
	Cache[K, V]
	Facts

	Len   func() int // the entries it holds; some caches only estimate it
	Wait  func()     // returns when the Sets so far have had their effect
	Close func()     // ends its goroutines, where it can, and frees its entries

	// SetUntil is a Set of an entry that lives until an instant; nil if the lives of a cache are all the same. The
	// cache is made with a Life, which the entries of Set have.
	SetUntil func(key K, value V, until time.Time)
}

// Facts are what has to be known of a cache to compare with it.
type Facts struct {
	Name   string
	Module string // of which it is a part
	Policy string // of eviction, in a few words

	DropsSets  bool // under load a Set of a new key may do nothing: a fast Set is then no merit
	StringKeys bool // it has no other keys
	Lives      bool // its entries can have a Life
	ReplayOnly bool // it is a policy for hit ratios and serves one goroutine
}

const tarnModule = "github.com/tarncache/tarn"

// All returns the facts of every cache, tarn's first.
func All() []Facts {
	return []Facts{
		{Name: "tarn", Module: tarnModule, Policy: "adaptive", Lives: true},
		{Name: "otter", Module: "github.com/maypok86/otter/v2", Policy: "adaptive W-TinyLFU", Lives: true},
		{Name: "theine", Module: "github.com/Yiling-J/theine-go", Policy: "adaptive W-TinyLFU", Lives: true},
		{Name: "ristretto", Module: "github.com/dgraph-io/ristretto/v2", Policy: "sampled LFU",
			DropsSets: true, Lives: true},
		{Name: "golang-lru", Module: "github.com/hashicorp/golang-lru/v2", Policy: "LRU", Lives: true},
		{Name: "sturdyc", Module: "github.com/viccon/sturdyc", Policy: "oldest tenth of a shard",
			StringKeys: true, Lives: true},
		{Name: "s3fifo", Module: tarnModule + "/bench", Policy: "S3-FIFO", ReplayOnly: true},
		{Name: "sieve", Module: tarnModule + "/bench", Policy: "SIEVE", ReplayOnly: true},
		{Name: "arc", Module: "github.com/hashicorp/golang-lru/arc/v2", Policy: "ARC", ReplayOnly: true},
		{Name: "lru", Module: "github.com/hashicorp/golang-lru/v2", Policy: "LRU", ReplayOnly: true},
	}
}

// Find returns the facts of the cache of that name.
func Find(name string) (Facts, error) {
	all := All()
	i := slices.IndexFunc(all, func(f Facts) bool { return f.Name == name })
	if i < 0 {
		names := make([]string, len(all))
		for i, f := range all {
			names[i] = f.Name
		}
		return Facts{}, fmt.Errorf("peers: there is no cache named %q; there are %s", name, strings.Join(names, ", "))
	}
	return all[i], nil
}

// New makes the cache of that name. It is an error if there is none, or if it cannot be as the options or the type of
// the keys have it.
func New[K Key, V any](name string, o Options) (*Peer[K, V], error) {
	facts, err := Find(name)
	if err != nil {
		return nil, err
	}
	if o.Life > 0 && !facts.Lives {
		return nil, fmt.Errorf("peers: entries of %s have no life", name)
	}
	var p *Peer[K, V]
	switch name {
	case "tarn":
		p, err = newTarn[K, V](o)
	case "otter":
		p, err = newOtter[K, V](o)
	case "theine":
		p, err = newTheine[K, V](o)
	case "ristretto":
		p, err = newRistretto[K, V](o)
	case "golang-lru", "lru":
		p, err = newLRU[K, V](o)
	case "sturdyc":
		p, err = newSturdyc[K, V](o)
	case "s3fifo":
		p, err = newS3FIFO[K, V](o)
	case "sieve":
		p, err = newSieve[K, V](o)
	case "arc":
		p, err = newARC[K, V](o)
	}
	if err != nil {
		return nil, fmt.Errorf("peers: %s: %w", name, err)
	}
	p.Facts = facts
	return p, nil
}

// Version returns the version of a module that this program is built with: "this tree" for tarn's own.
func Version(module string) string {
	if module == tarnModule || strings.HasPrefix(module, tarnModule+"/") {
		return "this tree"
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return "unknown"
}

func nothing() {}
