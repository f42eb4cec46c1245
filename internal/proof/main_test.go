package proof

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn/internal/pgtest"
	"github.com/tarncache/tarn/internal/redistest"
	"go.uber.org/goleak"
)

// TestMain is also where the children of the tests begin: they run nodes, and no tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv(ProcessEnv) != "" {
		redis.SetLogger(silent{}) // that a server is away is what is tested
		if err := errors.Join(Serve(os.Stdin, os.Stdout), leaks()); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	if !parallelSet() {
		_ = flag.Set("test.parallel", "6") // they wait most of the time
	}
	code := m.Run()
	if err := processes.close(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = max(code, 1)
	}
	if err := leaks(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	fmt.Println(&total)
	os.Exit(code)
}

// leaks returns an error if a goroutine is left, and stays: on a busy machine one that ends takes its time. One of go-redis,
// which dials a server that is away, sleeps for a second before it looks whether its pool is closed.
func leaks() (err error) {
	for end := time.Now().Add(10 * time.Second); ; {
		err = goleak.Find(goleak.IgnoreAnyFunction("github.com/redis/go-redis/v9/internal/pool.(*ConnPool).tryDial"))
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

func parallelSet() (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	return set
}

// seed is what all that is drawn is drawn from.
var seed = func() uint64 {
	if s := os.Getenv("TARN_PROOF_SEED"); s != "" {
		var n uint64
		if _, err := fmt.Sscan(s, &n); err != nil {
			panic("TARN_PROOF_SEED is no number: " + s)
		}
		return n
	}
	return rand.Uint64N(1_000_000)
}()

// total is the sum of all histories in which nothing was to be found.
var total sum

type sum struct{ histories, operations, violations, broken, caught atomic.Int64 }

func (s *sum) String() string {
	return fmt.Sprintf("proof: %d histories, %d operations, %d violations; %d of %d breaks caught (TARN_PROOF_SEED=%d)",
		s.histories.Load(), s.operations.Load(), s.violations.Load(), s.caught.Load(), s.broken.Load(), seed)
}

// pool is the processes that all tests share. Each runs nodes of several tests.
type pool struct {
	mu  sync.Mutex // protects all
	all []*Process
}

var processes pool

const processCount = 3

// process returns the i-th process.
func (p *pool) process(t testing.TB, i int) *Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.all) < processCount {
		process, err := StartProcess()
		if err != nil {
			t.Fatal(err)
		}
		p.all = append(p.all, process)
	}
	return p.all[i%processCount]
}

func (p *pool) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, process := range p.all {
		errs = append(errs, process.Close())
	}
	p.all = nil
	return errors.Join(errs...)
}

// sourceOf says where the versions of a test are.
type sourceOf struct{ driver, dsn string }

func startPostgres(t *testing.T) sourceOf {
	server := pgtest.Start(t)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	conn, err := pgx.Connect(ctx, server.DSN())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, PostgresTables); err != nil {
		t.Fatal(err)
	}
	return sourceOf{"postgres", server.DSN()}
}

var runs atomic.Int64

// trial is one history that is made.
type trial struct {
	*testing.T
	base   Setup // what its nodes have in common
	nodes  []*Remote
	opened int // nodes, those that are closed too
	record Record
	terms  Terms
	began  time.Time
	round  int
	server *redistest.Server // nil: there is another

	coalesces bool // the database does not see every write: there are no versions
}

func newTrial(t *testing.T, db sourceOf) *trial {
	run := runs.Add(1)
	tr := &trial{T: t, began: time.Now(), base: Setup{
		Seed: seed + uint64(run), Run: run, Driver: db.driver, DSN: db.dsn,
		Store: "redis", Namespace: fmt.Sprintf("proof%d", run), Partitions: 16,
		Caches: []string{"write-through", "look-aside", "write-around", "read-through"},
		Fresh:  time.Minute, LeaseWait: 200 * time.Millisecond,
	}}
	t.Cleanup(tr.close) // before the servers go, which are later
	return tr
}

// open opens a node more, in a process of its own as far as there are enough.
func (t *trial) open(change func(s *Setup)) *Remote {
	t.Helper()
	s := t.base
	s.Node = t.opened
	t.opened++
	if change != nil {
		change(&s)
	}
	return t.openIn(processes.process(t, s.Node), s)
}

func (t *trial) openIn(p *Process, s Setup) *Remote {
	t.Helper()
	node, err := p.Open(s)
	if err != nil {
		t.Fatal(err)
	}
	t.nodes = append(t.nodes, node)
	return node
}

// openBoth opens two nodes that differ in their clients.
func (t *trial) openBoth() {
	t.Helper()
	for _, client := range []string{"goredis", "rueidis"} {
		t.open(func(s *Setup) { s.Redis.Client = client })
	}
}

func (t *trial) trusted() {
	t.Helper()
	for _, n := range t.nodes {
		if err := n.Trusted(); err != nil {
			t.Fatal(err)
		}
	}
}

// enough is how many reads a history has at least, so that it says something.
const enough = 20

// work lets all nodes work until their time is over, or, if there is a meanwhile, until that returns. Then they go on until
// there are enough reads: a busy machine makes few of them in that time.
func (t *trial) work(w Work, meanwhile func()) {
	t.Helper()
	t.workOnce(w, meanwhile)
	for end := time.Now().Add(patience); !w.Once && len(t.record.Reads) < enough && time.Now().Before(end); {
		w.For, w.Seed = short, w.Seed+1000
		t.workOnce(w, nil)
	}
}

func (t *trial) workOnce(w Work, meanwhile func()) {
	t.Helper()
	w.Seed += uint64(t.round)
	w.For = t.stretched(w.For)
	if meanwhile != nil {
		w.For = time.Hour
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var all sync.WaitGroup
	var mu sync.Mutex // protects t.record, errs
	var errs []error
	for _, n := range t.nodes {
		all.Go(func() {
			r, err := n.Run(ctx, w)
			mu.Lock()
			defer mu.Unlock()
			t.record.Add(r)
			errs = append(errs, err)
		})
	}
	if meanwhile != nil {
		meanwhile()
		cancel()
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func (t *trial) stretched(d time.Duration) time.Duration { return time.Duration(float64(d) * stretch) }

// stretch is how many times as long as usual nodes work.
var stretch = 1.0

// close closes the nodes.
func (t *trial) close() {
	t.Helper()
	for _, n := range t.nodes {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	}
	t.nodes = nil
}

// check returns what is found until now.
func (t *trial) check() []Violation {
	t.Helper()
	if t.coalesces {
		return nil
	}
	db := t.source()
	defer db.Close()
	var err error
	if t.record.Changes, err = db.Changes(context.Background()); err != nil {
		t.Fatal(err)
	}
	return Check(&t.record.History, t.terms)
}

// source opens the database.
func (t *trial) source() Database {
	t.Helper()
	db, err := OpenDatabase(context.Background(), t.base.Driver, t.base.DSN, t.base.Run)
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// judge is for a history in which nothing is to be found.
func (t *trial) judge() {
	t.Helper()
	t.close()
	found := t.check()
	total.histories.Add(1)
	total.operations.Add(int64(t.record.Operations()))
	total.violations.Add(int64(len(found)))
	t.Logf("%d operations in %v, %d violations; errors: %v; events: %v", t.record.Operations(),
		time.Since(t.began).Round(time.Millisecond), len(found), t.record.Errors, t.record.Events)
	if len(t.terms.Excepted) > 0 {
		terms := t.terms
		terms.Excepted = nil
		more := len(Check(&t.record.History, terms)) - len(found)
		t.Logf("in the time of which nothing is promised, reads of the past: %d", more)
	}
	for i, v := range found {
		if i == 5 {
			t.Errorf("and %d more", len(found)-i)
			break
		}
		t.Errorf("%v (TARN_PROOF_SEED=%d)", v, seed)
	}
	if reads := len(t.record.Reads); reads < enough {
		t.Errorf("there were only %d reads", reads)
	}
}
