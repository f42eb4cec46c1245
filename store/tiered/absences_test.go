package tiered_test

import (
	"strconv"
	"testing"
	"testing/synctest"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
)

// TestRandomMissesDoNotFlushCopies: what the near store copies of absences is bounded there as absences of its own are,
// and the copies of values stay.
func TestRandomMissesDoNotFlushCopies(t *testing.T) {
	bubble(func(t *testing.T) {
		near := memory.New(memory.Options[string, int]{MaxEntries: 640})
		inner := memory.New(memory.Options[string, int]{MaxEntries: 100_000, MaxNegative: 50_000})
		store := tiered.New(near, farstore.New(inner).View())
		t.Cleanup(func() {
			store.Close()
			near.Close()
			inner.Close()
		})
		ask := func(key string) {
			if _, found, err := store.Get(t.Context(), key); !found || err != nil {
				t.Fatalf("found %v, %v", found, err)
			}
		}
		fill := func(prefix string, n int, e tarn.Entry[int]) {
			for i := range n {
				if err := inner.Set(t.Context(), prefix+strconv.Itoa(i), e); err != nil {
					t.Fatal(err)
				}
			}
		}
		synctest.Wait() // copies are trusted by then
		fill("value", 600, tarn.Entry[int]{Value: 1})
		fill("absent", 5000, tarn.Entry[int]{Negative: true})
		for i := range 600 {
			ask("value" + strconv.Itoa(i))
		}
		for i := range 5000 {
			ask("absent" + strconv.Itoa(i))
		}
		if st := near.Stats(); st.Negatives != 10 || st.Entries != 610 {
			t.Errorf("near: %+v; want 10 absences of 610", st)
		}
	})(t)
}
