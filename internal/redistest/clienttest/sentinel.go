package clienttest

import (
	"errors"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
)

// Sentinel checks that a client of the master that sentinels name goes on with the next one after a failover, and
// that its subscriptions end or go on, but never are silent.
func Sentinel(t *testing.T, dial Dial) {
	s := redistest.StartSentinels(t)
	c := must(t, dial, To{Addrs: s.Addrs(), MasterName: redistest.MasterName})
	if c.Sharded() {
		t.Error("a master with replicas is no cluster")
	}
	if got := call(t.Context(), c, "SET", "k", "before"); got.Err != nil {
		t.Fatal(got.Err)
	}
	l := listen(t, c, "ch")
	l.stands(t)
	w := watch(t, newStore(c, "app-watched"))
	stop := load(t, newStore(c, "app-loaded"), false)
	master := s.Failover()
	stop()
	eventually(t, "a write after the failover", func() error { return call(t.Context(), c, "SET", "k", "after").Err })
	if got := master.Call("GET", "k"); !same(got, text("after")) {
		t.Errorf("the new master has not what was written after the failover: %s", short(got))
	}
	if got := call(t.Context(), c, "GET", "k"); !same(got, text("after")) {
		t.Errorf("what was written after the failover: %s", short(got))
	}
	eventually(t, "a subscription that hears or ends", func() error {
		master.Call("PUBLISH", "ch", "m")
		select {
		case <-l.messages:
		case <-l.ended:
		case <-time.After(20 * time.Millisecond):
			return errors.New("it does neither")
		}
		return nil
	})
	again := listen(t, c, "ch")
	again.stands(t)
	master.Call("PUBLISH", "ch", "again")
	within(t, "a message of the new master", again.messages)

	eventually(t, "a change after the failover", func() error {
		return newStore(c, "app-watched").Delete(t.Context(), "a")
	})
	w.until(t, "lost")
	w.until(t, "current")
	w.hears(t, "b", func() error { return newStore(c, "app-watched").Delete(t.Context(), "b") })
	t.Run("store", func(t *testing.T) { conformance(t, c, "app") })
}
