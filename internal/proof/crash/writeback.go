package crash

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/proof"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// node is a process of an application.
type node struct {
	spec    *Spec
	tell    *teller
	db      *Database
	journal journal.Journal
	cache   *strategies.WriteBackCache[int64, Item]
	ends    []func() error // in the order in which they were opened

	writing sync.WaitGroup  // calls of the source
	stop    context.Context // ends when callers shall end
	stopAll context.CancelFunc
	callers sync.WaitGroup
}

// openNode opens everything that a node needs, and lets its callers work.
func openNode(spec *Spec, out io.Writer) (*node, error) {
	n := &node{spec: spec, tell: &teller{out: out}}
	n.stop, n.stopAll = context.WithCancel(context.Background())
	if err := n.open(); err != nil {
		return nil, errors.Join(err, n.end())
	}
	for i := range spec.Load.Writers {
		n.callers.Go(func() { n.caller(i).each(n.stop, (*caller).write) })
	}
	for i := range spec.Load.Readers {
		n.callers.Go(func() { n.caller(spec.Load.Writers+i).each(n.stop, (*caller).read) })
	}
	return n, nil
}

func (n *node) open() (err error) {
	if n.db, err = n.spec.Place.Open(); err != nil {
		return err
	}
	n.ends = append(n.ends, n.db.Close)
	if n.spec.Journal != "" {
		if n.journal, err = openJournal(n.spec, n.tell); err != nil {
			return err
		}
		n.ends = append(n.ends, n.journal.Close)
	}
	store := memory.New(memory.Options[int64, Item]{MaxEntries: 10_000})
	n.ends = append(n.ends, store.Close)
	inner := strategies.ReadThrough(store, tarn.LoadFunc(n.db.Load))
	if n.cache, err = strategies.WriteBack(inner, n.writer(), n.config()); err != nil {
		return err
	}
	n.tell.tell(Message{Kind: Ready, End: proof.Now(), N: n.replayed()})
	return nil
}

// openJournal opens the journal, which misbehaves if it shall, and tells of each append.
func openJournal(spec *Spec, tell *teller) (journal.Journal, error) {
	misbehave, ok := Breaks[spec.Break]
	if !ok {
		return nil, fmt.Errorf("crash: no such break: %q", spec.Break)
	}
	j, err := bolt.Open(spec.Journal, bolt.Options{LockTimeout: 5 * time.Second})
	if err != nil {
		return nil, fmt.Errorf("crash: %w", err)
	}
	return misbehave(&told{j, tell}), nil
}

// told is a journal that tells when an append was durable.
type told struct {
	journal.Journal
	tell *teller
}

func (t *told) Append(ctx context.Context, change journal.Change) error {
	begin := proof.Now()
	err := t.Journal.Append(ctx, change)
	if err == nil && len(change.Put) > 0 {
		t.tell.tell(Message{Kind: Appended, Begin: begin, End: proof.Now(), N: int64(len(change.Put))})
	}
	return err
}

func (n *node) config() strategies.WriteBackConfig[int64, Item] {
	s := n.spec
	c := strategies.WriteBackConfig[int64, Item]{
		MaxPending: s.MaxPending, MaxBatch: s.MaxBatch, MaxDelay: s.MaxDelay, MaxAttempts: s.MaxAttempts,
		WriteTimeout: s.WriteTimeout, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond,
		SyncEvery: s.SyncEvery,
	}
	if n.journal != nil {
		c.Journal = n.journal
	}
	if s.WriteThrough {
		c.WhenFull = strategies.WriteThroughWhenFull
	}
	return c
}

func (n *node) replayed() int64 { return int64(n.cache.Stats().Replayed) }

// writer writes the database in the way that is asked for.
func (n *node) writer() tarn.Writer[int64, Item] {
	do := n.db.apply
	switch n.spec.Fence {
	case "fence":
		do = n.db.fence().Apply
	case "late", "late fence":
		do = func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
			return n.db.applyLate(ctx, ops, n.spec.Fence == "late fence", n.spec.Late)
		}
	}
	return tarn.WriteManyFuncs(n.tellingLate(n.spec.Fault.faulty(do)))
}

// tellingLate returns do, which tells what it did although its context had ended.
func (n *node) tellingLate(do apply) apply {
	return func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
		n.writing.Add(1)
		defer n.writing.Done()
		err := do(ctx, ops)
		if err == nil && ctx.Err() != nil {
			for _, op := range ops {
				n.tell.tell(Message{Kind: Unwritten, Key: op.Key, N: int64(op.Seq), Text: leftLate})
			}
		}
		return err
	}
}

func (n *node) caller(i int) *caller {
	return &caller{node: n, id: i, rng: rand.New(rand.NewPCG(n.spec.Seed, uint64(i)))}
}

// close lets nothing more be written, tells what is not, and ends everything. Callers go on until it has returned.
func (n *node) close(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	err := n.cache.Close(ctx)
	text := ""
	if err != nil {
		text = err.Error()
	}
	var left *strategies.UnwrittenError[int64]
	if errors.As(err, &left) {
		for _, key := range left.Keys {
			n.tell.tell(Message{Kind: Unwritten, Key: key, Text: leftKey})
		}
	}
	for op := range n.cache.Pending() {
		n.tell.tell(Message{Kind: Unwritten, Key: op.Key, Op: op.Value.Op, N: int64(op.Seq), Text: leftOp})
	}
	n.tell.tell(Message{Kind: Closed, End: proof.Now(), Text: text})
	n.stopAll()
	n.callers.Wait()
	n.writing.Wait()
	return n.end()
}

// drain writes all there is, dead letters too.
func (n *node) drain(within time.Duration) error {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	if n.journal != nil {
		if _, err := n.cache.RetryDeadLetters(ctx); err != nil {
			return errors.Join(fmt.Errorf("crash: dead letters: %w", err), n.end())
		}
	}
	return n.close(within)
}

func (n *node) end() error {
	n.stopAll()
	var errs []error
	for i := len(n.ends) - 1; i >= 0; i-- {
		errs = append(errs, n.ends[i]())
	}
	n.ends = nil
	return errors.Join(errs...)
}
