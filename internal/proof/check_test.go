package proof

import (
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// set and del are writes of key 1 by cache 1 of node 1, get is a read by cache 2 of node 2.
func set(op, begin, end int64) Write {
	return Write{Place: Place{1, 1}, Key: 1, Op: op, Begin: begin, End: end, Outcome: Acknowledged}
}

func del(op, begin, end int64) Write {
	w := set(op, begin, end)
	w.Deleted = true
	return w
}

func get(op, begin, end int64) Read {
	return Read{Place: Place{2, 2}, Key: 1, Op: op, Begin: begin, End: end}
}

func (w Write) but(o Outcome) Write { w.Outcome = o; return w }
func (r Read) by(node, cache int) Read {
	r.Place = Place{node, cache}
	return r
}

// of is a history in which the database committed the writes in their order.
func of(writes []Write, reads ...Read) *History {
	h := &History{Writes: writes, Reads: reads}
	for i, w := range writes {
		h.Changes = append(h.Changes, Change{w.Key, int64(i + 1), w.Op, w.Deleted})
	}
	return h
}

func TestCheck(t *testing.T) {
	writes := func(ws ...Write) []Write { return ws }
	tests := []struct {
		rule  string
		h     *History
		terms Terms
		want  []ViolationKind
	}{
		{"what was never written is absent", of(nil, get(0, 1, 2)), Terms{}, nil},
		{"a read returns what was acknowledged", of(writes(set(7, 1, 2)), get(7, 3, 4)), Terms{}, nil},
		{"not the value before", of(writes(set(7, 1, 2), set(8, 3, 4)), get(7, 5, 6)), Terms{}, []ViolationKind{Past}},
		{"nor the absence before", of(writes(set(7, 1, 2)), get(0, 3, 4)), Terms{}, []ViolationKind{Past}},
		{"a delete is a version", of(writes(set(7, 1, 2), del(8, 3, 4)), get(7, 5, 6)), Terms{}, []ViolationKind{Past}},
		{"and is read as an absence", of(writes(set(7, 1, 2), del(8, 3, 4)), get(0, 5, 6)), Terms{}, nil},
		{"an absence is not older than the last delete that had begun",
			of(writes(del(7, 1, 2), set(8, 3, 4), del(9, 6, 9)), get(0, 5, 7)), Terms{}, nil},
		{"one that had not begun is none", of(writes(del(7, 1, 2), set(8, 3, 4), del(9, 7, 9)), get(0, 5, 6)), Terms{},
			[]ViolationKind{Past}},
		{"a read that began before the acknowledgement may return the value before",
			of(writes(set(7, 1, 2), set(8, 3, 6)), get(7, 5, 9)), Terms{}, nil},
		{"one in the same instant too", of(writes(set(7, 1, 2), set(8, 3, 5)), get(7, 5, 9)), Terms{}, nil},
		{"an acknowledgement of an older version takes nothing back",
			of(writes(set(7, 1, 9), set(8, 3, 4)), get(7, 10, 11)), Terms{}, []ViolationKind{Past}},
		{"what was not acknowledged may be read, and then not",
			of(writes(set(7, 1, 2), set(8, 3, 4).but(Failed)), get(8, 5, 6), get(7, 7, 8)), Terms{}, nil},
		{"a value is not read before its write begins", of(writes(set(7, 5, 6)), get(7, 1, 4)), Terms{},
			[]ViolationKind{Future}},
		{"but while it runs", of(writes(set(7, 5, 9)), get(7, 1, 6)), Terms{}, nil},
		{"what nobody wrote is not read", of(nil, get(7, 1, 2)), Terms{}, []ViolationKind{Unwritten}},
		{"a delete has no value", of(writes(del(7, 1, 2)), get(7, 3, 4)), Terms{}, []ViolationKind{Unwritten}},
		{"another key's value is not this one's",
			of(writes(set(7, 1, 2)), Read{Place{2, 2}, 2, 7, 3, 4}), Terms{}, []ViolationKind{Unwritten}},
		{"a write that nobody noted began at any time",
			&History{Changes: []Change{{1, 1, 7, false}}, Reads: []Read{get(7, 1, 2)}}, Terms{}, nil},
		{"an acknowledged write is in the database", &History{Writes: writes(set(7, 1, 2))}, Terms{},
			[]ViolationKind{LostWrite}},
		{"one that failed need not be", &History{Writes: writes(set(7, 1, 2).but(Failed))}, Terms{}, nil},

		{"within the bound another node is late", of(writes(set(7, 1, 2), set(8, 3, 4)), get(7, 9, 10)),
			Terms{Bound: 5}, nil},
		{"after it, no more", of(writes(set(7, 1, 2), set(8, 3, 4)), get(7, 10, 11)), Terms{Bound: 5},
			[]ViolationKind{Past}},
		{"on its own node there is no bound", of(writes(set(7, 1, 2), set(8, 3, 4)), get(7, 5, 6).by(1, 3)),
			Terms{Bound: 5}, []ViolationKind{Past}},

		{"what may be stale is promised to nobody else",
			of(writes(set(7, 1, 2), set(8, 3, 4).but(MaybeStale)), get(7, 5, 6), get(7, 7, 8).by(1, 3)), Terms{}, nil},
		{"but to its own cache", of(writes(set(7, 1, 2), set(8, 3, 4).but(MaybeStale)), get(7, 5, 6).by(1, 1)), Terms{},
			[]ViolationKind{Past}},
		{"until it is mended", of(writes(set(7, 1, 2), set(8, 3, 4).but(MaybeStale)), get(7, 8, 9), get(7, 11, 12)),
			Terms{Mended: 10}, []ViolationKind{Past}},
		{"it takes nothing from what was promised before",
			of(writes(set(6, 0, 1), set(7, 1, 2), set(8, 3, 4).but(MaybeStale)), get(6, 5, 6)), Terms{},
			[]ViolationKind{Past}},
		{"nor from what comes later",
			of(writes(set(7, 1, 2), set(8, 3, 4).but(MaybeStale), set(9, 5, 6)), get(8, 7, 8)), Terms{},
			[]ViolationKind{Past}},

		{"a read in an excepted time may be of the past", of(writes(set(7, 1, 2), set(8, 3, 4)), get(7, 6, 8)),
			Terms{Excepted: []Span{{7, 9}}}, nil},
		{"but nobody's invention", of(nil, get(7, 6, 8)), Terms{Excepted: []Span{{7, 9}}}, []ViolationKind{Unwritten}},
		{"one after it may not", of(writes(set(7, 1, 2), set(8, 3, 4)), get(7, 9, 10)),
			Terms{Excepted: []Span{{7, 9}}}, []ViolationKind{Past}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			var got []ViolationKind
			for _, v := range Check(tt.h, tt.terms) {
				got = append(got, v.Kind)
				if s := v.String(); !strings.HasPrefix(s, "key 1") && !strings.HasPrefix(s, "key 2") {
					t.Errorf("%+v says of itself: %s", v, s)
				}
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("found %v, want %v", got, tt.want)
			}
		})
	}
}

// TestCheckFindsWhatIsPlanted makes histories of a cache that is right, in which there is nothing to find, and plants a
// violation.
func TestCheckFindsWhatIsPlanted(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		h := rightHistory(rng, 400)
		if found := Check(h, Terms{}); len(found) > 0 {
			t.Fatalf("seed %d: a right history: %v", seed, found[0])
		}
		if !plant(rng, h) {
			t.Fatalf("seed %d: there is no place for a violation", seed)
		}
		if found := Check(h, Terms{}); len(found) != 1 || found[0].Kind != Past {
			t.Fatalf("seed %d: of one violation that was planted it found %v", seed, found)
		}
	}
}

// TestCheckAgreesWithWhatIsObvious compares it with a check that goes by the words of the promise, in O(n²), on
// histories in which anything is read.
func TestCheckAgreesWithWhatIsObvious(t *testing.T) {
	violations := 0
	for seed := range uint64(500) {
		rng := rand.New(rand.NewPCG(seed, 2))
		h := anyHistory(rng, 60)
		terms := Terms{Bound: time.Duration(rng.IntN(4)), Mended: rng.Int64N(200)}
		if rng.IntN(2) == 0 {
			terms.Excepted = []Span{{50, 90}}
		}
		got, want := len(Check(h, terms)), obvious(h, terms)
		if got != want {
			t.Fatalf("seed %d: it found %d violations, there are %d", seed, got, want)
		}
		violations += want
	}
	if violations < 500 {
		t.Errorf("only %d violations in all", violations)
	}
}

// rightHistory has a value that changes between the begin and the end of each write, and reads that see it.
func rightHistory(rng *rand.Rand, n int) *History {
	h := &History{}
	version, current := int64(0), int64(0)
	for at := int64(10); len(h.Reads) < n; at += rng.Int64N(4) {
		if rng.IntN(4) == 0 {
			version++
			w := set(version, at-rng.Int64N(5), at+1+rng.Int64N(5))
			w.Deleted = rng.IntN(5) == 0
			if current = w.Op; w.Deleted {
				current = 0
			}
			h.Writes = append(h.Writes, w)
			h.Changes = append(h.Changes, Change{1, version, w.Op, w.Deleted})
			at++
			continue
		}
		h.Reads = append(h.Reads, get(current, at-rng.Int64N(5), at+1+rng.Int64N(5)))
	}
	return h
}

// plant makes one read of h return a value that is too old.
func plant(rng *rand.Rand, h *History) bool {
	for _, i := range rng.Perm(len(h.Reads)) {
		r := &h.Reads[i]
		floor := int64(0)
		for _, w := range h.Writes {
			if w.End < r.Begin {
				floor = max(floor, w.Op)
			}
		}
		for old := floor - 1; old > 0; old-- {
			if w := h.Writes[old-1]; !w.Deleted {
				r.Op = w.Op
				return true
			}
		}
	}
	return false
}

func anyHistory(rng *rand.Rand, n int) *History {
	h := &History{}
	for op := int64(1); op <= int64(n); op++ {
		begin := rng.Int64N(200)
		w := Write{
			Place{rng.IntN(2), rng.IntN(3)}, 1, op, rng.IntN(4) == 0,
			begin, begin + rng.Int64N(30), Outcome(1 + rng.IntN(3)),
		}
		r := Read{Place{rng.IntN(2), rng.IntN(3)}, 1, rng.Int64N(int64(n) + 2), begin, begin + rng.Int64N(60)}
		h.Writes, h.Reads = append(h.Writes, w), append(h.Reads, r)
	}
	for i, n := range rng.Perm(n) {
		if rng.IntN(10) > 0 {
			h.Changes = append(h.Changes, Change{1, int64(i + 1), h.Writes[n].Op, h.Writes[n].Deleted})
		}
	}
	return h
}

func obvious(h *History, terms Terms) (violations int) {
	change := make(map[int64]Change)
	for _, c := range h.Changes {
		change[c.Op] = c
	}
	for _, w := range h.Writes {
		if change[w.Op].Op == 0 && w.Outcome != Failed {
			violations++
		}
	}
	for _, r := range h.Reads {
		got, broken := int64(0), false
		if r.Op != 0 {
			c, ok := change[r.Op]
			got = c.Version
			broken = !ok || c.Deleted || h.Writes[r.Op-1].Begin > r.End
		}
		for _, w := range h.Writes {
			if c := change[w.Op]; r.Op == 0 && c.Deleted && w.Begin < r.End {
				got = max(got, c.Version)
			}
		}
		for _, w := range h.Writes {
			due := int64(math.MaxInt64)
			switch {
			case change[w.Op].Op == 0 || w.Outcome == Failed:
			case w.Cache == r.Cache:
				due = w.End
			case w.Outcome == MaybeStale && terms.Mended == 0:
			default:
				if due = w.End; w.Outcome == MaybeStale {
					due = max(due, terms.Mended)
				}
				if w.Node != r.Node {
					due += int64(terms.Bound)
				}
			}
			in := len(terms.Excepted) > 0 && r.Begin < terms.Excepted[0].To && r.End > terms.Excepted[0].From
			broken = broken || due < r.Begin && got < change[w.Op].Version && !in
		}
		if broken {
			violations++
		}
	}
	return violations
}

func TestDelays(t *testing.T) {
	h := of([]Write{set(7, 1, 2), set(8, 10, 12), set(9, 30, 32), set(10, 50, 52)},
		get(7, 3, 4), get(7, 11, 13), get(7, 15, 16), get(7, 19, 20), get(8, 21, 22), get(9, 33, 34))
	want := []time.Duration{0, 0, 7}
	if got := Delays(h, 1, 2); !slices.Equal(got, want) {
		t.Errorf("the delays are %v, want %v: nobody read after the last write", got, want)
	}
	if q := Quantile(want, 0.99); q != 7 {
		t.Errorf("the 99th percentile is %v", q)
	}
	if q := Quantile(nil, 0.5); q != 0 {
		t.Errorf("the median of nothing is %v", q)
	}
}

func TestLinearizable(t *testing.T) {
	tests := []struct {
		rule string
		h    *History
		want bool
	}{
		{"a read returns the last write", of([]Write{set(7, 1, 2)}, get(7, 3, 4)), true},
		{"not the one before", of([]Write{set(7, 1, 2), set(8, 3, 4)}, get(7, 5, 6)), false},
		{"of two at once either", of([]Write{set(7, 1, 4), set(8, 2, 5)}, get(7, 6, 7)), true},
		{"and the same one from then on", of([]Write{set(7, 1, 4), set(8, 2, 5)}, get(7, 6, 7), get(8, 8, 9)), false},
		{"what was once seen is not unseen", of([]Write{set(7, 1, 2), set(8, 3, 9)}, get(8, 4, 5), get(7, 6, 7)), false},
		{"what failed may come late", of([]Write{set(7, 1, 2), set(8, 3, 4).but(Failed)}, get(7, 5, 6), get(8, 7, 8)), true},
		{"a delete leaves an absence", of([]Write{set(7, 1, 2), del(8, 3, 4)}, get(0, 5, 6)), true},
		{"and no value", of([]Write{set(7, 1, 2), del(8, 3, 4)}, get(7, 5, 6)), false},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			if ok, decided := Linearizable(tt.h, time.Minute); ok != tt.want || !decided {
				t.Errorf("it says %v (decided: %v), want %v", ok, decided, tt.want)
			}
		})
	}
}

func TestNow(t *testing.T) {
	a := Now()
	time.Sleep(2 * time.Millisecond)
	if d := time.Duration(Now() - a); d < 2*time.Millisecond || d > time.Minute {
		t.Errorf("two milliseconds are %v", d)
	}
}
