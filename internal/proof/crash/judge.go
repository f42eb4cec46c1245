package crash

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Life is the time of one process.
type Life struct {
	Begin, End int64
	Ready      int64 // when its cache was open; 0: never
	Replayed   int64
	Writes     int       // that were acknowledged
	Appends    []Message // those that were told, in their order
}

// Record is what was done, and what came of it.
type Record struct {
	Start  int64
	Lives  []Life
	Writes []Message // Asked, Acknowledged, Refused and Failed
	Reads  []Message
	Left   []Message // Unwritten
	Closed []Message
	Counts []Message // Counted
	// Complaints are what was found wrong while the processes ran.
	Complaints []string
	Versions   []Version // what the database had
}

// Terms are what is promised.
type Terms struct {
	Once  bool          // no write arrives twice
	Loses time.Duration // what was acknowledged for less than that before its process died may be lost; 0: nothing
	Slack time.Duration // what the machine takes besides
}

// Finding is a broken promise.
type Finding struct {
	Rule Rule
	Key  int64
	Text string
}

func (f Finding) String() string { return fmt.Sprintf("%s: key %d: %s", f.Rule, f.Key, f.Text) }

// Rule is what was promised.
type Rule string

const (
	Lost      Rule = "lost"      // neither an acknowledged write nor a later one of its key is in the database
	TooMuch   Rule = "too much"  // lost, and older than what may be
	Backwards Rule = "backwards" // an older write was written over a newer one
	Twice     Rule = "twice"     // a write was written twice, which the fence should have refused
	Unwanted  Rule = "unwanted"  // a write that was refused is in the database
	Stranger  Rule = "stranger"  // the database has what nobody wrote
)

// Judge returns what was promised of r and not kept, and how many acknowledged writes are lost that may be.
func Judge(r *Record, terms Terms) (found []Finding, lost int) {
	j := &judge{record: r, terms: terms, ends: make(map[int64]int64)}
	keys := j.split()
	for _, key := range slices.Sorted(func(yield func(int64) bool) {
		for key := range keys {
			if !yield(key) {
				return
			}
		}
	}) {
		j.key(keys[key])
	}
	return j.found, j.lost
}

type judge struct {
	record *Record
	terms  Terms
	ends   map[int64]int64 // when an operation was acknowledged
	found  []Finding
	lost   int
}

// keyRecord is what was done to one key.
type keyRecord struct {
	key      int64
	writes   []Message // acknowledged
	deletes  []int64   // operations, whatever became of them
	refused  map[int64]bool
	versions []Version
}

func (j *judge) split() map[int64]*keyRecord {
	keys := make(map[int64]*keyRecord)
	of := func(key int64) *keyRecord {
		k := keys[key]
		if k == nil {
			k = &keyRecord{key: key, refused: make(map[int64]bool)}
			keys[key] = k
		}
		return k
	}
	for _, m := range j.record.Writes {
		k := of(m.Key)
		switch m.Kind {
		case Asked:
			if m.N == 1 {
				k.deletes = append(k.deletes, m.Op)
			}
		case Acknowledged:
			k.writes = append(k.writes, m)
			j.ends[m.Op] = m.End
		case Refused:
			k.refused[m.Op] = true
		}
	}
	for _, v := range j.record.Versions {
		of(v.Key).versions = append(of(v.Key).versions, v)
	}
	return keys
}

func (j *judge) find(rule Rule, k *keyRecord, format string, args ...any) {
	j.found = append(j.found, Finding{rule, k.key, fmt.Sprintf(format, args...)})
}

func (j *judge) begin(op int64) int64 { return begin(j.record.Start, op) }

// end is until when an operation may have been accepted: of one that was not acknowledged, the end of its process.
func (j *judge) end(op int64) int64 {
	if end, ok := j.ends[op]; ok {
		return end
	}
	return j.life(j.begin(op)).End
}

// life is the process that ran at an instant.
func (j *judge) life(at int64) *Life {
	lives := j.record.Lives
	i, _ := slices.BinarySearchFunc(lives, at, func(l Life, at int64) int { return cmp.Compare(l.End, at) })
	return &lives[min(i, len(lives)-1)]
}

func (j *judge) at(instant int64) time.Duration { return time.Duration(instant - j.record.Start) }

func (j *judge) key(k *keyRecord) {
	slices.SortFunc(k.versions, func(a, b Version) int { return cmp.Compare(a.N, b.N) })
	j.order(k)
	j.known(k)
	last := j.last(k)
	for _, w := range k.writes {
		if begin := j.begin(w.Op); begin > last {
			j.missing(k, &w, last)
		}
	}
}

// last is until when what the database has of a key in the end may have been accepted. Whatever began later is lost.
func (j *judge) last(k *keyRecord) int64 {
	if len(k.versions) == 0 {
		return math.MinInt64
	}
	v := k.versions[len(k.versions)-1]
	if !v.Deleted {
		return j.end(v.Op)
	}
	last := int64(math.MinInt64)
	for _, op := range k.deletes { // it may be any of them
		if !k.refused[op] {
			last = max(last, j.end(op))
		}
	}
	return last
}

// missing judges a lost write: one whose process died before an append may have had it is not promised for longer than the
// terms say.
func (j *judge) missing(k *keyRecord, w *Message, last int64) {
	life := j.life(w.End)
	age := time.Duration(life.End - w.End)
	switch {
	case j.terms.Loses == 0 || durable(life, w.End):
		has := "nothing"
		if last != math.MinInt64 {
			has = fmt.Sprintf("what was accepted at %v at most", j.at(last))
		}
		j.find(Lost, k, "operation %d, acknowledged at %v, %v before its process ended; the database has %s",
			w.Op, j.at(w.End), age, has)
	case age > j.terms.Loses+slowest(life)+j.terms.Slack:
		j.find(TooMuch, k, "operation %d was acknowledged %v before its process ended", w.Op, age)
	default:
		j.lost++
	}
}

// durable reports whether an append has everything that was accepted before an instant: the one after it ends one before.
func durable(life *Life, at int64) bool {
	for i := 1; i < len(life.Appends); i++ {
		if life.Appends[i-1].End > at && life.Appends[i].Begin >= life.Appends[i-1].End {
			return true
		}
	}
	return false
}

func slowest(life *Life) (most time.Duration) {
	for _, a := range life.Appends {
		most = max(most, time.Duration(a.End-a.Begin))
	}
	return most
}

// order judges the versions of a key: by their numbers, and by what callers saw.
func (j *judge) order(k *keyRecord) {
	var floor, by int64 = math.MinInt64, 0
	var last Version
	for _, v := range k.versions {
		switch {
		case v.Seq == 0:
			j.find(Stranger, k, "version %d has no number", v.N)
		case v.Epoch != last.Epoch:
		case v.Seq < last.Seq:
			j.find(Backwards, k, "version %d has number %d after %d", v.N, v.Seq, last.Seq)
		case v.Seq == last.Seq && (v.Op != last.Op || v.Deleted != last.Deleted):
			j.find(Backwards, k, "versions %d and %d have one number and differ", v.N-1, v.N)
		case v.Seq == last.Seq && j.terms.Once:
			j.find(Twice, k, "version %d has number %d again", v.N, v.Seq)
		}
		last = v
		if v.Deleted {
			continue
		}
		if end := j.end(v.Op); end < floor {
			j.find(Backwards, k, "version %d, operation %d, was acknowledged at %v, before operation %d began at %v",
				v.N, v.Op, j.at(end), by, j.at(floor))
		}
		if begin := j.begin(v.Op); begin > floor {
			floor, by = begin, v.Op
		}
	}
}

// known judges whether what the database had was written.
func (j *judge) known(k *keyRecord) {
	for _, v := range k.versions {
		begin := j.begin(v.Op)
		switch {
		case v.Deleted:
			if len(k.deletes) == 0 {
				j.find(Stranger, k, "version %d is a delete, and there was none", v.N)
			}
		case k.refused[v.Op]:
			j.find(Unwanted, k, "version %d is operation %d, which was refused", v.N, v.Op)
		case begin < j.record.Lives[0].Begin || begin > j.life(begin).End:
			j.find(Stranger, k, "version %d is operation %d, which began when no process ran", v.N, v.Op)
		}
	}
}
