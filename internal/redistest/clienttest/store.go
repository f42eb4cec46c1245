package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/ttl"
)

// unit is how short the lives are that storetest measures on real servers, several at once. Half of it is what an
// answer may be late.
const unit = 500 * time.Millisecond

// namespaces makes each store's namespace another.
var namespaces atomic.Int64

// Store runs storetest on stores on one server.
func Store(t *testing.T, dial Dial) { conformance(t, must(t, dial, to(redistest.Start(t))), "app") }

// conformance runs storetest on stores that speak through c, whose namespaces begin with prefix. It leaves a client
// alone that cannot name keys, as users' clients can.
func conformance(t *testing.T, c Client, prefix string) {
	if _, ok := c.(redisstore.KeyScanner); !ok {
		return
	}
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
		return redisstore.New(c, redisstore.Config[string, string]{
			Namespace:  fmt.Sprintf("%s-%d", prefix, namespaces.Add(1)),
			Partitions: 16, // each row has a namespace of its own, whose partitions begin by a command each
		})
	}, storetest.RealTime(unit), storetest.Beside(), storetest.Require(storetest.All&^storetest.Closer&^storetest.Hitter))
}

func newStore(c Client, namespace string) *redisstore.Store[string, string] {
	return redisstore.New(c, redisstore.Config[string, string]{
		Namespace: namespace, Heartbeat: 200 * time.Millisecond, HeartbeatTimeout: time.Second,
	})
}

// watched is what a watch has been told: keys that changed, "lost" and "current".
type watched struct{ told chan string }

func (w watched) Changed(keys []string) {
	for _, key := range keys {
		w.tell(key)
	}
}
func (w watched) Lost()            { w.tell("lost") }
func (w watched) Current(ttl.Time) { w.tell("current") }

func (w watched) tell(what string) {
	select {
	case w.told <- what:
	default: // a heartbeat more or less
	}
}

// until waits until the watch has been told of one of these, and returns it.
func (w watched) until(t *testing.T, words ...string) string {
	t.Helper()
	limit := time.After(patience) // heartbeats come all the while
	for {
		select {
		case got := <-w.told:
			if slices.Contains(words, got) {
				return got
			}
		case <-limit:
			t.Fatalf("not within %v: a watch is told of %q", patience, words)
		}
	}
}

// hears waits until the watch was told of a change by its key, where the connection may be lost once more meanwhile: then
// it has to say so, and the next change counts.
func (w watched) hears(t *testing.T, key string, change func() error) {
	t.Helper()
	for range 10 {
		eventually(t, "a change", change)
		if w.until(t, key, "lost") == key {
			return
		}
		w.until(t, "current")
	}
	t.Fatal("a watch loses its connection again and again")
}

// watch watches a store until the test ends.
func watch(t *testing.T, s *redisstore.Store[string, string]) watched {
	t.Helper()
	w := watched{make(chan string, 1000)}
	watcher, ok := tarn.As[tarn.Watcher[string]](tarn.Store[string, string](s))
	if !ok {
		t.Fatal("the store is no Watcher")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = watcher.Watch(ctx, w) // ends with the test
	}()
	t.Cleanup(func() {
		cancel()
		within(t, "the end of a watch", done)
	})
	w.until(t, "current")
	return w
}

// watching checks that a store is told of another's changes, and notices that it has lost its connection.
func watching(t *testing.T, s *redistest.Server, c Client) {
	here, there := newStore(c, "app-watched"), newStore(c, "app-watched")
	w := watch(t, here)
	w.hears(t, "a", func() error { return there.Delete(t.Context(), "a") })
	s.Call("CLIENT", "KILL", "TYPE", "pubsub")
	w.until(t, "lost")
	w.until(t, "current")
	w.hears(t, "b", func() error { return there.Delete(t.Context(), "b") })
}

// scriptFlush checks that a server that forgets its scripts makes no operation fail, and that no read gives less than
// what a write before it was said to have written. It forgets them four times, since an operation is tried anew as often:
// on a slow machine all may befall one.
func scriptFlush(t *testing.T, s *redistest.Server, c Client) {
	stop := load(t, newStore(c, "app-flushed"), true)
	for range 4 {
		time.Sleep(50 * time.Millisecond)
		s.Call("SCRIPT", "FLUSH")
	}
	stop()
}

// load sets, reads and deletes entries until the function that it returns is called. Where all is true, no operation
// may fail, and nothing that was acknowledged may be lost.
func load(t *testing.T, s *redisstore.Store[string, string], all bool) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			key := "key-" + strconv.Itoa(i)
			acked, tried := 0, 0
			check := func(what string, err error) bool {
				if err != nil && all && ctx.Err() == nil {
					t.Errorf("%s under load: %v", what, err)
				}
				return err == nil
			}
			for ctx.Err() == nil {
				tried++
				limited, done := context.WithTimeout(context.Background(), patience)
				if err := s.Set(limited, key, tarn.Entry[string]{Value: strconv.Itoa(tried)}); check("Set", err) {
					acked = tried
				}
				e, found, err := s.Get(limited, key)
				if n, _ := strconv.Atoi(e.Value); check("Get", err) && found && all && (n < acked || n > tried) {
					t.Errorf("read %d, written %d to %d", n, acked, tried)
				}
				if tried%5 == 0 && check("Delete", s.Delete(limited, key)) {
					if _, found, err := s.Get(limited, key); check("Get", err) && found && all {
						t.Error("found what was deleted")
					}
				}
				done()
			}
		})
	}
	return func() {
		cancel()
		wg.Wait()
	}
}
