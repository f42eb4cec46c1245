package memory

import (
	"context"
	"errors"
	"testing"

	"github.com/tarncache/tarn"
)

// TestAClearThatMeetsACloseTells of what it has taken out by then, which Close does not find any more.
func TestAClearThatMeetsACloseTells(t *testing.T) {
	const entries = 10_000
	told := 0
	s := New(Options[int, int]{MaxEntries: 2 * entries, OnRemove: func(Removal[int, int]) { told++ }})
	last := &s.segments[len(s.segments)-1]
	if len(s.segments) == 1 {
		t.Fatal("one segment")
	}
	for key := range entries {
		if err := s.Put(key, key, 0); err != nil {
			t.Fatal(err)
		}
	}
	last.closed = true // by a Close that came while Clear was at the segments before
	want := entries - last.policy.Len()
	if err := s.Clear(context.Background()); !errors.Is(err, tarn.ErrClosed) {
		t.Errorf("error %v", err)
	}
	if told != want {
		t.Errorf("told of %d, want %d", told, want)
	}
}
