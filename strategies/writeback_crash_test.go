package strategies_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/memjournal"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

// The crash tests write down, in one order, all that lasts: what the journal carried out, what the source applied, and
// which writes were acknowledged. A crash is a prefix of that. From every prefix another process starts, on the journal
// and the source as they were then, and in the end
//
//   - each acknowledged write, or a later one of its key, is at the source;
//   - the source never had an older write of a key after a newer one.
//
// One goroutine writes each key; its writes are its versions, 1 and so on. A save saves its version.

// crashStep is one thing that lasts.
type crashStep struct {
	at     time.Duration
	change *journal.Change // the journal carried it out
	ops    []wbOp          // the source applied them
	acked  string          // the key whose version was acknowledged
	ver    int
}

// crashCase is what a run is made of.
type crashCase struct {
	seed    uint64
	config  wbConfig
	keys    int
	writes  int // of each key
	failing int // percent of the source's batches
	full    int // percent of the appends that put something
	slow    time.Duration
}

// crashLife is one process.
type crashLife struct {
	crashCase
	began time.Time
	log   *memjournal.Journal

	mu    sync.Mutex // protects all below
	rng   *rand.Rand
	steps []crashStep
	calm  bool // nothing fails any more
}

func (l *crashLife) note(s crashStep) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s.at = time.Since(l.began)
	l.steps = append(l.steps, s)
}

// chance reports true in so many cases of a hundred, as long as things fail.
func (l *crashLife) chance(percent int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !l.calm && l.rng.IntN(100) < percent
}

// dawdle takes up to d.
func (l *crashLife) dawdle(d time.Duration) {
	l.mu.Lock()
	d = time.Duration(l.rng.Int64N(int64(d) + 1))
	l.mu.Unlock()
	time.Sleep(d)
}

// apply is the source.
func (l *crashLife) apply(_ context.Context, ops []wbOp) error {
	l.dawdle(l.slow)
	var err error
	done := ops
	switch {
	case l.chance(l.failing / 2):
		return errSource
	case len(ops) > 1 && l.chance(l.failing):
		each := make(tarn.IndexError, len(ops))
		each[0] = errSource
		err, done = each, ops[1:]
	case l.config.MaxAttempts > 0 && l.chance(l.failing):
		return tarn.Permanent(errSource)
	case l.config.WhenFull != strategies.WriteThroughWhenFull && l.chance(l.failing):
		err = errSource // although it has them
	}
	l.note(crashStep{ops: append([]wbOp(nil), done...)})
	l.dawdle(l.slow)
	return err
}

// newLife is a process on what the one before has left.
func newLife(c crashCase, log *memjournal.Journal) *crashLife {
	l := &crashLife{crashCase: c, began: time.Now(), log: log, rng: rand.New(rand.NewPCG(c.seed, 7))}
	log.Before(func(_ context.Context, change journal.Change) error {
		l.dawdle(l.slow)
		if len(change.Put) > 0 && l.chance(l.full) {
			return journal.ErrFull
		}
		return nil
	})
	log.After(func(change journal.Change) error {
		l.note(crashStep{change: &change})
		return nil
	})
	return l
}

// open starts write-back.
func (l *crashLife) open(t *testing.T) (*wbCache, func()) {
	t.Helper()
	mem := memory.New(memory.Options[string, int]{MaxEntries: 100})
	l.config.Journal = l.log
	find := tarn.LoadFunc(func(context.Context, string) (int, error) { return 0, tarn.ErrNotFound })
	c, err := strategies.WriteBack(strategies.ReadThrough(mem, find), tarn.WriteManyFuncs(l.apply), l.config)
	require.NoError(t, err)
	return c, func() { _ = mem.Close() }
}

// write has one goroutine for each key write its versions, from those on that were begun before.
func (l *crashLife) write(c *wbCache, before map[string]int) {
	var wg sync.WaitGroup
	for k := range l.keys {
		key := strconv.Itoa(k)
		wg.Go(func() {
			for ver := before[key] + 1; ver <= before[key]+l.writes; ver++ {
				l.dawdle(10 * time.Millisecond)
				ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
				if l.writeOne(ctx, c, key, ver) == nil {
					l.note(crashStep{acked: key, ver: ver})
				}
				cancel()
				if l.config.MaxAttempts > 0 && l.chance(20) {
					_, _ = c.RetryDeadLetters(context.Background(), key)
				}
			}
		})
	}
	wg.Wait()
}

// writeOne writes one version: some are deletes, and some batches that write the version before as well.
func (l *crashLife) writeOne(ctx context.Context, c *wbCache, key string, ver int) error {
	switch ver % 5 {
	case 3:
		return c.Delete(ctx, key)
	case 4:
		other := "x" + key
		return c.SetMany(ctx, []string{key, other, key}, []int{ver, ver, ver})
	default:
		return c.Set(ctx, key, ver)
	}
}

// crashed is what a crash has left.
type crashed struct {
	log   *memjournal.Journal
	rows  map[string]int
	seqs  map[string]uint64
	acked map[string]int
	old   map[string]int // acked so long ago that SyncEvery cannot have lost them
	began map[string]int // versions that may have been begun
}

func newCrashed(log *memjournal.Journal) *crashed {
	return &crashed{log, map[string]int{}, map[string]uint64{}, map[string]int{}, map[string]int{}, map[string]int{}}
}

// after returns what is there after the steps.
func (w *crashed) after(t *testing.T, steps []crashStep, lost time.Duration) *crashed {
	t.Helper()
	next := newCrashed(w.log.Copy())
	for _, of := range []struct{ from, to map[string]int }{
		{w.rows, next.rows}, {w.acked, next.acked}, {w.old, next.old}, {w.began, next.began},
	} {
		for k, v := range of.from {
			of.to[k] = v
		}
	}
	for k, v := range w.seqs {
		next.seqs[k] = v
	}
	for _, s := range steps {
		switch {
		case s.change != nil:
			require.NoError(t, next.log.Append(context.Background(), *s.change))
		case s.ops != nil:
			next.apply(t, s.ops)
		default:
			next.acked[s.acked] = s.ver
			if s.at+lost <= steps[len(steps)-1].at {
				next.old[s.acked] = s.ver
			}
		}
	}
	return next
}

func (w *crashed) apply(t *testing.T, ops []wbOp) {
	t.Helper()
	for _, op := range ops {
		require.GreaterOrEqual(t, op.Seq, w.seqs[op.Key], "an older write of %s after a newer one", op.Key)
		w.seqs[op.Key] = op.Seq
		if w.rows[op.Key] = op.Value; op.Delete {
			delete(w.rows, op.Key)
		}
	}
}

// check compares what the source has with what was acknowledged.
func (w *crashed) check(t *testing.T, buffered bool) {
	t.Helper()
	acked := w.acked
	if buffered {
		acked = w.old
	}
	for key, ver := range acked {
		if row, ok := w.rows[key]; ok {
			require.GreaterOrEqual(t, row, ver, "key %s", key)
			continue
		}
		later := ver + (3-ver%5+5)%5 // the next delete
		require.LessOrEqual(t, later, w.began[key], "key %s is lost; acknowledged was version %d", key, ver)
	}
}

// run has a process live on what w left, and returns what it did, whole.
func (c crashCase) run(t *testing.T, w *crashed, writes int, drain bool) (steps []crashStep) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		c.writes = writes
		l := newLife(c, w.log.Copy())
		cache, end := l.open(t)
		defer end()
		l.write(cache, w.began)
		if drain {
			l.mu.Lock()
			l.calm = true
			l.mu.Unlock()
			for cache.Stats().DeadLetters+cache.Stats().Pending > 0 {
				_, _ = cache.RetryDeadLetters(t.Context()) // as many as there is room for
				require.NoError(t, cache.Flush(t.Context()))
			}
			require.NoError(t, cache.Close(t.Context()))
			require.Empty(t, l.log.Records())
		} else {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
			defer cancel()
			_ = cache.Close(ctx)
		}
		time.Sleep(time.Minute) // stragglers
		l.mu.Lock()
		defer l.mu.Unlock()
		steps = l.steps
	})
	return steps
}

// crashAnywhere runs a case, and then another process from each prefix of what it did; that one crashes too, anywhere,
// and a third one writes what is left.
func (c crashCase) crashAnywhere(t *testing.T) {
	t.Helper()
	buffered := c.config.SyncEvery > 0
	lost := c.config.SyncEvery + 2*c.slow + time.Millisecond
	rng := rand.New(rand.NewPCG(c.seed, 8))
	start := newCrashed(memjournal.New())
	steps := c.run(t, start, c.writes, false)
	for i := range len(steps) + 1 {
		second := start.after(t, steps[:i], lost)
		for k := range c.keys {
			second.began[strconv.Itoa(k)] = c.writes
		}
		again := c
		again.seed += uint64(i)
		more := again.run(t, second, 3, false)
		defer func() {
			if t.Failed() {
				dumpCrash(t, again, steps[:i], more)
			}
		}()
		third := second.after(t, more[:rng.IntN(len(more)+1)], lost)
		for k := range c.keys {
			third.began[strconv.Itoa(k)] += 3
		}
		last := again.run(t, third, 0, true)
		third.after(t, last, lost).check(t, buffered)
	}
}

// dumpCrash tells what a failed case did.
func dumpCrash(t *testing.T, c crashCase, lives ...[]crashStep) {
	t.Helper()
	t.Logf("%+v", c)
	for _, steps := range lives {
		t.Log("--- a process")
		for _, s := range steps {
			switch {
			case s.change != nil:
				text := fmt.Sprint("removed ", s.change.Remove, " put")
				for _, r := range s.change.Put {
					text += fmt.Sprintf(" %d:%s kind %d", r.Seq, r.Key, r.Kind)
				}
				t.Log(s.at, text)
			case s.ops != nil:
				t.Log(s.at, "applied", s.ops)
			default:
				t.Log(s.at, "acknowledged", s.acked, s.ver)
			}
		}
	}
}

// newCrashCase makes a case of a seed.
func newCrashCase(seed uint64) crashCase {
	rng := rand.New(rand.NewPCG(seed, 9))
	c := crashCase{
		seed: seed, keys: 1 + rng.IntN(3), writes: 4 + rng.IntN(5), slow: time.Duration(1+rng.IntN(3)) * time.Millisecond,
		config: wbConfig{
			MaxBatch: 1 + rng.IntN(4), MaxDelay: time.Duration(1+rng.IntN(10)) * time.Millisecond,
			Concurrency: 1 + rng.IntN(3), MaxPending: 1 + rng.IntN(6), WhenFull: strategies.WhenFull(rng.IntN(3)),
			MinBackoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond,
		},
		failing: rng.IntN(40), full: rng.IntN(30),
	}
	if rng.IntN(3) == 0 {
		c.config.SyncEvery = time.Duration(1+rng.IntN(20)) * time.Millisecond
		c.full = 0 // or more is lost
	}
	if rng.IntN(2) == 0 {
		c.config.MaxAttempts = 2
	}
	return c
}

func TestWriteBackCrashesAnywhere(t *testing.T) {
	cases := uint64(40)
	if n, err := strconv.ParseUint(os.Getenv("TARN_CRASH_CASES"), 10, 32); err == nil {
		cases = n
	}
	for seed := range cases {
		if seed, err := strconv.ParseUint(os.Getenv("TARN_CRASH_SEED"), 10, 64); err == nil {
			newCrashCase(seed).crashAnywhere(t)
			return
		}
		if !t.Run(fmt.Sprint(seed), newCrashCase(seed).crashAnywhere) {
			return
		}
	}
}
