package policy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tarncache/tarn/internal/policy"
)

// recent returns keys most of which come again soon or never, as the simplest arm likes them.
func recent(random *rand.Rand, n int) []uint32 {
	keys := make([]uint32, 0, n)
	for next := 1 << 20; len(keys) < n; {
		if back := int(random.ExpFloat64() * 800); random.Uint32N(10) < 7 && back < len(keys) {
			keys = append(keys, keys[len(keys)-1-back])
		} else {
			next++
			keys = append(keys, mix(next))
		}
	}
	return keys
}

// loop returns n keys that come again and again in the same order.
func loop(length, n int) []uint32 {
	keys := make([]uint32, n)
	for i := range keys {
		keys[i] = mix(i % length)
	}
	return keys
}

func (o *owner) ratio(keys []uint32) float64 {
	hits := 0
	for _, key := range keys {
		if o.get(key, 1) {
			hits++
		}
	}
	return float64(hits) / float64(len(keys))
}

func TestTheLabFollowsTheWorkload(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 6))
	phases := []struct {
		name    string
		keys    []uint32
		without float64 // hit ratio that the first arm stays below
		with    float64 // and the lab's choice reaches
	}{
		{"recency", recent(random, 100_000), 0.35, 0.52},
		{"a loop after it", loop(1000, 100_000), 1, 0.40},
		{"recency after the loop", recent(random, 100_000), 0.35, 0.50},
	}
	with := newOwner(t, 500, policy.Options{Choice: new(policy.Choice), Lab: true})
	without := newOwner(t, 500, policy.Options{Choice: new(policy.Choice)})
	for _, phase := range phases {
		off, on := without.ratio(phase.keys), with.ratio(phase.keys)
		t.Logf("%s: %.3f without the lab, %.3f with it", phase.name, off, on)
		if off > phase.without || on < phase.with {
			t.Errorf("%s: want at most %.2f without the lab, at least %.2f with it", phase.name, phase.without, phase.with)
		}
	}
}

func TestOtherPartsFollowTheLab(t *testing.T) {
	choice := new(policy.Choice)
	lab := newOwner(t, 500, policy.Options{Choice: choice, Lab: true})
	other := newOwner(t, 500, policy.Options{Choice: choice})
	alone := newOwner(t, 500, policy.Options{})
	keys := recent(rand.New(rand.NewPCG(7, 8)), 50_000)
	lab.ratio(keys)
	if choice.Arm() == 0 {
		t.Fatal("the lab chose nothing")
	}
	if follows, alone := other.ratio(keys), alone.ratio(keys); follows < alone+0.1 {
		t.Errorf("hit ratio %.3f of a part that follows, %.3f of one that is alone", follows, alone)
	}
}

func TestNoEntryIsWatchedThatEveryShadowHas(t *testing.T) {
	o := newOwner(t, 1000, policy.Options{Choice: new(policy.Choice), Lab: true})
	o.ratio(loop(900, 10_000))
	if len(o.watched) != 0 {
		t.Errorf("%d entries were watched, and all fit", len(o.watched))
	}
	o.ratio(recent(rand.New(rand.NewPCG(9, 9)), 20_000))
	watched := 0
	for _, on := range o.watched {
		if on {
			watched++
		}
	}
	if watched == 0 {
		t.Error("no entry is watched, and the shadows cannot all agree")
	}
}

func TestWhatIsGoneTakesNoRoomOfWhatIsThere(t *testing.T) {
	o := newOwner(t, 1000, policy.Options{Choice: new(policy.Choice), Lab: true})
	o.ratio(loop(900, 2000))
	for i := range 400 {
		o.remove(mix(i))
	}
	for i := range 100 {
		o.get(mix(1000+i), 1)
	}
	for hash, on := range o.watched {
		if on {
			t.Fatalf("entry %d is watched, though a shadow that has lost it had room", hash)
		}
	}
}

func TestAnInsertDoesBoundedWork(t *testing.T) {
	// Every entry is used so often that the hand would pass all of them, then the arm changes, entries expire in runs,
	// and new ones come.
	const limit, most = 20_000, 1000
	o := newOwner(t, limit, policy.Options{Choice: new(policy.Choice), Lab: true})
	check := func(what string, n int) {
		t.Helper()
		for i := range n {
			o.calls = 0
			o.get(mix(i), 1)
			if o.calls > most {
				t.Fatalf("%s: %d calls for one use", what, o.calls)
			}
		}
	}
	for range 16 {
		check("filling", limit)
	}
	check("flood over entries all of which were used", 3*limit)
	for _, key := range recent(rand.New(rand.NewPCG(9, 10)), 3*limit) {
		o.calls = 0
		o.get(key, 1)
		if o.calls > most {
			t.Fatalf("recency: %d calls for one use", o.calls)
		}
	}
	for hash := range o.at {
		if hash%16 > 0 {
			o.calls = 0
			if o.remove(hash); o.calls > 2 {
				t.Fatalf("%d calls for a removal", o.calls)
			}
		}
	}
	check("flood after removals", 3*limit)
	o.verify()
}

// FuzzPolicy lets the input drive a policy whose owner checks each call. Each operation is two bytes.
func FuzzPolicy(f *testing.F) {
	f.Add(byte(0), []byte{0, 1, 0, 2, 0, 3, 4, 1, 5, 2, 6, 3, 7, 9})
	f.Add(byte(3), []byte{0, 1, 0, 2, 8, 1, 0, 3, 9, 0, 0, 4, 4, 2})
	f.Fuzz(func(t *testing.T, kind byte, ops []byte) {
		options := policy.Options{Weighted: kind&1 != 0, Choice: new(policy.Choice), Lab: kind&2 != 0}
		o := newOwner(t, 8+uint64(kind>>2), options)
		for ; len(ops) >= 2; ops = ops[2:] {
			hash, weight := mix(int(ops[1])), uint64(1)
			if options.Weighted {
				weight = uint64(ops[1])%7 + uint64(ops[0]>>4)%2*3
			}
			switch ops[0] & 15 {
			case 0:
				o.remove(hash)
			case 1:
				o.reweigh(hash, weight)
			case 2:
				o.policy.EvictOne()
			case 3:
				o.policy.SetLimit(8 + uint64(ops[1]))
				for o.policy.Weight() > o.policy.Limit() && o.policy.EvictOne() {
				}
				o.policy.Shrink(int(ops[0] >> 4))
			case 4:
				if ops[1] == 0 {
					o.clear()
				}
			default:
				o.get(hash, weight)
			}
			if o.policy.Weight() > o.policy.Limit() && o.policy.Len() > 1 {
				t.Fatalf("the weight %d is above the limit %d", o.policy.Weight(), o.policy.Limit())
			}
		}
		o.verify()
	})
}
