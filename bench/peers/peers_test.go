package peers

import (
	"errors"
	"strconv"
	"testing"
	"time"
)

// each calls f with every cache that can have keys of both types.
func each(t *testing.T, f func(t *testing.T, facts Facts)) {
	for _, facts := range All() {
		t.Run("cache="+facts.Name, func(t *testing.T) { f(t, facts) })
	}
}

func numbers(i int) uint64 { return uint64(i) }
func words(i int) string   { return "key:" + strconv.Itoa(i) }

func TestEveryCacheKeepsWhatItIsGiven(t *testing.T) {
	each(t, func(t *testing.T, facts Facts) {
		t.Run("keys=string", func(t *testing.T) { keeps(t, facts, words) })
		t.Run("keys=uint64", func(t *testing.T) {
			if facts.StringKeys {
				if _, err := New[uint64, uint64](facts.Name, Options{Capacity: 1000}); !errors.Is(err, errStringKeys) {
					t.Fatalf("it takes other keys, or says something else: %v", err)
				}
				return
			}
			keeps(t, facts, numbers)
		})
	})
}

func keeps[K Key](t *testing.T, facts Facts, key func(int) K) {
	const capacity = 1000
	lives := []time.Duration{0}
	if facts.Lives {
		lives = append(lives, time.Hour)
	}
	for _, life := range lives {
		for _, replay := range []bool{false, true} {
			p, err := New[K, K](facts.Name, Options{Capacity: capacity, Life: life, Replay: replay})
			if err != nil {
				t.Fatal(err)
			}
			if p.Facts != facts {
				t.Errorf("its facts are %+v", p.Facts)
			}
			if _, found := p.Get(key(1)); found {
				t.Error("it has a key that it was not given")
			}
			settle := p.Wait
			if replay {
				settle = nothing // its Sets have had their effect
			}
			p.Set(key(1), key(7))
			settle()
			if v, found := p.Get(key(1)); !found || v != key(7) {
				t.Errorf("life %v, replay %v: Get returns %v, %v", life, replay, v, found)
			}
			keys := make([]K, 1<<12)
			for i := range keys {
				keys[i] = key(i % 64)
			}
			load := Load[K, K]{Keys: keys, Values: keys, Mask: len(keys) - 1, Ops: len(keys)}
			if hits := p.Run(load); hits != 0 {
				t.Errorf("a load without Gets has %d hits", hits)
			}
			p.Wait()
			load.Reads, load.From = 3, 1<<14
			if hits := p.Run(load); hits < len(keys)/2 || hits > len(keys)*3/4 {
				t.Errorf("of %d Gets, %d hit", len(keys)*3/4, hits)
			}
			for i := range 4 * capacity {
				p.Set(key(i), key(i))
			}
			settle()
			if n := p.Len(); n < capacity/2 || n > capacity+capacity/10 {
				t.Errorf("with room for %d it holds %d", capacity, n)
			}
			p.Close()
		}
	}
}

func TestAnUnknownCache(t *testing.T) {
	if _, err := New[string, string]("arcade", Options{Capacity: 10}); err == nil {
		t.Error("there is one")
	}
	if _, err := New[string, string]("sieve", Options{Capacity: 10, Life: time.Second}); err == nil {
		t.Error("sieve has lives")
	}
}

func TestAGhostThatComesBackIsNoneAnyMore(t *testing.T) {
	p, err := newS3FIFO[uint64, uint64](Options{Capacity: 10})
	if err != nil {
		t.Fatal(err)
	}
	c := p.Cache.(*s3fifo[uint64, uint64])
	for round := range 100 {
		for k := range uint64(15) {
			if _, found := c.Get(k); !found {
				c.Set(k, k)
			}
			if _, ghost := c.ghost[k]; ghost {
				t.Fatalf("round %d: %d is in the cache and a ghost", round, k)
			}
		}
		if len(c.nodes) > 10 || len(c.ghost) > 9 || c.ghosts.n > 2*9+16 {
			t.Fatalf("round %d: %d entries, %d ghosts in %d places", round, len(c.nodes), len(c.ghost), c.ghosts.n)
		}
	}
}

// step is a Get, or where it misses a Set.
type step struct {
	key uint64
	hit bool
}

func TestThePapersPolicies(t *testing.T) {
	for _, test := range []struct {
		rule, cache string
		capacity    int
		steps       []step
	}{
		{"SIEVE keeps what was visited where it is, and evicts the oldest that was not", "sieve", 3, []step{
			{1, false}, {2, false}, {3, false}, {1, true}, // the hand passes 1 and evicts 2
			{4, false}, {1, true}, {3, true}, {4, true}, {2, false},
		}},
		{"SIEVE's hand goes on from where it stopped", "sieve", 3, []step{
			{1, false}, {2, false}, {3, false}, {1, true},
			{4, false}, {5, false}, // 2 goes, then 3, though 1 is older and not visited any more
			{1, true}, {4, true}, {5, true}, {3, false},
		}},
		{"S3-FIFO: one use is not enough for the main queue", "s3fifo", 10, []step{
			{1, false}, {1, true}, {2, false}, {3, false}, {4, false}, {5, false}, {6, false}, {7, false}, {8, false},
			{9, false}, {10, false}, {11, false}, {1, false},
		}},
		{"S3-FIFO: two uses are", "s3fifo", 10, []step{
			{1, false}, {1, true}, {1, true}, {2, false}, {3, false}, {4, false}, {5, false}, {6, false}, {7, false},
			{8, false}, {9, false}, {10, false}, {11, false}, {1, true}, {2, false},
		}},
		{"S3-FIFO: what comes back while it is a ghost goes to the main queue", "s3fifo", 10, []step{
			{1, false}, {2, false}, {3, false}, {4, false}, {5, false}, {6, false}, {7, false}, {8, false}, {9, false},
			{10, false}, {11, false}, {1, false}, // 1 went; now it is main's
			{21, false}, {22, false}, {23, false}, {24, false}, {25, false}, {26, false}, {27, false}, {28, false},
			{29, false}, {30, false}, {31, false}, {1, true},
		}},
	} {
		c, err := New[uint64, uint64](test.cache, Options{Capacity: test.capacity, Replay: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range test.steps {
			_, hit := c.Get(s.key)
			if hit != s.hit {
				t.Errorf("%s: step %d, key %d: hit is %v", test.rule, i, s.key, hit)
			}
			if !hit {
				c.Set(s.key, s.key)
			}
		}
	}
}
