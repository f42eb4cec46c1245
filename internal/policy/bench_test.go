package policy_test

import (
	"testing"

	"github.com/tarncache/tarn/internal/policy"
)

// steady has entries that are never used, and costs nothing: what is measured is the policy.
type steady struct{}

func (steady) Uses(uint32, policy.Place) uint32         { return 0 }
func (steady) Moved(uint32, policy.Place, policy.Place) {}
func (steady) Evict(uint32, policy.Place)               {}
func (steady) Watch(uint32, policy.Place, bool)         {}

func BenchmarkInsert(b *testing.B) {
	for _, bench := range []struct {
		name  string
		limit uint64
		lab   bool
	}{
		{"50000", 50_000, false},
		{"50000 and the lab", 50_000, true}, // one key in 32 is sampled
		{"1500 and the lab", 1500, true},    // all are
	} {
		b.Run(bench.name, func(b *testing.B) {
			p := policy.New(steady{}, policy.Options{Choice: new(policy.Choice), Lab: bench.lab})
			p.SetLimit(bench.limit)
			i := 0
			for range 3 * bench.limit {
				i++
				p.Insert(mix(i), 1)
			}
			b.ReportAllocs()
			for b.Loop() {
				i++
				p.Insert(mix(i), 1)
			}
		})
	}
}
