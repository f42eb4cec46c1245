package memory

import "testing"

// TestAResizeLeavesSegmentsAlike: a full segment evicts from its own, so one that was left with little would keep
// little, and its keys would hardly ever hit.
func TestAResizeLeavesSegmentsAlike(t *testing.T) {
	const large, small = 100_000, 1_000
	s := New(Options[int, int]{MaxEntries: large})
	defer s.Close()
	for key := range 2 * large {
		_ = s.Put(key, key, 0)
	}
	if err := s.Resize(small); err != nil {
		t.Fatal(err)
	}
	share := small / len(s.segments) // the last that was looked at may have what the division leaves
	for i := range s.segments {
		if n := s.segments[i].policy.Len(); n < share || n > share+len(s.segments) {
			t.Errorf("segment %d of %d has %d of %d entries", i, len(s.segments), n, small)
		}
	}
	if s.Len() != small {
		t.Errorf("%d of %d entries", s.Len(), small)
	}
}
