package proof

import "time"

// History is what was done to some keys, and what came of it. Instants are those of Now. A key is absent until it is
// written.
type History struct {
	Changes []Change // what the database did: of each key the versions, in any order
	Writes  []Write
	Reads   []Read
}

// Add appends what another process noted.
func (h *History) Add(other History) {
	h.Changes = append(h.Changes, other.Changes...)
	h.Writes = append(h.Writes, other.Writes...)
	h.Reads = append(h.Reads, other.Reads...)
}

// Operations is how many keys were read and written.
func (h *History) Operations() int { return len(h.Writes) + len(h.Reads) }

// Change is one version of a key, as the database has committed it.
type Change struct {
	Key     int64
	Version int64 // from 1 on, in the order of the commits
	Op      int64 // which write made it; not 0
	Deleted bool
}

// Place says who noted something.
type Place struct {
	Node  int // the process, or what stands for one: who shares a near store
	Cache int // of all nodes: no two caches have the same
}

// Write is a write or a delete of one key. Those of a batch begin and end together.
type Write struct {
	Place
	Key        int64
	Op         int64
	Deleted    bool
	Begin, End int64
	Outcome    Outcome
}

// Outcome is what whoever wrote was told.
type Outcome uint8

const (
	Acknowledged Outcome = iota + 1
	MaybeStale           // the source has it, but the cache could not be told
	Failed               // it may have happened, or happen yet
)

// Read is a read of one key that was answered.
type Read struct {
	Place
	Key        int64
	Op         int64 // which write made the value; 0: there is none
	Begin, End int64
}

// Terms are what is promised of a history.
type Terms struct {
	// Bound is after which time a read on one node returns what was acknowledged on another.
	Bound time.Duration
	// Mended is when writes that were MaybeStale are as good as acknowledged for other caches than their own; 0: never.
	Mended int64
	// Excepted are times in which a read may return to the past. They do not except what comes after.
	Excepted []Span
}

// Span is a time.
type Span struct{ From, To int64 }

func (t *Terms) excepts(r *Read) bool {
	for _, s := range t.Excepted {
		if r.Begin < s.To && r.End > s.From {
			return true
		}
	}
	return false
}
