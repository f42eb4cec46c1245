package strategies_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

var errSource = errors.New("the source is away")

// ledger is a source that remembers what reached it, and notices whoever breaks the order.
type ledger struct {
	mu       sync.Mutex // protects all below
	before   func(ctx context.Context, ops []tarn.Op[string, int]) error
	table    map[string]int
	seqs     map[string]uint64
	writing  map[string]bool
	batches  [][]tarn.Op[string, int] // that were applied, wholly or in part
	tries    int
	breaches []string
}

func newLedger() *ledger {
	return &ledger{table: map[string]int{}, seqs: map[string]uint64{}, writing: map[string]bool{}}
}

// intercept has f asked about each batch before it is applied; it may wait. Of an IndexError the operations without an
// error are applied. A nil f is not asked.
func (l *ledger) intercept(f func(ctx context.Context, ops []tarn.Op[string, int]) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before = f
}

func (l *ledger) apply(ctx context.Context, ops []tarn.Op[string, int]) error {
	before := l.enter(ops)
	defer l.leave(ops)
	var err error
	if before != nil {
		err = before(ctx, ops)
	}
	var each tarn.IndexError
	if err != nil && !errors.As(err, &each) {
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.batches = append(l.batches, ops)
	for i, op := range ops {
		if tarn.ErrAt(err, i, len(ops)) != nil {
			continue
		}
		if op.Epoch == 0 || op.Seq == 0 || op.Seq < l.seqs[op.Key] {
			l.breaches = append(l.breaches,
				fmt.Sprintf("%s: seq %d of epoch %d after %d", op.Key, op.Seq, op.Epoch, l.seqs[op.Key]))
		}
		l.seqs[op.Key] = op.Seq
		if l.table[op.Key] = op.Value; op.Delete {
			delete(l.table, op.Key)
		}
	}
	return err
}

func (l *ledger) enter(ops []tarn.Op[string, int]) (before func(context.Context, []tarn.Op[string, int]) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tries++
	for _, op := range ops {
		if l.writing[op.Key] {
			l.breaches = append(l.breaches, op.Key+": twice in flight")
		}
		l.writing[op.Key] = true
	}
	return l.before
}

func (l *ledger) leave(ops []tarn.Op[string, int]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, op := range ops {
		l.writing[op.Key] = false
	}
}

func (l *ledger) find(_ context.Context, key string) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	v, ok := l.table[key]
	if !ok {
		return 0, tarn.ErrNotFound
	}
	return v, nil
}

// rows returns a copy of what the source has.
func (l *ledger) rows() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	rows := make(map[string]int, len(l.table))
	for k, v := range l.table {
		rows[k] = v
	}
	return rows
}

// sizes returns how many operations each batch had.
func (l *ledger) sizes() []int {
	l.mu.Lock()
	defer l.mu.Unlock()
	sizes := make([]int, len(l.batches))
	for i, b := range l.batches {
		sizes[i] = len(b)
	}
	return sizes
}

func (l *ledger) tried() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tries
}

// check fails the test if the order was broken.
func (l *ledger) check(t *testing.T) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Empty(t, l.breaches)
}

// batched is a Writer that takes batches.
func (l *ledger) batched() tarn.Writer[string, int] { return tarn.WriteManyFuncs(l.apply) }

// single is a Writer that takes one operation at a time; it knows of no sequence, so it makes one up.
func (l *ledger) single() tarn.Writer[string, int] {
	one := func(ctx context.Context, op tarn.Op[string, int]) error {
		l.mu.Lock()
		op.Epoch, op.Seq = 1, l.seqs[op.Key]+1
		l.mu.Unlock()
		return tarn.ErrAt(l.apply(ctx, []tarn.Op[string, int]{op}), 0, 1)
	}
	return tarn.WriteFuncs(
		func(ctx context.Context, key string, v int) error {
			return one(ctx, tarn.Op[string, int]{Key: key, Value: v})
		},
		func(ctx context.Context, key string) error {
			return one(ctx, tarn.Op[string, int]{Key: key, Delete: true})
		})
}

// sabotage is a Guarded whose holds fail as told.
type sabotage struct {
	tarn.Guarded[string, int]
	hold   func(ctx context.Context) error
	settle func(ctx context.Context, outcomes []tarn.Outcome[int]) error // before the settle
	remove func() error
}

func (s *sabotage) Hold(ctx context.Context, keys []string) (tarn.Hold[int], error) {
	if s.hold != nil {
		if err := s.hold(ctx); err != nil {
			return nil, err
		}
	}
	h, err := s.Guarded.Hold(ctx, keys)
	return &sabotagedHold{h, s}, err
}

func (s *sabotage) Delete(ctx context.Context, key string) error {
	if s.remove != nil {
		if err := s.remove(); err != nil {
			return err
		}
	}
	return s.Guarded.Delete(ctx, key)
}

type sabotagedHold struct {
	tarn.Hold[int]
	by *sabotage
}

func (h *sabotagedHold) Settle(ctx context.Context, outcomes []tarn.Outcome[int]) error {
	if h.by.settle != nil {
		if err := h.by.settle(ctx, outcomes); err != nil {
			return err
		}
	}
	return h.Hold.Settle(ctx, outcomes)
}

// eventLog is an Observer that keeps what it is told.
type eventLog struct {
	mu  sync.Mutex
	all []tarn.Event // protected by mu
}

func (e *eventLog) Observe(_ context.Context, ev tarn.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, ev)
}

func (e *eventLog) of(kind tarn.EventKind) (of []tarn.Event) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, ev := range e.all {
		if ev.Kind == kind {
			of = append(of, ev)
		}
	}
	return of
}

type (
	wbConfig = strategies.WriteBackConfig[string, int]
	wbCache  = strategies.WriteBackCache[string, int]
	wbOp     = tarn.Op[string, int]
)

// rig is a write-back cache over a memory store and a ledger.
type rig struct {
	*wbCache
	source *ledger
	inner  *sabotage
	events *eventLog
	ctx    context.Context
}

// newRig makes a rig that is closed when the test ends, before its bubble does.
func newRig(t *testing.T, config wbConfig, writer func(*ledger) tarn.Writer[string, int]) *rig {
	t.Helper()
	l, ev := newLedger(), &eventLog{}
	mem := memory.New(memory.Options[string, int]{MaxEntries: 10_000})
	inner := &sabotage{Guarded: strategies.ReadThrough(mem, tarn.LoadFunc(l.find))}
	c, err := strategies.WriteBack[string, int](inner, writer(l), config,
		strategies.WithObserver(ev), strategies.WithEventKeys())
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = c.Close(ctx)
		_ = mem.Close()
		l.check(t)
	})
	return &rig{c, l, inner, ev, context.Background()}
}

// set sets a key, which must be accepted.
func (r *rig) set(t *testing.T, key string, v int) {
	t.Helper()
	require.NoError(t, r.Set(r.ctx, key, v))
}

// reads requires a value of a key.
func (r *rig) reads(t *testing.T, key string, want int) {
	t.Helper()
	v, err := r.Get(r.ctx, key)
	require.NoError(t, err)
	require.Equal(t, want, v)
}

// pass lets time pass, and all that is due then happen.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// unwritten returns the keys of an UnwrittenError.
func unwritten(t *testing.T, err error) []string {
	t.Helper()
	var u *strategies.UnwrittenError[string]
	require.ErrorAs(t, err, &u)
	return u.Keys
}
