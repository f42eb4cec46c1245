package trace_test

import (
	"io"
	"slices"
	"testing"

	"github.com/tarncache/tarn/bench/trace"
)

func ignoreEnd(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// counted counts how often a source is opened, and how many of its readers are closed.
type counted struct {
	trace.Source
	opened, closed *int
}

func (c counted) Open() (trace.Reader, error) {
	*c.opened++
	r, err := c.Source.Open()
	return countedReader{r, c.closed}, err
}

type countedReader struct {
	trace.Reader
	closed *int
}

func (r countedReader) Close() error {
	*r.closed++
	return r.Reader.Close()
}

func TestLoad(t *testing.T) {
	const requests = 200_000 // several pieces
	want, err := keysOf(trace.Synthetic(requests, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		rule   string
		hold   int64
		opened int
	}{
		{"a trace that fits is kept", requests, 1},
		{"one that does not is read anew", requests - 1, 3},
		{"nothing is kept", 0, 3},
	} {
		t.Run(row.rule, func(t *testing.T) {
			var opened, closed int
			loaded, err := trace.Load(counted{trace.Synthetic(requests, 1)[0], &opened, &closed}, row.hold)
			if err != nil || loaded.Requests != requests || loaded.Name() != "zipf" {
				t.Fatalf("%q of %d requests, %v", loaded.Name(), loaded.Requests, err)
			}
			for range 2 {
				if keys, err := keysOf(loaded); err != nil || !slices.Equal(keys, want) {
					t.Errorf("%d keys, %v", len(keys), err)
				}
			}
			if opened != row.opened || closed != opened {
				t.Errorf("opened %d times, closed %d times", opened, closed)
			}
		})
	}
}

func TestBatchesClosesWhenLeft(t *testing.T) {
	var opened, closed int
	for range trace.Batches(counted{trace.Synthetic(10_000, 1)[0], &opened, &closed}) {
		break
	}
	if opened != 1 || closed != 1 {
		t.Errorf("opened %d times, closed %d times", opened, closed)
	}
}

func TestOf(t *testing.T) {
	for _, keys := range [][]uint64{nil, {7}, {1, 2, 1}} {
		s := trace.Of("mine", keys...)
		got, err := keysOf(s)
		if err != nil || !slices.Equal(got, keys) || s.Requests != int64(len(keys)) || s.Name() != "mine" {
			t.Errorf("%v of %d requests, %v", got, s.Requests, err)
		}
	}
	if s := trace.Of("mine", 1); s.Same(1) != nil || s.Same(2) == nil {
		t.Error("another length is not found")
	}
}

func TestSynthetic(t *testing.T) {
	const requests = 300_000
	keys := make(map[string][]uint64)
	for i, s := range trace.Synthetic(requests, 1) {
		k, err := keysOf(s)
		if err != nil || len(k) != requests {
			t.Fatalf("%s: %d requests, %v", s.Name(), len(k), err)
		}
		keys[s.Name()] = k
		other, _ := keysOf(trace.Synthetic(requests, 2)[i])
		if same := slices.Equal(k, other); same != (s.Name() == "loop") {
			t.Errorf("%s: another seed makes the same trace: %v", s.Name(), same)
		}
	}
	different := func(keys []uint64) int {
		slices.Sort(keys)
		return len(slices.Compact(keys))
	}
	scan := keys["zipf+scan"][20_000:29_999]
	loop := keys["loop"]
	first, last := keys["zipf-shifting"][:50_000], keys["zipf-shifting"][250_000:]
	most := func(keys []uint64) (key uint64) {
		uses := make(map[uint64]int)
		for _, k := range keys {
			if uses[k]++; uses[k] > uses[key] {
				key = k
			}
		}
		return key
	}
	for _, row := range []struct {
		rule string
		ok   bool
	}{
		{"zipf: no key beyond the population", different(slices.Clone(keys["zipf"])) <= 100_000},
		{"zipf: the most used key has some 8 % of the requests", count(keys["zipf"], most(keys["zipf"])) > requests/16},
		{"zipf+scan: keys that come once", different(slices.Clone(scan)) == len(scan) &&
			count(keys["zipf+scan"], scan[0]) == 1 && count(keys["zipf+scan"], scan[len(scan)-1]) == 1},
		{"loop: in the same order again and again", slices.Equal(loop[:12_000], loop[12_000:24_000]) &&
			different(slices.Clone(loop)) == 12_000},
		{"zipf-shifting: other keys are used most", most(first) != most(last)},
	} {
		if !row.ok {
			t.Error(row.rule)
		}
	}
}

func count(keys []uint64, key uint64) (n int) {
	for _, k := range keys {
		if k == key {
			n++
		}
	}
	return n
}
