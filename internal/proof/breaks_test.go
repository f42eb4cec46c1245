package proof

import (
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
)

// TestEachMechanismIsNeeded switches each mechanism off, lets nodes work in a way that it is for, and wants reads that
// return to the past; with the mechanism there are none.
func TestEachMechanismIsNeeded(t *testing.T) {
	db := startPostgres(t)
	server := redistest.Start(t)
	for _, tt := range broken2 {
		for _, off := range []bool{true, false} {
			name := tt.name
			if !off {
				name += " is there"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				tr := newTrial(t, db)
				tr.base.Redis.Addrs = []string{server.Addr()}
				tr.base.Caches = []string{"read-through"}
				if off {
					tr.base.Break = tt.name
				}
				tt.run(tr, server)
				if !off {
					tr.judge()
					return
				}
				total.broken.Add(1)
				found := tr.violations()
				t.Logf("%d violations in %d operations, errors: %v; events: %v", len(found), tr.record.Operations(), tr.record.Errors, tr.record.Events)
				for _, v := range found {
					if v.Kind == Past {
						t.Logf("caught: %v", v)
						total.caught.Add(1)
						return
					}
				}
				t.Errorf("with this switched off nothing is found (TARN_PROOF_SEED=%d)", seed)
			})
		}
	}
}

const short = 1200 * time.Millisecond

var broken2 = []struct {
	name string
	run  func(t *trial, server *redistest.Server)
}{
	{"leases", func(t *trial, s *redistest.Server) {
		t.base.Pauses.Read = Pause{0.5, 20 * time.Millisecond}
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, nil)
	}},
	{"holds", func(t *trial, s *redistest.Server) {
		// Settles are lost: only the hold, which ends by itself, cleans up behind the write.
		lossySettles(t)
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, nil)
	}},
	{"taint by writers", func(t *trial, s *redistest.Server) {
		t.base.Caches = []string{"write-through"}
		t.base.Pauses.Commit = Pause{0.5, 20 * time.Millisecond}
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 2, Rest: 10 * time.Millisecond}, nil)
	}},
	{"taint by deletes", func(t *trial, s *redistest.Server) {
		t.base.Pauses.Commit = Pause{0.5, 20 * time.Millisecond}
		t.openMixed(s, "write-through", "read-through")
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 2, Rest: 10 * time.Millisecond}, nil)
	}},
	{"holds that outlast deletes", func(t *trial, s *redistest.Server) {
		lossySettles(t)
		t.openMixed(s, "write-around", "read-through")
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 10 * time.Millisecond}, nil)
	}},
	{"sharing", func(t *trial, s *redistest.Server) {
		t.base.Pauses.Read = Pause{0.5, 20 * time.Millisecond}
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 2, Readers: 3, Writers: 1, Rest: 10 * time.Millisecond}, nil)
	}},
	{"longest life", func(t *trial, s *redistest.Server) {
		lossySettles(t)
		t.base.Pauses.Write = Pause{0.7, 80 * time.Millisecond}
		t.base.Caches = []string{"write-around"}
		t.base.HoldLife = 400 * time.Millisecond
		t.open(func(s *Setup) { s.Redis.Client = "goredis" })
		t.open(func(s *Setup) { s.Redis.Client, s.HoldLife = "rueidis", 5*time.Millisecond })
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 2, Rest: 10 * time.Millisecond}, nil)
	}},
	{"settle without its hold", func(t *trial, s *redistest.Server) {
		t.base.HoldLife = 5 * time.Millisecond
		t.base.Pauses.Write = Pause{0.7, 40 * time.Millisecond}
		t.base.Caches = []string{"write-around"}
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 10 * time.Millisecond}, nil)
	}},
	{"the writer's own clock", func(t *trial, s *redistest.Server) {
		lossySettles(t)
		t.base.Pauses.Write = Pause{0.7, 40 * time.Millisecond}
		t.base.Caches = []string{"write-around"}
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 10 * time.Millisecond}, nil)
	}},
	{"generations", func(t *trial, s *redistest.Server) {
		t.base.Caches = []string{"write-around"}
		t.openBoth(s.Addr())
		t.work(Work{For: short, Keys: 4, Readers: 2, Writers: 1, Clears: 0.5, Rest: 10 * time.Millisecond}, nil)
	}},
}

// lossySettles loses most settles, and lets holds end soon enough to be seen doing so.
func lossySettles(t *trial) {
	t.base.Losses = map[string]Loss{"settle": {P: 0.7, What: LoseRequest}}
	t.base.HoldLife = 300 * time.Millisecond
	t.base.Caches = []string{"write-around"}
	t.base.Pauses = Pauses{Read: Pause{0.3, 5 * time.Millisecond}, Write: Pause{0.5, 30 * time.Millisecond}}
}

// openMixed opens two nodes with another strategy each.
func (t *trial) openMixed(s *redistest.Server, strategies ...string) {
	for i, client := range []string{"goredis", "rueidis"} {
		t.open(func(s *Setup) { s.Redis.Client, s.Caches = client, []string{strategies[i]} })
	}
}
