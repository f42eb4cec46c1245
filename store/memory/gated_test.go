package memory_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/ttl"
)

// TestGated gives a gated Hitter entries that end, or not, and an instant that passes, or not.
func TestGated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := memory.New(memory.Options[string, int]{MaxEntries: 100, CountReads: true})
		defer s.Close()
		now := s.Clock().Now()
		at := func(seconds int) ttl.Time { return now.Add(time.Duration(seconds) * time.Second) }
		for key, e := range map[string]tarn.Entry[int]{
			"timeless": {Value: 1}, "negative": {Negative: true}, "ends": {Value: 1, Expires: at(10)},
			"gets stale": {Value: 1, Fresh: at(10), Expires: at(20)},
		} {
			s.Set(t.Context(), key, e)
		}
		for _, c := range []struct {
			key   string
			until ttl.Time
			lasts time.Duration // until it says nothing; 0: it says nothing at all
		}{
			{"none", at(30), 0},
			{"negative", at(30), 0},
			{"timeless", at(0), 0},
			{"timeless", at(5), 5 * time.Second},
			{"timeless", 0, 0},
			{"timeless", ttl.End, time.Hour},
			{"ends", at(5), 5 * time.Second},
			{"ends", at(30), 10 * time.Second},
			{"ends", ttl.End, 10 * time.Second},
			{"ends", 0, 0},
			{"gets stale", at(5), 5 * time.Second},
			{"gets stale", at(30), 10 * time.Second},
		} {
			gated := s.Gated(func() ttl.Time { return c.until })
			check := func(ok bool) {
				if v, got := gated.Hit(c.key); got != ok || got && v != 1 {
					t.Errorf("Hit(%s) before %v, after %v: %d, %v; want %v", c.key, c.until.Sub(now), s.Clock().Now().Sub(now), v, got, ok)
				}
			}
			check(c.lasts > 0)
			go func() {
				if c.lasts > 0 {
					time.Sleep(c.lasts - 1)
					check(true)
					time.Sleep(time.Nanosecond)
					check(c.lasts == time.Hour)
				}
			}()
		}
		time.Sleep(2 * time.Hour)
		if hits := s.Stats().Hits; hits == 0 {
			t.Error("hits are not counted")
		}
		s.Set(t.Context(), "k", tarn.Entry[int]{Expires: s.Clock().Now().Add(time.Hour)})
		until := s.Clock().Now().Add(time.Hour)
		gated := s.Gated(func() ttl.Time { return until })
		if n := testing.AllocsPerRun(100, func() { gated.Hit("k") }); n != 0 {
			t.Errorf("it allocates %v times", n)
		}
	})
}
