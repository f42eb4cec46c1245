package proof

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/faultproxy"
	"github.com/tarncache/tarn/internal/redistest"
)

// scenario is a way to work in which nothing may be found.
type scenario struct {
	name     string
	promises string // what holds in it, beyond that no read returns to the past
	run      func(t *trial)
}

// TestSoakPromises lets nodes work while servers and networks do what they do. With TARN_SOAK, such as 10m, it goes on
// for so long, each time with other numbers drawn; what has no faults of its own is ten times as long.
func TestSoakPromises(t *testing.T) {
	db := startPostgres(t)
	limit := time.Duration(0)
	if soak := os.Getenv("TARN_SOAK"); soak != "" {
		var err error
		if limit, err = time.ParseDuration(soak); err != nil {
			t.Fatalf("TARN_SOAK: %v", err)
		}
		stretch = 10
		defer func() { stretch = 1 }()
	}
	for round, end := 1, time.Now().Add(limit); round == 1 || time.Now().Before(end) && !t.Failed(); round++ {
		t.Run(fmt.Sprint("round ", round), func(t *testing.T) {
			for _, s := range scenarios {
				t.Run(s.name, func(t *testing.T) {
					t.Parallel()
					s.try(newTrial(t, db))
				})
			}
		})
		t.Logf("after round %d: %v", round, &total)
	}
}

func (s *scenario) try(t *trial) {
	t.Logf("promised: %s", s.promises)
	s.run(t)
	t.judge()
}

const (
	past = "a read returns what was acknowledged before it began"
	long = 2 * time.Second
)

// busy is what most nodes do: everything at once, on a few hot keys.
var busy = Work{
	For: long, Keys: 5, Readers: 1, Writers: 1, Batch: 0.3, Cancel: 0.05, Rest: 5 * time.Millisecond, Clears: 0.02,
}

// wide is on more keys, so that a value has time to grow old before it is written.
var wide = Work{
	For: long, Keys: 20, Readers: 3, Writers: 1, Batch: 0.3, Cancel: 0.05, Rest: 5 * time.Millisecond, Clears: 0.02,
}

// tagging is what those do whose writes are as often as not made behind the caches.
var tagging = Work{
	For: long, Keys: 6, Readers: 2, Writers: 1, Batch: 0.3, Cancel: 0.05, Rest: 5 * time.Millisecond, Clears: 0.02, Tags: 0.5,
}

var scenarios = []scenario{
	{"memory", past, func(t *trial) {
		t.base.Store, t.base.Fresh = "memory", 20*time.Millisecond
		t.base.Pauses = pauses
		t.sqlite()
		t.open(nil)
		t.work(busy, nil)
	}},
	{"memory is a register", "its operations have one order", func(t *trial) {
		t.base.Store, t.base.Caches = "memory", []string{"write-through"}
		t.base.Pauses = pauses
		t.sqlite()
		t.open(nil)
		t.work(Work{For: long, Keys: 3, Readers: 3, Writers: 3, Batch: 0.3, Rest: 2 * time.Millisecond}, nil)
		t.linearizable()
	}},
	{"one Redis is a register", "its operations have one order", func(t *trial) {
		t.oneRedis()
		t.base.Caches, t.base.Pauses = []string{"write-through"}, pauses
		t.openBoth()
		t.work(Work{For: long, Keys: 3, Readers: 3, Writers: 2, Batch: 0.3, Rest: 2 * time.Millisecond}, nil)
		t.linearizable()
	}},
	{"write-back in memory", "its operations have one order, and the source has the last", func(t *trial) {
		t.base.Store, t.base.Fresh = "memory", 20*time.Millisecond
		t.sqlite()
		t.writeBack()
	}},
	{"write-back over Redis", "its operations have one order, and the source has the last", func(t *trial) {
		t.oneRedis()
		t.base.Redis.Client = "rueidis"
		t.base.Losses = map[string]Loss{"settle": {P: 0.1, What: LoseRequest}, "hold": {P: 0.1, What: LoseReply}}
		t.base.HoldLife = 300 * time.Millisecond
		t.writeBack()
	}},
	{"write-back with a journal", "its operations have one order, and the source has the last", func(t *trial) {
		t.base.Store, t.base.Fresh = "memory", 20*time.Millisecond
		t.base.Journal = filepath.Join(t.TempDir(), "journal")
		t.sqlite()
		t.writeBack()
	}},
	{"write-back with a buffered journal", "its operations have one order, and the source has the last", func(t *trial) {
		t.base.Store, t.base.Fresh = "memory", 20*time.Millisecond
		t.base.Journal, t.base.SyncEvery = filepath.Join(t.TempDir(), "journal"), 5*time.Millisecond
		t.sqlite()
		t.writeBack()
	}},
	{"write-back with a journal over Redis", "its operations have one order, and the source has the last", func(t *trial) {
		t.oneRedis()
		t.base.Redis.Client = "goredis"
		t.base.Journal = filepath.Join(t.TempDir(), "journal")
		t.base.Losses = map[string]Loss{"settle": {P: 0.1, What: LoseReply}, "hold": {P: 0.1, What: LoseRequest}}
		t.base.HoldLife = 300 * time.Millisecond
		t.writeBack()
	}},
	{"one Redis", past, func(t *trial) {
		t.oneRedis()
		t.base.Pauses = pauses
		t.openBoth()
		t.open(func(s *Setup) { s.Redis.Client, s.Fresh = "goredis", 20*time.Millisecond })
		t.work(busy, nil)
	}},
	{"memory, and every window for old values", past, func(t *trial) {
		t.base.Store = "memory"
		t.sqlite()
		t.windows()
		t.workUntilOldValuesServed(func() { t.open(nil) })
	}},
	{"one Redis, and every window for old values", past, func(t *trial) {
		t.oneRedis()
		t.windows()
		t.workUntilOldValuesServed(t.openBoth)
	}},
	{"near copies, and every window for old values", "a read on another node returns what was acknowledged before the bound",
		func(t *trial) {
			t.oneRedis()
			t.windows()
			t.workUntilOldValuesServed(func() { openTiered(t) })
		}},
	{"memory, with tags", past, func(t *trial) {
		t.base.Store, t.base.Fresh = "memory", 20*time.Millisecond
		t.sqlite()
		t.base.Pauses, t.base.Tags = pauses, true
		t.open(nil)
		t.work(tagging, nil)
	}},
	{"one Redis, with tags", past, func(t *trial) {
		t.oneRedis()
		t.base.Pauses, t.base.Tags = pauses, true
		t.openBoth()
		t.open(func(s *Setup) { s.Redis.Client, s.Fresh = "goredis", 20*time.Millisecond })
		t.work(tagging, nil)
	}},
	{"one Redis, with tags that are evicted", past, func(t *trial) {
		t.oneRedis()
		t.base.Pauses, t.base.Tags = pauses, true
		t.openBoth()
		t.work(tagging, func() { // whatever lies under a tag or counts is gone now and then
			for end := time.Now().Add(long); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				t.forgetTags()
			}
		})
	}},
	{"a cluster whose slots move, with tags", past, func(t *trial) {
		cluster := redistest.StartCluster(t)
		t.base.Redis.Addrs, t.base.Redis.Cluster = cluster.Addrs(), true
		t.base.Tags = true
		t.openBoth()
		t.work(tagging, func() { moveSlots(t, cluster) })
		t.mend()
	}},
	{"lost and late commands, with tags", past + "; what may be stale is mended soon after", func(t *trial) {
		t.oneRedis()
		t.base.HoldLife, t.base.Pauses, t.base.Tags = 300*time.Millisecond, pauses, true
		t.base.Losses = make(map[string]Loss)
		for i, op := range []string{"lease", "fill", "hold", "settle", "delete", "mark", "counter", "ensure"} {
			t.base.Losses[op] = Loss{P: 0.1, What: LossKind(1 + (i+int(seed))%3), Late: 30 * time.Millisecond}
		}
		t.openBoth()
		t.work(tagging, nil)
		t.mend()
	}},
	{"near copies, with tags", "a read on another node returns what was acknowledged before the bound", func(t *trial) {
		t.oneRedis()
		t.base.Pauses, t.base.Tags = pauses, true
		openTiered(t)
		t.work(tagging, func() {
			for range 6 {
				time.Sleep(150 * time.Millisecond)
				t.server.Call("CLIENT", "KILL", "TYPE", "pubsub")
				time.Sleep(150 * time.Millisecond)
				t.server.Call("CLIENT", "PAUSE", "60", "ALL")
			}
		})
		t.mend()
	}},
	{"one Redis and SQLite", past, func(t *trial) {
		t.oneRedis()
		t.sqlite()
		t.openBoth()
		t.work(busy, nil)
	}},
	{"faults on the wire", past + "; what may be stale is mended soon after", func(t *trial) {
		t.oneRedis()
		proxy := faultproxy.Start(t, t.server.Addr())
		t.base.Redis.Addrs = []string{proxy.Addr()}
		t.base.Redis.Timeout, t.base.SettleTimeout = 100*time.Millisecond, 300*time.Millisecond
		t.base.HoldLife = 500 * time.Millisecond
		t.openBoth()
		t.work(busy, func() {
			for _, f := range wireFaults {
				proxy.Set(f)
				time.Sleep(150 * time.Millisecond)
				proxy.Pass()
				time.Sleep(100 * time.Millisecond)
			}
		})
		t.mend()
	}},
	{"lost and late commands", past + "; what may be stale is mended soon after", func(t *trial) {
		t.oneRedis()
		t.base.HoldLife, t.base.Pauses = 300*time.Millisecond, pauses
		t.base.Losses = make(map[string]Loss)
		for i, op := range []string{"lease", "fill", "stands", "hold", "settle", "delete", "unhold"} {
			t.base.Losses[op] = Loss{P: 0.1, What: LossKind(1 + (i+int(seed))%3), Late: 30 * time.Millisecond}
		}
		t.openBoth()
		t.work(busy, nil)
		t.mend()
	}},
	{"clients killed and paused, scripts flushed", past, func(t *trial) {
		t.oneRedis()
		t.openBoth()
		t.work(busy, func() {
			for range 4 {
				t.server.Call("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
				time.Sleep(100 * time.Millisecond)
				t.server.Call("CLIENT", "PAUSE", "80", "ALL")
				time.Sleep(150 * time.Millisecond)
				t.server.Call("SCRIPT", "FLUSH")
				time.Sleep(100 * time.Millisecond)
			}
		})
		t.mend()
	}},
	{"everything flushed", past, func(t *trial) {
		t.oneRedis()
		t.base.Pauses = pauses
		t.openBoth()
		t.work(busy, func() {
			for range 12 {
				time.Sleep(100 * time.Millisecond)
				t.server.Call("FLUSHALL")
			}
		})
	}},
	{"leases evicted", past, func(t *trial) {
		t.oneRedis(redistest.Line("maxmemory 2500kb", "maxmemory-policy allkeys-random"))
		t.base.Pauses = pauses
		t.openBoth()
		t.work(busy, func() {
			junk := strings.Repeat("x", 50_000)
			for i, end := 0, time.Now().Add(long); i < 200 || time.Now().Before(end); i++ {
				t.server.Call("SET", fmt.Sprint("junk", i%200), junk)
				time.Sleep(time.Millisecond)
			}
			info := t.server.Call("INFO", "stats").Text
			if strings.Contains(info, "evicted_keys:0\r") {
				t.Error("nothing was evicted")
			}
		})
	}},
	{"a server killed, empty when it is back", past + "; no caller gets an error", func(t *trial) {
		t.oneRedis()
		t.killedUnderLoad()
	}},
	{"a server killed, with all it had when it is back", past + "; no caller gets an error", func(t *trial) {
		t.oneRedis(redistest.AppendOnly())
		t.killedUnderLoad()
	}},
	{"a process killed", past + "; the writes it was about are none's to see or all's", func(t *trial) {
		t.oneRedis()
		t.base.HoldLife, t.base.Pauses = 300*time.Millisecond, pauses
		t.openBoth()
		for i := range 3 {
			victim, err := StartProcess()
			if err != nil {
				t.Fatal(err)
			}
			s := t.base
			s.Node, s.Redis.Client = 10+i, "goredis"
			node, err := victim.Open(s)
			if err != nil {
				t.Fatal(err)
			}
			gone := make(chan struct{})
			go func() {
				defer close(gone)
				_, _ = node.Run(context.Background(), Work{For: time.Minute, Keys: busy.Keys, Readers: 1, Writers: 3})
			}()
			t.work(busy, func() {
				time.Sleep(300 * time.Millisecond)
				victim.Kill()
				<-gone
				time.Sleep(100 * time.Millisecond)
			})
		}
	}},
	{"sentinels fail over", "after the failover " + past, func(t *trial) {
		sentinels := redistest.StartSentinels(t)
		t.base.Redis.Addrs, t.base.Redis.Master = sentinels.Addrs(), redistest.MasterName
		t.base.Redis.Timeout = 500 * time.Millisecond
		t.openBoth()
		t.work(busy, func() {
			time.Sleep(long / 2)
			span := Span{From: Now()}
			old := sentinels.Master()
			old.Kill()
			sentinels.AwaitMaster(old)
			t.called()
			span.To = Now()
			t.terms.Excepted = append(t.terms.Excepted, span)
			time.Sleep(long / 2)
		})
		t.mend()
	}},
	{"a cluster whose slots move", past, func(t *trial) {
		cluster := redistest.StartCluster(t)
		t.base.Redis.Addrs, t.base.Redis.Cluster = cluster.Addrs(), true
		t.openBoth()
		t.work(busy, func() { moveSlots(t, cluster) })
		t.mend()

		// And a master dies, which may lose what was acknowledged last.
		t.work(busy, func() {
			span := Span{From: Now()}
			slot := t.slot(0)
			owner := cluster.Owner(slot)
			owner.Kill()
			cluster.AwaitOwner(slot, owner)
			t.called()
			span.To = Now()
			t.terms.Excepted = append(t.terms.Excepted, span)
			time.Sleep(long / 2)
		})
		t.mend()
	}},
	{"near copies", "a read on another node returns what was acknowledged before the bound", func(t *trial) {
		t.oneRedis()
		t.base.Pauses = pauses
		openTiered(t)
		t.work(busy, func() {
			for range 6 {
				time.Sleep(150 * time.Millisecond)
				t.server.Call("CLIENT", "KILL", "TYPE", "pubsub")
				time.Sleep(150 * time.Millisecond)
				t.server.Call("CLIENT", "PAUSE", "60", "ALL")
			}
		})
		t.mend()
	}},
	{"near copies, and Redis killed", "a read on another node returns what was acknowledged before the bound; " +
		"no caller gets an error", func(t *trial) {
		t.oneRedis(redistest.AppendOnly())
		t.base.Pauses = pauses
		openTiered(t)
		t.killedUnderLoad()
		t.trusted()
	}},
	{"how late near copies are", "less than the bound", func(t *trial) {
		t.oneRedis()
		openTiered(t)
		// One node writes, the other reads all the time.
		writer, reader := t.nodes[0], t.nodes[1]
		done := make(chan Record)
		go func() {
			w := Work{For: t.stretched(long), Keys: 4, Writers: 1, Rest: 4 * time.Millisecond}
			r, err := writer.Run(context.Background(), w)
			if err != nil {
				t.Error(err)
			}
			done <- r
		}()
		t.nodes = []*Remote{reader}
		t.work(Work{For: long, Keys: 4, Readers: 2, Rest: 500 * time.Microsecond}, nil)
		t.record.Add(<-done)
		t.nodes = []*Remote{writer, reader}
		t.check()
		delays := Delays(&t.record.History, 0, 1)
		t.Logf("after a write was acknowledged another node read its near copy for: median %[2]v, p99 %[3]v, most %[4]v of %[1]d",
			len(delays), Quantile(delays, 0.5), Quantile(delays, 0.99), Quantile(delays, 1))
	}},
}

// pauses make rare what happens at once happen often.
var pauses = Pauses{
	Read:   Pause{0.2, 10 * time.Millisecond},
	Write:  Pause{0.2, 10 * time.Millisecond},
	Commit: Pause{0.2, 10 * time.Millisecond},
}

var wireFaults = []faultproxy.Fault{
	{Replies: faultproxy.Way{Drop: true}},
	{Requests: faultproxy.Way{Late: true, Delay: 20 * time.Millisecond}},
	{Requests: faultproxy.Way{Stall: true}},
	{Replies: faultproxy.Way{Stall: true}},
	{Replies: faultproxy.Way{Cut: true, After: 700}},
	{Requests: faultproxy.Way{Cut: true, After: 1500}},
	{Refuse: true},
	{Reset: true},
	{Requests: faultproxy.Way{Delay: 30 * time.Millisecond}},
}

// oneRedis is the server for all nodes.
func (t *trial) oneRedis(options ...redistest.Option) {
	t.server = redistest.Start(t, options...)
	t.base.Redis.Addrs = []string{t.server.Addr()}
}

func (t *trial) sqlite() {
	t.base.Driver, t.base.DSN = "sqlite", filepath.Join(t.TempDir(), "source.db")
}

// windows has old values served wherever the strategies can, from a source of which a third of the loads fails.
func (t *trial) windows() {
	t.base.Windows, t.base.Fresh, t.base.Failing, t.base.Pauses = true, 5*time.Millisecond, 0.3, pauses
}

// workUntilOldValuesServed lets nodes work until old values were served in every way that windows has switched on. On a busy
// machine nobody may come back to a key in the milliseconds in which its value is old: each try is with new nodes, whose
// values live longer.
func (t *trial) workUntilOldValuesServed(open func()) {
	t.Helper()
	for range 6 {
		open()
		t.work(wide, nil)
		if t.record.Events[tarn.EventStaleHit.String()] > 0 && t.record.Events[tarn.EventRescued.String()] > 0 {
			return
		}
		t.close()
		t.base.Fresh *= 3
	}
	t.Errorf("old values were not served in every way: %v", t.record.Events)
}

// forgetTags removes what Redis has for tags, as one does whose memory is full.
func (t *trial) forgetTags() {
	t.Helper()
	for _, pattern := range []string{"{*}t*", "{*}s"} {
		for _, key := range t.server.Call("KEYS", pattern).Items {
			t.server.Call("DEL", key.Text)
		}
	}
}

// writeBack lets one node work by write-back, and reads at last what the source has.
func (t *trial) writeBack() {
	t.Helper()
	t.base.Caches, t.base.Pauses, t.coalesces = []string{"write-back"}, pauses, true
	t.open(nil)
	work := busy
	work.Readers, work.Writers, work.Clears = 3, 3, 0
	t.work(work, nil)
	t.close()
	if t.base.Journal != "" {
		if _, err := os.Stat(t.base.Journal); err != nil {
			t.Errorf("there was no journal: %v", err)
		}
	}
	db := t.source()
	defer db.Close()
	for key := range busy.Keys {
		begin := Now()
		ops, err := db.Load(context.Background(), []int64{key + 1})
		if err != nil {
			t.Fatal(err)
		}
		t.record.Reads = append(t.record.Reads, Read{Key: key + 1, Op: ops[key+1], Begin: begin, End: Now()})
	}
	t.linearizable()
}

// killedUnderLoad kills the server twice while nodes work, and wants no errors.
func (t *trial) killedUnderLoad() {
	t.Helper()
	if t.base.Store != "tiered" {
		t.openBoth()
	}
	work := busy
	work.Clears = 0 // who clears a store itself has no source
	work.Seed = 1
	t.base.Pauses = pauses
	t.work(work, func() {
		for range 2 {
			time.Sleep(400 * time.Millisecond)
			t.server.Kill()
			time.Sleep(300 * time.Millisecond)
			t.server.Restart()
		}
		time.Sleep(300 * time.Millisecond)
	})
	for what, n := range t.record.Errors {
		if strings.HasPrefix(what, "write: "+cacheAlone) {
			continue
		}
		t.Errorf("%d callers got an error that has a source: %s", n, what)
	}
	t.mend()
}

// mend waits until what may be stale is repaired, and reads every key through every cache: now it counts as
// acknowledged for all. How soon that is depends on the machine, so there are twenty tries; what is read of it in a try
// before the last is forgotten, and nothing else.
func (t *trial) mend() {
	t.Helper()
	for try := 1; ; try++ {
		time.Sleep(1500 * time.Millisecond)
		t.terms.Mended = Now()
		time.Sleep(t.terms.Bound)
		before := len(t.record.Reads)
		t.work(Work{Once: true, Keys: busy.Keys}, nil)
		if found := t.check(); try == 20 || len(found) == t.unmended() {
			return
		}
		t.record.Reads = t.record.Reads[:before]
		t.Logf("after try %d something is still stale that may be", try)
	}
}

// unmended returns how much is found if what may be stale counts for nobody but the cache that was told so.
func (t *trial) unmended() int {
	terms := t.terms
	terms.Mended = 0
	return len(Check(&t.record.History, terms))
}

// linearizable wants the history to be that of registers.
func (t *trial) linearizable() {
	t.Helper()
	ok, decided := Linearizable(&t.record.History, 20*time.Second)
	t.Logf("one order: %v (decided: %v)", ok, decided)
	if !ok {
		t.Errorf("no order of all operations explains what was read (TARN_PROOF_SEED=%d)", seed)
	}
}

// slot is that of the partition of that number.
func (t *trial) slot(partition int) int {
	return redistest.Slot(fmt.Sprintf("{%s:%d}r", t.base.Namespace, partition))
}

// moveSlots moves each partition to another master, stopping half-way, and lets replicas take over.
func moveSlots(t *trial, cluster *redistest.Cluster) {
	for p := range t.base.Partitions / 2 {
		slot := t.slot(p)
		owner := cluster.Owner(slot)
		for _, to := range cluster.Masters() {
			if to != owner {
				move := cluster.BeginMove(slot, to)
				move.Keys(3)
				time.Sleep(20 * time.Millisecond)
				move.Keys(-1)
				move.End()
				break
			}
		}
	}
	cluster.Failover(t.slot(0))
}
