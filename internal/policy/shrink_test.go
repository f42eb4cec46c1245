package policy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tarncache/tarn/internal/policy"
)

// lower lowers the limit as a cache does that is made smaller.
func (o *owner) lower(limit uint64, shrink bool) {
	o.policy.SetLimit(limit)
	for o.policy.Weight() > limit {
		o.policy.EvictOne()
	}
	for shrink && o.policy.Shrink(0) {
	}
}

// zipf returns keys of which few come often, in the order of some seed.
func zipf(seed uint64, n int) []uint32 {
	random := rand.New(rand.NewPCG(seed, 1))
	of := rand.NewZipf(random, 1.01, 1, 100_000)
	keys := make([]uint32, n)
	for i := range keys {
		keys[i] = mix(int(of.Uint64()))
	}
	return keys
}

// Shrinking costs few hits at first, since less is known of what had left, and none in the long run: a smaller sketch
// forgets sooner.
func TestShrinkCostsNoHits(t *testing.T) {
	const large, small, seeds = 10_000, 500, 3
	phases := []int{1000, 10_000, 30_000}
	for _, lab := range []bool{false, true} {
		var hits [2][3]float64 // without Shrink and with it
		for i := range hits {
			for seed := range uint64(seeds) {
				o := newOwner(t, large, policy.Options{Choice: new(policy.Choice), Lab: lab})
				o.ratio(zipf(10*seed, 8*large))
				o.lower(small, i > 0)
				for phase, n := range phases {
					hits[i][phase] += o.ratio(zipf(10*seed+1+uint64(phase), n)) * float64(n)
				}
			}
		}
		var uses, off, on float64
		for phase, n := range phases {
			uses += float64(seeds * n)
			off += hits[0][phase]
			on += hits[1][phase]
			t.Logf("lab %v: hit ratio %.3f of %.0f uses with, %.3f without", lab, on/uses, uses, off/uses)
			if on < off-0.02*uses {
				t.Errorf("lab %v: hit ratio %.3f of %.0f uses, %.3f without Shrink", lab, on/uses, uses, off/uses)
			}
		}
		if on < off {
			t.Errorf("lab %v: hit ratio %.3f, %.3f without Shrink", lab, on/uses, off/uses)
		}
	}
}

// One call does bounded work, and leaves a policy that is whole to whatever comes before the next.
func TestShrinkDoesBoundedWork(t *testing.T) {
	const limit, most = 20_000, 300
	for _, weighted := range []bool{false, true} {
		o := newOwner(t, limit, policy.Options{Choice: new(policy.Choice), Lab: true, Weighted: weighted})
		o.ratio(recent(rand.New(rand.NewPCG(3, 3)), 3*limit)) // which makes the window large
		o.lower(limit/20, false)
		random := rand.New(rand.NewPCG(5, 5))
		calls := 0
		for more := true; more; calls++ {
			o.calls = 0
			if more = o.policy.Shrink(0); o.calls > most {
				t.Fatalf("%d calls for one of Shrink", o.calls)
			}
			for range 5 {
				o.get(mix(int(random.Uint32N(limit))), 1)
				o.remove(mix(int(random.Uint32N(limit))))
			}
		}
		o.verify()
		if calls < 3 {
			t.Errorf("%d calls did it all", calls)
		}
		o.ratio(recent(rand.New(rand.NewPCG(4, 4)), limit))
		o.verify()
	}
}
