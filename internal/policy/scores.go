package policy

import "math"

// scores tell which arm is best, by the uses of keys on which the shadows disagreed. An arm takes over if it leads the
// present one by more than chance explains: by some standard deviations of their disagreements, in the long run or,
// with more of them, in the short run.
type scores struct {
	long   tally
	short  tally
	time   int // uses since the last look, as far as they are known
	chosen int
}

const (
	longRun   = 20 // uses after which the past counts a third, in capacities
	shortRun  = 2
	longSure  = 3 // standard deviations
	shortSure = 4
	longLooks = 3 // in a row
	shortOnce = 1
	shortLead = 0.03 // by which an arm has to lead besides, in capacities of uses: changing arms costs some hits
	looks     = 10   // per capacity of uses
)

// tally counts uses by which shadows had the key. What is past fades.
type tally struct {
	uses  [1 << armCount]float32
	ahead [armCount]uint8 // looks in a row in which the arm led
}

func (s *scores) forget() { s.long, s.short, s.time = tally{}, tally{}, 0 }

// pass tells of uses of keys that all shadows have.
func (s *scores) pass(uses uint32) { s.time += int(uses) }

// count tells of a use of a key that these shadows had, and takes a look when it is time to.
func (s *scores) count(had uint8, uses int, l *lab) {
	s.long.uses[had]++
	s.short.uses[had]++
	if s.time += uses; s.time*looks < l.capacity || s.time < 8 {
		return
	}
	best := s.long.leader(s.chosen, longSure, longLooks, 0)
	if best == s.chosen {
		best = s.short.leader(s.chosen, shortSure, shortOnce, shortLead*float64(l.capacity))
	}
	span := float64(s.time) / float64(l.capacity)
	s.time = 0
	s.long.fade(math.Exp(-span / longRun))
	s.short.fade(math.Exp(-span / shortRun))
	if best != s.chosen {
		s.chosen = best
		s.long.ahead, s.short.ahead = [armCount]uint8{}, [armCount]uint8{}
		l.policy.choice.arm.Store(uint32(best))
	}
}

// leader returns the arm that leads the present one most, or that itself.
func (t *tally) leader(present int, sure float64, looks uint8, least float64) int {
	best, most := present, 0.0
	for i := range armCount {
		if i == present {
			continue
		}
		lead, disagreed := t.compare(i, present)
		if lead <= sure*math.Sqrt(disagreed)+2+least {
			t.ahead[i] = 0
			continue
		}
		if t.ahead[i] < looks {
			t.ahead[i]++
		}
		if t.ahead[i] >= looks && lead > most {
			best, most = i, lead
		}
	}
	return best
}

// compare returns how many more uses one arm had the key for than another, and on how many they disagreed.
func (t *tally) compare(one, other int) (lead, disagreed float64) {
	for had, uses := range t.uses {
		if diff := had>>one&1 - had>>other&1; diff != 0 {
			lead += float64(diff) * float64(uses)
			disagreed += float64(uses)
		}
	}
	return lead, disagreed
}

func (t *tally) fade(by float64) {
	for i := range t.uses {
		t.uses[i] *= float32(by)
	}
}
