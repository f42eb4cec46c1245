package main

import (
	"math"
	"reflect"
	"testing"
)

func TestWorkload(t *testing.T) {
	s := settings{ops: 10_003, reads: 0.9, keys: 100, seed: 1}
	w := newWorkload(s)
	ops, writes, counts := 0, 0, make([]int, s.keys)
	for _, each := range w {
		for _, op := range each {
			ops++
			if op.write {
				writes++
			}
			counts[op.id-1]++ // panics if there is no such product
		}
	}
	if ops != s.ops {
		t.Errorf("%d operations, want %d", ops, s.ops)
	}
	if share := float64(writes) / float64(ops); math.Abs(share-0.1) > 0.02 {
		t.Errorf("%v of the operations write, want 0.1", share)
	}
	if counts[0] < 10*counts[99] {
		t.Errorf("not skewed: %d operations on the first product, %d on the last", counts[0], counts[99])
	}
	if !reflect.DeepEqual(w, newWorkload(s)) {
		t.Error("one seed made two workloads")
	}
	s.seed = 2
	if reflect.DeepEqual(w, newWorkload(s)) {
		t.Error("two seeds made the same workload")
	}
}
