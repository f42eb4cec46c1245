package policy

import "testing"

// owned is a cache of hashes.
type owned struct {
	policy *Policy
	at     map[uint32]Place
	uses   map[uint32]uint32
}

func newOwned(limit uint64) *owned {
	o := &owned{at: map[uint32]Place{}, uses: map[uint32]uint32{}}
	o.policy = New(o, Options{Choice: new(Choice), Lab: true})
	o.policy.SetLimit(limit)
	return o
}

func (o *owned) Uses(hash uint32, _ Place) uint32 {
	defer delete(o.uses, hash)
	return o.uses[hash]
}

func (o *owned) Moved(hash uint32, _, to Place) { o.at[hash] = to }
func (o *owned) Evict(hash uint32, _ Place)     { delete(o.at, hash) }
func (o *owned) Watch(uint32, Place, bool)      {}

func (o *owned) insert(hash, uses uint32) {
	o.at[hash] = o.policy.Insert(hash, 1)
	o.uses[hash] = uses
}

// hashOf spreads small numbers over the hashes.
func hashOf(i int) uint32 { return uint32(i) * 0x9E3779B1 & hashMask }

// What was deleted leaves the shadows before all others, however often it was used.
func TestWhatIsGoneLeavesTheShadows(t *testing.T) {
	const limit = 100
	o := newOwned(limit)
	for i := range limit {
		o.insert(hashOf(i), 10)
	}
	for i := range limit {
		o.insert(hashOf(limit+i), 10) // the uses of all are told
	}
	deleted := 0
	for i := range 2 * limit {
		hash := hashOf(i)
		if at, ok := o.at[hash]; ok {
			delete(o.at, hash)
			o.policy.Remove(at)
			deleted++
		}
	}
	if gone := o.policy.lab.cells.gone; gone != deleted {
		t.Fatalf("%d of %d are gone", gone, deleted)
	}
	for i := range 5 * limit {
		o.insert(hashOf(1000+i), 0)
	}
	var left [armCount]int
	for _, c := range o.policy.lab.cells.of {
		for arm := range left {
			if c.flags&gone != 0 && c.has>>arm&1 != 0 {
				left[arm]++
			}
		}
	}
	for arm, n := range left {
		if n > 0 && (arms[arm].duels || arms[arm].promote == 0) { // else what is used once puts nothing out
			t.Errorf("of %d that are gone shadow %d has %d", deleted, arm, n)
		}
	}
}

// inFirst reports whether the first shadow has a key.
func (o *owned) inFirst(hash uint32) bool {
	l := o.policy.lab
	n := l.cells.find(hash)
	return n != 0 && l.cells.of[n].has&1 != 0
}

// What leads straight to the policy's main queue does so in the shadows, also if its uses decide earlier there, since the
// policy goes by an arm with a larger window.
func TestShadowsPromote(t *testing.T) {
	for arm := range 2 {
		const limit = 200
		o := newOwned(limit)
		o.policy.lab.scores.chosen = arm
		o.policy.choice.arm.Store(uint32(arm))
		for i := range limit {
			o.insert(hashOf(i), 5) // not so many that the sketch would halve them
		}
		for uses := range uint32(4) {
			key := hashOf(1000 + 100*int(uses))
			o.insert(key, uses)
			for i := range 50 {
				o.insert(hashOf(1001+100*int(uses)+i), 0)
			}
			if got := o.inFirst(key); got != (uses >= 2) {
				t.Errorf("arm %d: used %d times in the window: the first shadow has it: %v", arm, uses, got)
			}
		}
	}
}

// A shadow puts out what was not used, though nobody has asked for the uses of the others yet.
func TestShadowsAskForUses(t *testing.T) {
	const limit = 200
	o := newOwned(limit)
	o.policy.lab.scores.chosen = 1
	o.policy.choice.arm.Store(1)
	for i := range limit {
		o.insert(hashOf(i), uint32(i%2)*10)
	}
	for i := range 50 {
		o.insert(hashOf(1000+i), 5)
	}
	lost := 0
	for i := range limit {
		if i%2 > 0 && !o.inFirst(hashOf(i)) {
			lost++
		}
	}
	if lost > 0 {
		t.Errorf("the first shadow has lost %d of %d that were used", lost, limit/2)
	}
}

func TestScores(t *testing.T) {
	const capacity, first, second = 1000, 1 << 0, 1 << 1 // bits of arms
	little := func(use int) uint8 {
		switch use % 50 {
		case 0, 10, 20:
			return second
		case 30, 40:
			return first
		}
		return allArms
	}
	for _, row := range []struct {
		name   string
		before uint8               // which arms had what was used in a hundred capacities of uses
		after  func(use int) uint8 // and then
		least  int                 // uses until the second arm is chosen
		most   int
	}{
		{"what is clear in the short run, against the long run", first, func(int) uint8 { return second }, 1000, 3000},
		{"what is little, but goes on", allArms, little, 2000, 10_000},
		{"what is little, and is over soon", allArms, func(use int) uint8 {
			if use < 500 {
				return little(use)
			}
			return allArms
		}, 200_000, 200_000},
		{"what is little, against what was long ago", first, little, 50_000, 150_000},
		{"what is chance", allArms, func(use int) uint8 { return []uint8{first, second}[use%2] }, 200_000, 200_000},
	} {
		t.Run(row.name, func(t *testing.T) {
			l := &lab{policy: &Policy{choice: new(Choice)}, capacity: capacity}
			for range 100 * capacity {
				l.scores.count(row.before, 1, l)
			}
			uses := 0
			for ; uses < 200*capacity && l.policy.choice.Arm() == 0; uses++ {
				l.scores.count(row.after(uses), 1, l)
			}
			if uses < row.least || uses > row.most {
				t.Errorf("arm %d after %d uses, want %d to %d", l.policy.choice.Arm(), uses, row.least, row.most)
			}
		})
	}
}

// A lead that chance does not explain counts in the short run only if it makes up for what a change costs.
func TestAShortLeadHasToBeWorthAChange(t *testing.T) {
	const capacity, first, second = 1000, 1 << 0, 1 << 1 // bits of arms
	for _, row := range []struct {
		lead   int // uses that the second arm alone had, before the next look
		chosen int
	}{
		{25, 0}, // more than four standard deviations and two, less than 0.03 capacities besides
		{70, 1},
	} {
		l := &lab{policy: &Policy{choice: new(Choice)}, capacity: capacity}
		for range 100 * capacity {
			l.scores.count(first, 1, l) // so that the long run decides nothing
		}
		l.scores.short = tally{}
		for use := range capacity / looks { // later the long run has its way
			had := uint8(allArms)
			if use < row.lead {
				had = second
			}
			l.scores.count(had, 1, l)
		}
		if got := l.policy.choice.Arm(); got != row.chosen {
			t.Errorf("a lead of %d uses: arm %d, want %d", row.lead, got, row.chosen)
		}
	}
}

// What is no longer in the sample leaves the shadows before all others: nobody says when it is used.
func TestWhatIsNotInTheSampleLeavesTheShadows(t *testing.T) {
	const limit, most = 4 * maxShadow, maxShadow * 5 / 4
	o := newOwned(limit)
	for i := range maxShadow {
		o.insert(hashOf(i), 10)
	}
	l := o.policy.lab
	outside := func() (n [armCount]int) {
		for _, c := range l.cells.of[1:] {
			for arm := range n {
				if c.has>>arm&1 != 0 && !l.samples(c.hash) {
					n[arm]++
				}
			}
		}
		return n
	}
	i := maxShadow
	for ; l.rate == 0; i++ {
		o.insert(hashOf(i), 10)
	}
	before := outside()
	for sampled := 0; sampled < most; i++ {
		if o.insert(hashOf(i), 10); l.samples(hashOf(i)) {
			sampled++
		}
	}
	after := outside()
	t.Logf("rate %d: %v cells outside, then %v", l.rate, before, after)
	for arm := range before {
		if before[arm] < maxShadow/4 {
			t.Fatalf("shadow %d has %d cells outside the sample, too few to tell", arm, before[arm])
		}
		if after[arm] > before[arm]/20 {
			t.Errorf("of %d keys outside the sample shadow %d still has %d", before[arm], arm, after[arm])
		}
	}
}
