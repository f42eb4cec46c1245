package proof

import (
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
)

// TestFailback fails over to another server and back to the first, which has not heard of what was acknowledged last. A
// server that was a master before knows the script still, so nobody notices: what it brings back stays until it expires
// or is written. That is not promised to be otherwise; an operator who knows clears the store, and then all is well.
func TestFailback(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, startPostgres(t))
	s := redistest.StartSentinels(t)
	tr.base.Redis.Addrs, tr.base.Redis.Master = s.Addrs(), redistest.MasterName
	tr.base.Redis.Timeout = 500 * time.Millisecond
	tr.base.Caches = []string{"write-around"}
	tr.openBoth()
	work := Work{For: short / 2, Keys: 64, Readers: 2, Writers: 1, Rest: 3 * time.Millisecond}
	tr.work(work, nil)

	first, span := s.Master(), Span{From: Now()}
	second := s.Failover()
	tr.called()
	span.To = Now()
	tr.terms.Excepted = append(tr.terms.Excepted, span)
	tr.work(work, nil)
	s.Await()
	for _, server := range s.Servers() {
		if server != first && server != second {
			server.Kill()
		}
	}
	first.Call("CONFIG", "SET", "masterauth", "another")
	second.Call("CLIENT", "KILL", "TYPE", "replica")
	tr.work(work, nil) // of which the first master does not hear

	span = Span{From: Now()}
	second.Kill()
	s.AwaitMaster(second)
	tr.called()
	tr.work(Work{Keys: work.Keys, Once: true}, nil)
	if err := tr.nodes[0].Clear(); err != nil {
		t.Fatal(err)
	}
	span.To = Now()
	tr.terms.Excepted = append(tr.terms.Excepted, span)
	tr.work(Work{Keys: work.Keys, Once: true}, nil)
	tr.judge()
}
