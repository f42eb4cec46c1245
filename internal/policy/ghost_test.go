package policy

import "testing"

func TestGhostRemembersAboutAsManyKeysAsItHasRoomFor(t *testing.T) {
	var g ghost
	for i := range 1000 {
		g.grow(i)
	}
	for i := range uint32(100_000) {
		g.add(i)
	}
	known := func(from, to uint32) (n int) {
		for i := from; i < to; i++ {
			if g.has(i) {
				n++
			}
		}
		return n
	}
	if n := known(99_700, 100_000); n < 290 {
		t.Errorf("of the last 300 keys it has %d", n)
	}
	if n := known(99_000, 100_000); n < 750 {
		t.Errorf("of the last 1000 keys it has %d", n)
	}
	if n := known(0, 90_000); n > 100 {
		t.Errorf("of 90,000 keys long ago it has %d", n)
	}
}

func TestGhostKeepsWhatItKnowsWhileItGrows(t *testing.T) {
	var g ghost
	g.grow(1)
	for i := range uint32(4) {
		g.add(i)
	}
	for range 500 {
		g.grow(2000)
	}
	for i := range uint32(4) {
		if !g.has(i) {
			t.Errorf("key %d was forgotten", i)
		}
	}
}

func TestSketchKeepsWhatItKnowsWhileItGrows(t *testing.T) {
	var s sketch
	s.grow(1)
	for range 5 {
		s.add(7, 1)
	}
	for range 500 {
		s.grow(2000)
	}
	if n := s.estimate(7); n != 5 {
		t.Errorf("the estimate is %d after 5 uses", n)
	}
	for i := range uint32(50_000) {
		s.add(1000+i, 1)
	}
	if n := s.estimate(7); n >= 5 {
		t.Errorf("the estimate is %d after it was halved", n)
	}
}

// A ring of entries, and a hole at every place in turn.
func TestWindowStaysInOrderWithHoles(t *testing.T) {
	var w window
	var order []Place
	for i := range uint32(10_000) {
		order = append(order, w.push(i, 1))
		switch {
		case i%3 == 0:
			at := order[len(order)/2]
			w.remove(at)
			order = append(order[:len(order)/2], order[len(order)/2+1:]...)
		case i%5 == 0:
			if _, at, _, _ := w.pop(); at&^inWindow != order[0] {
				t.Fatalf("popped %x, and the oldest is %x", at, order[0])
			}
			order = order[1:]
		}
	}
	for len(order) > 0 {
		if _, at, _, _ := w.pop(); at&^inWindow != order[0] {
			t.Fatalf("popped %x, and the oldest is %x", at, order[0])
		}
		order = order[1:]
	}
	if w.len != 0 || w.chunks != 0 || w.weight != 0 {
		t.Errorf("what is left of an empty window: %d entries, %d chunks, weight %d", w.len, w.chunks, w.weight)
	}
}
