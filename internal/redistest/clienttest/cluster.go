package clienttest

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// Cluster checks batches that go to many nodes, redirections, and the loss of a master.
func Cluster(t *testing.T, dial Dial) {
	s := redistest.StartCluster(t)
	c := must(t, dial, To{Addrs: s.Addrs(), Cluster: true})
	if !c.Sharded() {
		t.Fatal("a cluster is sharded")
	}
	t.Run("batches", func(t *testing.T) { batches(t, c) })
	t.Run("scan", func(t *testing.T) { scan(t, c) })
	t.Run("messages of all nodes", func(t *testing.T) {
		l := listen(t, c, "ch")
		l.stands(t)
		for _, master := range s.Masters() {
			master.Call("PUBLISH", "ch", master.Addr())
			if got := within(t, "a message", l.messages); got != master.Addr() {
				t.Errorf("a message of %s is %q", master.Addr(), got)
			}
		}
	})
	t.Run("a slot on its way", func(t *testing.T) { halfMoved(t, s, c) })
	t.Run("slots that move under load", func(t *testing.T) {
		slot := redistest.Slot(inPartition(1, "k"))
		underLoad(t, c, 1, true, func() {
			for i := range 4 {
				masters := s.Masters()
				if to := masters[i%len(masters)]; to != s.Owner(slot) {
					s.MoveSlot(slot, to)
				}
			}
		})
	})
	t.Run("failover under load", func(t *testing.T) {
		stop := load(t, newStore(c, "app-loaded"), false)
		underLoad(t, c, 1, false, func() { s.Failover(redistest.Slot(inPartition(1, "k"))) })
		stop()
	})
	t.Run("store", func(t *testing.T) { conformance(t, c, "app") })
}

func inPartition(p int, key string) string { return fmt.Sprintf("{app:%d}%s", p, key) }

// batches sends commands for all nodes at once.
func batches(t *testing.T, c Client) {
	ctx := t.Context()
	const partitions = 100
	var sets, reads []redisstore.Command
	for p := range partitions {
		a, b := inPartition(p, "a"), inPartition(p, "b")
		sets = append(sets, command("SET", a, strconv.Itoa(p)), command("SET", b, "b"))
		reads = append(reads, command("GET", a),
			redisstore.Command{Words: []string{"MGET"}, Keys: []string{a, b, inPartition(p, "absent")}},
			redisstore.Command{
				Words: []string{"EVAL", "return redis.call('GET', KEYS[1]) .. redis.call('GET', KEYS[2]) .. ARGV[1]", "2"},
				Keys:  []string{a, b}, Args: []string{"!"},
			})
	}
	for i, got := range do(ctx, c, sets...) {
		if !same(got, text("OK")) {
			t.Fatalf("a write in partition %d: %s", i/2, short(got))
		}
	}
	for i, got := range do(ctx, c, reads...) {
		n := strconv.Itoa(i / 3)
		want := []redisstore.Reply{text(n), array(text(n), text("b"), redisstore.Reply{}), text(n + "b!")}[i%3]
		if !same(got, want) {
			t.Errorf("%s in partition %s: %s", reads[i].Words[0], n, short(got))
		}
		if got := do(ctx, c, reads[i])[0]; !same(got, want) {
			t.Errorf("%s alone in partition %s: %s", reads[i].Words[0], n, short(got))
		}
	}
}

// halfMoved reads and writes while some keys of a slot are at one node and some at another, which is what ASK is for.
func halfMoved(t *testing.T, s *redistest.Cluster, c Client) {
	ctx := t.Context()
	slot := redistest.Slot(inPartition(2, "k"))
	var sets, gets []redisstore.Command
	for i := range 20 {
		key := inPartition(2, strconv.Itoa(i))
		sets, gets = append(sets, command("SET", key, "v")), append(gets, command("GET", key))
	}
	do(ctx, c, sets...)
	from := s.Owner(slot)
	for _, to := range s.Masters() {
		if to == from {
			continue
		}
		m := s.BeginMove(slot, to)
		if m.Keys(10) != 10 {
			t.Fatal("ten keys should have moved")
		}
		for i, got := range do(ctx, c, gets...) {
			if !same(got, text("v")) {
				t.Errorf("key %d of a slot on its way: %s", i, short(got))
			}
			if got := do(ctx, c, gets[i])[0]; !same(got, text("v")) {
				t.Errorf("key %d of a slot on its way, alone: %s", i, short(got))
			}
		}
		if got := call(ctx, c, "SET", inPartition(2, "new"), "v"); !same(got, text("OK")) {
			t.Errorf("a new key in a slot on its way: %s", short(got))
		}
		m.Keys(-1)
		m.End()
		break
	}
	for i, got := range do(ctx, c, append(gets, command("GET", inPartition(2, "new")))...) {
		if !same(got, text("v")) {
			t.Errorf("key %d of a slot that has moved: %s", i, short(got))
		}
	}
}

// underLoad writes keys of a partition and reads them back, one by one, in batches and by a script with two keys,
// while change runs. No read may give less than what a write before it was said to have written. Where always is true
// somebody has the slot at all times; then little may fail, and only because a client has given up following it.
func underLoad(t *testing.T, c Client, partition int, always bool, change func()) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var wg sync.WaitGroup
	var rounds, failures atomic.Int64
	for i := range 8 {
		wg.Go(func() {
			w := writer{c: c, key: inPartition(partition, "w"+strconv.Itoa(i)), record: inPartition(partition, "r")}
			for ctx.Err() == nil {
				rounds.Add(1)
				err := w.round()
				if err == nil {
					continue
				}
				if failures.Add(1) == 1 {
					t.Logf("the first failure: %v", err)
				}
				if code, _, _ := strings.Cut(err.Error(), " "); always && !slices.Contains(redirections, code) {
					t.Errorf("under load: %v", err)
				}
			}
			if w.wrong != "" {
				t.Error(w.wrong)
			}
		})
	}
	change()
	time.Sleep(100 * time.Millisecond) // of load with nothing going on
	for end := time.Now().Add(patience); rounds.Load() < fewRounds && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	cancel()
	wg.Wait()
	t.Logf("%d rounds, %d failures", rounds.Load(), failures.Load())
	if always && failures.Load() > fewRounds/20+rounds.Load()/20 {
		t.Errorf("%d of %d rounds failed", failures.Load(), rounds.Load())
	}
	for i := range 8 {
		key := inPartition(partition, "w"+strconv.Itoa(i))
		eventually(t, "writes after the change", func() error { return call(t.Context(), c, "SET", key, "0").Err })
	}
}

// fewRounds is how many rounds there are at least of a load. A client that does not follow a slot fails in most of
// those that come after it has moved, and one that does in some of those that come while it moves.
const fewRounds = 400

// redirections are the codes of errors that a client has to follow, or to try again, but not for ever.
var redirections = []string{"MOVED", "ASK", "TRYAGAIN"}

// writer is the only one to write its key.
type writer struct {
	c           Client
	key, record string
	acked, last int
	wrong       string
}

// round writes the next number, and reads it back. An error says that something was not done, or not known to be.
func (w *writer) round() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	w.last++
	var replies []redisstore.Reply
	switch set := command("SET", w.key, strconv.Itoa(w.last)); w.last % 3 {
	case 0:
		replies = do(ctx, w.c, set)
	case 1:
		replies = do(ctx, w.c, set, command("PTTL", w.key))
	case 2:
		replies = do(ctx, w.c, redisstore.Command{
			Words: []string{"EVAL", "redis.call('INCR', KEYS[2]) return redis.call('SET', KEYS[1], ARGV[1])", "2"},
			Keys:  []string{w.key, w.record}, Args: []string{strconv.Itoa(w.last)},
		})
	}
	if err := replies[0].Err; err != nil {
		return err
	}
	w.acked = w.last
	replies = do(ctx, w.c, command("GET", w.key), command("PTTL", w.key))
	if err := replies[0].Err; err != nil {
		return err
	}
	if n, _ := strconv.Atoi(replies[0].Text); n < w.acked || n > w.last {
		w.wrong = fmt.Sprintf("read %s, written %d to %d", short(replies[0]), w.acked, w.last)
	}
	return nil
}
