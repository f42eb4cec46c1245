package policy_test

import (
	"math/rand/v2"
	"testing"

	"github.com/tarncache/tarn/internal/policy"
)

// owner is a cache of hashes that checks what the policy tells it.
type owner struct {
	t       testing.TB
	policy  *policy.Policy
	at      map[uint32]policy.Place
	weight  map[uint32]uint64
	uses    map[uint32]uint32
	watched map[uint32]bool
	evicted int
	fresh   uint32 // what is being inserted, which must not be evicted
	calls   int
}

const none = ^uint32(0) // no hash

func newOwner(t testing.TB, limit uint64, options policy.Options) *owner {
	o := &owner{t: t, at: map[uint32]policy.Place{}, weight: map[uint32]uint64{}, uses: map[uint32]uint32{},
		watched: map[uint32]bool{}, fresh: none}
	o.policy = policy.New(o, options)
	o.policy.SetLimit(limit)
	return o
}

func (o *owner) Uses(hash uint32, at policy.Place) uint32 {
	o.calls++
	o.check(hash, at)
	uses := o.uses[hash]
	o.uses[hash] = 0
	return uses
}

func (o *owner) Moved(hash uint32, from, to policy.Place) {
	o.calls++
	o.check(hash, from)
	o.at[hash] = to
}

func (o *owner) Evict(hash uint32, at policy.Place) {
	o.calls++
	o.check(hash, at)
	o.forget(hash)
	o.evicted++
}

func (o *owner) Watch(hash uint32, at policy.Place, on bool) {
	o.calls++
	o.check(hash, at)
	o.watched[hash] = on
}

func (o *owner) check(hash uint32, at policy.Place) {
	if want, ok := o.at[hash]; !ok || want != at || hash == o.fresh {
		o.t.Fatalf("entry %d is said to be at %x, and is at %x (there: %v)", hash, at, want, ok)
	}
}

func (o *owner) forget(hash uint32) {
	delete(o.at, hash)
	delete(o.weight, hash)
	delete(o.uses, hash)
	delete(o.watched, hash)
}

// get uses or inserts an entry and reports whether it was there.
func (o *owner) get(hash uint32, weight uint64) bool {
	if _, ok := o.at[hash]; ok {
		o.uses[hash] = min(o.uses[hash]+1, 15)
		if o.watched[hash] {
			o.policy.Used(hash, o.at[hash])
		}
		return true
	}
	o.fresh = hash
	o.at[hash] = 0
	o.weight[hash] = weight
	o.at[hash] = o.policy.Insert(hash, weight)
	o.fresh = none
	return false
}

func (o *owner) remove(hash uint32) {
	if at, ok := o.at[hash]; ok {
		o.forget(hash)
		o.policy.Remove(at)
	}
}

func (o *owner) reweigh(hash uint32, weight uint64) {
	if at, ok := o.at[hash]; ok {
		o.fresh = hash
		o.at[hash] = 0
		o.weight[hash] = weight
		o.at[hash] = o.policy.Reweigh(at, hash, weight)
		o.fresh = none
	}
}

func (o *owner) clear() {
	o.policy.Clear()
	clear(o.at)
	clear(o.weight)
	clear(o.uses)
	clear(o.watched)
}

// verify compares the policy with what the owner has.
func (o *owner) verify() {
	o.t.Helper()
	if o.policy.Len() != len(o.at) {
		o.t.Fatalf("Len is %d with %d entries", o.policy.Len(), len(o.at))
	}
	var weight uint64
	places := make(map[policy.Place]bool, len(o.at))
	for hash, at := range o.at {
		weight += o.weight[hash]
		if at == 0 || places[at] {
			o.t.Fatalf("entry %d is at %x, as another is", hash, at)
		}
		places[at] = true
	}
	if o.policy.Weight() != weight {
		o.t.Fatalf("Weight is %d, and the entries weigh %d", o.policy.Weight(), weight)
	}
}

func TestQueuesAgreeWithTheOwner(t *testing.T) {
	for _, options := range []policy.Options{
		{},
		{Weighted: true},
		{Choice: new(policy.Choice), Lab: true},
		{Choice: new(policy.Choice), Lab: true, Weighted: true},
	} {
		random := rand.New(rand.NewPCG(1, 2))
		o := newOwner(t, 100, options)
		weigh := func() uint64 {
			if options.Weighted {
				return random.Uint64N(20)
			}
			return 1
		}
		for step := range 200_000 {
			hash := random.Uint32N(400)
			switch random.Uint32N(20) {
			case 0, 1:
				o.remove(hash)
			case 2:
				o.reweigh(hash, weigh())
			case 3:
				if random.Uint32N(20) == 0 {
					o.policy.EvictOne()
				}
			case 4:
				if random.Uint32N(1000) == 0 {
					o.policy.SetLimit(20 + random.Uint64N(500))
					for o.policy.Weight() > o.policy.Limit() && o.policy.EvictOne() {
					}
					o.policy.Shrink(0)
				}
			case 5:
				if random.Uint32N(5000) == 0 {
					o.clear()
				}
			default:
				o.get(hash, weigh())
			}
			if o.policy.Weight() > o.policy.Limit() {
				t.Fatalf("step %d: the weight %d is above the limit %d", step, o.policy.Weight(), o.policy.Limit())
			}
			if step%100 == 0 {
				o.verify()
			}
		}
	}
}

// mix spreads small numbers over the hashes.
func mix(i int) uint32 { return uint32(i) * 0x9E3779B1 & (1<<policy.HashBits - 1) }

func TestALoopLargerThanTheLimitHits(t *testing.T) {
	o := newOwner(t, 1000, policy.Options{})
	hits := 0
	for i := range 100 * 1100 {
		if o.get(mix(i%1100), 1) {
			hits++
		}
	}
	if ratio := float64(hits) / (100 * 1100); ratio < 0.8 {
		t.Errorf("hit ratio %.3f on a loop of 1100 over 1000 entries", ratio)
	}
}

func TestAScanDoesNotWashOutWhatIsUsed(t *testing.T) {
	o := newOwner(t, 1000, policy.Options{})
	for range 10 {
		for i := range 500 {
			o.get(mix(i), 1)
		}
	}
	for i := range 20_000 {
		o.get(mix(1000+i), 1)
	}
	hits := 0
	for i := range 500 {
		if o.get(mix(i), 1) {
			hits++
		}
	}
	if hits < 490 {
		t.Errorf("after a scan %d of 500 entries are left", hits)
	}
}

// What is used again while it is new stays, though all that is there was used more often.
func TestUsesInTheWindowLeadStraightToTheMainQueue(t *testing.T) {
	o := newOwner(t, 1000, policy.Options{})
	for i := range 8 * 1000 { // the sketch is told of every one
		o.remove(mix(i % 1000))
		o.get(mix(i%1000), 1)
	}
	for uses := range 4 {
		key := mix(1000 + 100*uses)
		for range 1 + uses {
			o.get(key, 1)
		}
		for i := range 50 {
			o.get(mix(1001+100*uses+i), 1)
		}
		if _, stays := o.at[key]; stays != (uses >= 2) {
			t.Errorf("used %d times in the window: stays: %v", uses, stays)
		}
	}
}

func TestInsertAllocatesNothingAtTheLimit(t *testing.T) {
	p := policy.New(steady{}, policy.Options{Choice: new(policy.Choice), Lab: true})
	p.SetLimit(10_000)
	i := 0
	for ; i < 30_000; i++ {
		p.Insert(mix(i), 1)
	}
	if n := testing.AllocsPerRun(100_000, func() { i++; p.Insert(mix(i), 1) }); n != 0 {
		t.Errorf("%v allocations per Insert", n)
	}
}

func TestTheSampleFollowsTheSize(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	o := newOwner(t, 100, policy.Options{Choice: new(policy.Choice), Lab: true})
	for round := range 12 {
		o.policy.SetLimit([]uint64{20_000, 100, 5000, 9000}[round%4])
		for o.policy.Weight() > o.policy.Limit() {
			o.policy.EvictOne()
		}
		for range 40_000 {
			if hash := mix(int(random.Uint32N(30_000))); random.Uint32N(50) > 0 {
				o.get(hash, 1)
			} else {
				o.remove(hash)
			}
		}
		o.verify()
	}
}
