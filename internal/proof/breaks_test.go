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
	for _, tt := range mechanisms {
		t.Run(tt.name+" off", func(t *testing.T) {
			t.Parallel()
			total.broken.Add(1)
			tr := tt.begin(t, db, server)
			tr.base.Break = tt.name
			tt.open(tr)
			for tr.round = 0; time.Since(tr.began) < patience; tr.round++ {
				tr.work(tt.work, tt.meanwhile(tr))
				for _, v := range tr.check() {
					if v.Kind == Past {
						t.Logf("caught after %d operations, %v: %v", tr.record.Operations(), time.Since(tr.began), v)
						total.caught.Add(1)
						tr.close()
						return
					}
				}
			}
			t.Errorf("with this switched off nothing is found in %d operations; errors: %v; events: %v (TARN_PROOF_SEED=%d)",
				tr.record.Operations(), tr.record.Errors, tr.record.Events, seed)
		})
		t.Run(tt.name+" on", func(t *testing.T) {
			t.Parallel()
			tr := tt.begin(t, db, server)
			tt.open(tr)
			tr.work(tt.work, tt.meanwhile(tr))
			tr.judge()
		})
	}
}

// patience is how long nodes work at most until something is found. It takes a second or two, and some of what has to
// happen is drawn: where the machine is eight times as slow, 18 seconds were seen.
const patience = 3 * time.Minute

// mechanism is a row: a way to work that a mechanism is for.
type mechanism struct {
	name  string
	open  func(t *trial)
	work  Work
	while func(t *trial) // while they work; nil: nothing happens
}

func (m *mechanism) begin(t *testing.T, db sourceOf, server *redistest.Server) *trial {
	tr := newTrial(t, db)
	tr.base.Redis.Addrs = []string{server.Addr()}
	tr.server = server
	tr.base.Caches = []string{"read-through"}
	return tr
}

func (m *mechanism) meanwhile(t *trial) func() {
	if m.while == nil {
		return nil
	}
	return func() { m.while(t) }
}

const short = 1200 * time.Millisecond

var mechanisms = []mechanism{
	{"leases", func(t *trial) {
		t.base.Pauses.Read = Pause{0.5, 20 * time.Millisecond}
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, nil},
	{"holds", func(t *trial) {
		// Settles are lost: only the hold, which ends by itself, cleans up behind the write.
		lossySettles(t)
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, nil},
	{"taint by writers", func(t *trial) {
		t.base.Caches = []string{"write-through"}
		t.base.Pauses.Commit = Pause{0.5, 20 * time.Millisecond}
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 2, Rest: 10 * time.Millisecond}, nil},
	{"taint by deletes", func(t *trial) {
		t.base.Pauses.Commit = Pause{0.5, 20 * time.Millisecond}
		t.openMixed("write-through", "read-through")
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 2, Rest: 10 * time.Millisecond}, nil},
	{"holds that outlast deletes", func(t *trial) {
		lossySettles(t)
		t.openMixed("write-around", "read-through")
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 10 * time.Millisecond}, nil},
	{"sharing", func(t *trial) {
		t.base.Pauses.Read = Pause{0.5, 20 * time.Millisecond}
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 3, Writers: 1, Rest: 10 * time.Millisecond}, nil},
	{"longest life", func(t *trial) {
		// One node holds for long, and waits before it commits; the other's holds are short.
		lossySettles(t)
		t.open(func(s *Setup) {
			s.Redis.Client, s.HoldLife, s.Pauses.Write = "goredis", time.Second, Pause{0.7, 80 * time.Millisecond}
		})
		t.open(func(s *Setup) { s.Redis.Client, s.HoldLife, s.Pauses = "rueidis", 10*time.Millisecond, Pauses{} })
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, nil},
	{"settle without its hold", func(t *trial) {
		t.base.HoldLife = 5 * time.Millisecond
		t.base.Pauses.Write = Pause{0.7, 40 * time.Millisecond}
		t.base.Caches = []string{"write-around"}
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 10 * time.Millisecond}, nil},
	{"the writer's own clock", func(t *trial) {
		lossySettles(t)
		t.base.Pauses.Write = Pause{0.7, 40 * time.Millisecond}
		t.base.Caches = []string{"write-around"}
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 10 * time.Millisecond}, nil},
	{"holds of others", func(t *trial) {
		// The holds of one node run out before it commits; the other's do not, and its settles are lost.
		lossySettles(t)
		t.open(func(s *Setup) {
			s.Redis.Client, s.HoldLife, s.Pauses.Write = "goredis", time.Second, Pause{0.7, 80 * time.Millisecond}
		})
		t.open(func(s *Setup) {
			s.Redis.Client, s.HoldLife, s.Losses = "rueidis", 5*time.Millisecond, nil
			s.Pauses = Pauses{Write: Pause{0.7, 40 * time.Millisecond}}
		})
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, nil},
	{"stamps of leases", func(t *trial) {
		t.base.Tags, t.base.Pauses.Read = true, Pause{0.5, 20 * time.Millisecond}
		t.openBoth()
	}, Work{For: short, Keys: 2, Readers: 2, Writers: 1, Tags: 1, Rest: 20 * time.Millisecond}, nil},
	{"tags on the bus", func(t *trial) {
		t.base.Tags = true
		openTiered(t)
	}, Work{For: short, Keys: 4, Readers: 1, Writers: 1, Tags: 1, Rest: 40 * time.Millisecond}, nil},
	{"generations at Clear", func(t *trial) {
		t.base.Caches = []string{"write-around"}
		t.openBoth()
	}, Work{For: short, Keys: 4, Readers: 2, Writers: 1, Clears: 0.5, Rest: 10 * time.Millisecond}, nil},
	{"generations at renewal", func(t *trial) {
		t.server = redistest.Start(t)
		t.base.Redis.Addrs = []string{t.server.Addr()}
		t.openBoth()
	}, Work{Keys: 32, Readers: 2, Writers: 1, Rest: 5 * time.Millisecond}, restoreSnapshot},
	{"publishing at the hold", func(t *trial) { openTiered(t) },
		Work{For: short, Keys: 4, Readers: 1, Writers: 1, Rest: 40 * time.Millisecond}, nil},
	{"lost", func(t *trial) {
		t.server = redistest.Start(t) // others have subscribers too
		t.base.Redis.Addrs = []string{t.server.Addr()}
		openTiered(t)
	}, Work{Keys: 16, Readers: 2, Writers: 1, Rest: 20 * time.Millisecond}, killSubscribers},
}

const beat = 60 * time.Millisecond

// openTiered opens two nodes with near stores.
func openTiered(t *trial) {
	t.base.Store, t.base.Caches, t.base.Heartbeat = "tiered", []string{"write-around"}, beat
	t.terms.Bound = 2 * beat
	t.openBoth()
	t.trusted()
}

// killSubscribers ends the connections on which changes are told, again and again.
func killSubscribers(t *trial) {
	for end := time.Now().Add(2 * short); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		t.server.Call("CLIENT", "KILL", "TYPE", "pubsub")
	}
}

// restoreSnapshot starts the server again with what it had half a second before. Until its script is called nobody can
// know.
func restoreSnapshot(t *trial) {
	time.Sleep(short / 2)
	snapshot := t.server.Snapshot()
	time.Sleep(short / 2)
	span := Span{From: Now()}
	t.server.RestartFrom(snapshot)
	t.called()
	span.To = Now()
	t.terms.Excepted = append(t.terms.Excepted, span)
	time.Sleep(short / 2)
}

// called calls the script from each node, until it answers.
func (t *trial) called() {
	t.Helper()
	for i, n := range t.nodes {
		var err error
		for end := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			if err = n.Call(); err == nil {
				break
			}
			if time.Now().After(end) {
				t.Fatalf("the script does not answer node %d: %v", i, err)
			}
		}
	}
}

// lossySettles loses most settles, and lets holds end soon enough to be seen doing so.
func lossySettles(t *trial) {
	t.base.Losses = map[string]Loss{"settle": {P: 0.7, What: LoseRequest}}
	t.base.HoldLife = 300 * time.Millisecond
	t.base.Caches = []string{"write-around"}
	t.base.Pauses = Pauses{Read: Pause{0.3, 5 * time.Millisecond}, Write: Pause{0.5, 30 * time.Millisecond}}
}

// openMixed opens two nodes with another strategy each.
func (t *trial) openMixed(strategies ...string) {
	for i, client := range []string{"goredis", "rueidis"} {
		t.open(func(s *Setup) { s.Redis.Client, s.Caches = client, []string{strategies[i]} })
	}
}
