package memory_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// TestWhatStandsIsAlwaysFound by readers, while the table around it grows and shrinks, and when it is overwritten.
func TestWhatStandsIsAlwaysFound(t *testing.T) {
	const stand, around = 500, 6000
	for name, bound := range map[string]int{"in one part": 2 * around, "in many parts": 40 * around} {
		t.Run(name, func(t *testing.T) {
			s := memory.New(memory.Options[int, int]{MaxEntries: bound})
			defer s.Close()
			for key := range stand {
				mustSet(t, s, key, key)
			}
			var stop atomic.Bool
			var all sync.WaitGroup
			for g := range 3 {
				all.Go(func() {
					keys, into := make([]int, 20), make([]tarn.Lookup[int], 20)
					for i := g; !stop.Load() && !t.Failed(); i++ {
						key := i * 7 % stand
						if v, ok := s.Hit(key); !ok || v != key {
							t.Errorf("hit of key %d: %d, %v", key, v, ok)
						}
						if e, found, _ := s.Get(bg, key); !found || e.Value != key {
							t.Errorf("get of key %d: %+v, %v", key, e, found)
						}
						if i%20 > 0 {
							continue
						}
						for j := range keys {
							keys[j] = (key + j) % stand
						}
						_ = s.GetMany(bg, keys, into)
						for j, l := range into {
							if !l.Found || l.Entry.Value != keys[j] {
								t.Errorf("get many of key %d: %+v", keys[j], l)
							}
						}
					}
				})
			}
			all.Go(func() {
				for i := 0; !stop.Load(); i++ {
					_ = s.Put(i%stand, i%stand, 0)
					_, _ = s.Touch(bg, i*3%stand, s.Clock().Now().Add(time.Hour))
					time.Sleep(time.Microsecond)
				}
			})
			for end := time.Now().Add(300 * time.Millisecond); time.Now().Before(end) && !t.Failed(); {
				for key := stand; key < stand+around; key++ {
					_ = s.Put(key, key, 0)
				}
				for key := stand; key < stand+around; key++ {
					_ = s.Delete(bg, key)
				}
			}
			stop.Store(true)
			all.Wait()
		})
	}
}
