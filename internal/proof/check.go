package proof

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"time"
)

// Violation is a broken promise.
type Violation struct {
	Kind  ViolationKind
	Read  Read  // of all but LostWrite
	Got   int64 // the version that was read
	Floor int64 // and the one that it should have been at least
	Late  time.Duration
	Write Write // of LostWrite
}

// ViolationKind says what was promised.
type ViolationKind uint8

const (
	Past      ViolationKind = iota + 1 // a read returned an older version than was acknowledged before it began
	Future                             // a read returned a version whose write began after the read had returned
	Unwritten                          // a read returned what nobody wrote under its key
	LostWrite                          // a write was acknowledged that the database does not have
)

// String tells what happened in a sentence.
func (v Violation) String() string {
	switch v.Kind {
	case Past:
		return fmt.Sprintf("key %d: cache %d of node %d read version %d, %v after %d was due",
			v.Read.Key, v.Read.Cache, v.Read.Node, v.Got, v.Late, v.Floor)
	case Future:
		return fmt.Sprintf("key %d: cache %d of node %d read version %d, whose write had not begun",
			v.Read.Key, v.Read.Cache, v.Read.Node, v.Got)
	case Unwritten:
		return fmt.Sprintf("key %d: cache %d of node %d read what nobody wrote", v.Read.Key, v.Read.Cache, v.Read.Node)
	case LostWrite:
		return fmt.Sprintf("key %d: cache %d of node %d acknowledged a write that the database does not have",
			v.Write.Key, v.Write.Cache, v.Write.Node)
	}
	return "no violation"
}

// Check returns the reads of h that broke terms, and the writes that were lost. It takes O(n log n) time.
//
// A read of a value must return a version at least as high as each that was acknowledged before the read began, and
// none whose write began after it returned. An absence is a version too; one that is read is taken for the last delete
// that had begun by then, which favours the cache.
func Check(h *History, terms Terms) []Violation {
	keys := split(h)
	var found []Violation
	for _, key := range slices.Sorted(keysOf(keys)) {
		found = append(found, keys[key].check(terms)...)
	}
	return found
}

func keysOf(keys map[int64]*keyHistory) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		for key := range keys {
			if !yield(key) {
				return
			}
		}
	}
}

// keyHistory is the history of one key.
type keyHistory struct {
	changes map[int64]Change // by the write
	begun   map[int64]int64  // when a write began
	writes  []Write
	reads   []Read
}

func split(h *History) map[int64]*keyHistory {
	keys := make(map[int64]*keyHistory)
	of := func(key int64) *keyHistory {
		k := keys[key]
		if k == nil {
			k = &keyHistory{changes: make(map[int64]Change), begun: make(map[int64]int64)}
			keys[key] = k
		}
		return k
	}
	for _, c := range h.Changes {
		of(c.Key).changes[c.Op] = c
	}
	for _, w := range h.Writes {
		k := of(w.Key)
		k.writes = append(k.writes, w)
		k.begun[w.Op] = w.Begin
	}
	for _, r := range h.Reads {
		k := of(r.Key)
		k.reads = append(k.reads, r)
	}
	return keys
}

// began is when the write of a change began; of one that nobody noted, whose process was killed, before everything.
func (k *keyHistory) began(op int64) int64 {
	if at, ok := k.begun[op]; ok {
		return at
	}
	return math.MinInt64
}

func (k *keyHistory) check(terms Terms) (found []Violation) {
	floors, lost := k.floors(terms)
	deletes := steps{{math.MinInt64, 0}}
	for op, c := range k.changes {
		if c.Deleted {
			deletes = append(deletes, step{k.began(op), c.Version})
		}
	}
	deletes.rise()
	for _, r := range k.reads {
		v := Violation{Read: r}
		if c, known := k.changes[r.Op]; r.Op == 0 {
			v.Got, _ = deletes.at(r.End)
		} else if v.Got = c.Version; !known || c.Deleted {
			v.Kind = Unwritten
		} else if k.began(r.Op) > r.End {
			v.Kind = Future
		}
		if v.Kind == 0 && !terms.excepts(&r) {
			if floor, since := floors.before(&r); v.Got < floor {
				v.Kind, v.Floor, v.Late = Past, floor, time.Duration(r.Begin-since)
			}
		}
		if v.Kind != 0 {
			found = append(found, v)
		}
	}
	return append(found, lost...)
}

// floors are the versions that reads have to reach, from when on: by each cache, by all of a node, and by all.
type floors struct {
	all    steps
	nodes  map[int]steps
	caches map[int]steps
}

func (k *keyHistory) floors(terms Terms) (f floors, lost []Violation) {
	f.nodes, f.caches = make(map[int]steps), make(map[int]steps)
	for _, w := range k.writes {
		c, known := k.changes[w.Op]
		if !known && w.Outcome != Failed {
			lost = append(lost, Violation{Kind: LostWrite, Write: w})
		}
		if !known || w.Outcome == Failed {
			continue
		}
		f.caches[w.Cache] = append(f.caches[w.Cache], step{w.End, c.Version})
		since := w.End
		if w.Outcome == MaybeStale {
			if terms.Mended == 0 {
				continue
			}
			since = max(since, terms.Mended)
		}
		f.nodes[w.Node] = append(f.nodes[w.Node], step{since, c.Version})
		f.all = append(f.all, step{since + int64(terms.Bound), c.Version})
	}
	f.all.rise()
	for _, s := range f.nodes {
		s.rise()
	}
	for _, s := range f.caches {
		s.rise()
	}
	return f, lost
}

// before is the version that a read has to reach, and since when.
func (f *floors) before(r *Read) (version, since int64) {
	for _, s := range []steps{f.all, f.nodes[r.Node], f.caches[r.Cache]} {
		if v, at := s.at(r.Begin); v > version {
			version, since = v, at
		}
	}
	return version, since
}

// steps are versions and when they are reached.
type steps []step

type step struct{ at, version int64 }

// rise sorts the steps by time, and gives each the highest version until then.
func (s steps) rise() {
	slices.SortFunc(s, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	for i := 1; i < len(s); i++ {
		if s[i].version < s[i-1].version {
			s[i].version = s[i-1].version
		}
	}
}

// at is the highest version that was reached by the instant t, and when it was. Of two in one instant nobody knows which
// came first, so it takes neither for one that was before t.
func (s steps) at(t int64) (version, since int64) {
	n := sort.Search(len(s), func(i int) bool { return s[i].at >= t })
	if n == 0 {
		return 0, 0
	}
	version = s[n-1].version
	first := sort.Search(n, func(i int) bool { return s[i].version >= version })
	return version, s[first].at
}
