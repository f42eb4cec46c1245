package strategies

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"runtime/debug"
	"time"

	"github.com/tarncache/tarn"
)

// WarmUpConfig says how a WarmUp goes about it. The zero value loads batch after batch, as fast as the source answers.
type WarmUpConfig struct {
	// PerSecond is how many keys a second are loaded, on average; each batch comes at once. Zero: there is no limit. What is
	// in the cache already does not count.
	PerSecond float64

	// Batch is how many keys are looked up, and loaded, at once. Zero: 100, or what PerSecond allows in a tenth of a second if
	// that is less.
	Batch int

	// Parallel is how many batches are loaded at once, 10,000 at most. Zero: one.
	Parallel int

	// StopAtError ends it with the first batch of which a key failed. Left out, the others are loaded nevertheless.
	StopAtError bool

	// Progress is told after each batch, by the goroutine that called WarmUp. Nil: nobody is told.
	Progress func(WarmUpProgress)
}

// WarmUpProgress is how far a WarmUp has come.
type WarmUpProgress struct {
	Loaded  int // keys that the source had
	Absent  int // keys that it did not have
	Skipped int // keys that were in the cache already, or remembered as absent
	Failed  int // keys that could not be loaded, or not looked up

	Err error // of the batch that was just done: a [*tarn.BatchError] that names the keys that failed; nil if none did
}

// Done is how many keys are done with.
func (p WarmUpProgress) Done() int { return p.Loaded + p.Absent + p.Skipped + p.Failed }

// WarmUpError is the error of a WarmUp in which keys failed.
type WarmUpError struct {
	Failed int     // keys
	Errs   []error // of the first of them, eight at most
}

const warmUpErrors = 8

func (e *WarmUpError) Error() string {
	return fmt.Sprintf("tarn: warm-up: failed keys: %d, the first: %v", e.Failed, e.Errs[0])
}

// Unwrap returns the first errors.
func (e *WarmUpError) Unwrap() []error { return e.Errs }

// WarmUp loads keys before anyone asks for them, and skips those that the cache has already; a stale value is loaded anew.
// Loads are shared with other callers and stored as those of Get are. A strategy around this one has the same store, so
// warm this one.
//
// It takes keys as it needs them, Batch times Parallel of them at most at a time, so the sequence may be endless. It returns
// when all are done with, or when ctx ends, with the context's error: keys under way then count as nothing. A sequence that
// blocks is waited for. Where keys failed the error is a [*WarmUpError]; a store that fails fails its keys, without loading
// what could not be stored. A config that makes no sense is an error.
func (c *ReadThroughCache[K, V]) WarmUp(
	ctx context.Context, keys iter.Seq[K], config WarmUpConfig,
) (WarmUpProgress, error) {
	return c.reader.warmUp(ctx, keys, c.loader, config)
}

// WarmUp loads keys before anyone fetches them, and skips those that the cache has already; a stale value is loaded anew.
// See [ReadThroughCache.WarmUp].
func (c *LookAsideCache[K, V]) WarmUp(
	ctx context.Context, keys iter.Seq[K], loader tarn.Loader[K, V], config WarmUpConfig,
) (WarmUpProgress, error) {
	if isNil(loader) {
		return WarmUpProgress{}, errors.New("tarn: warm-up: loader is nil")
	}
	return c.reader.warmUp(ctx, keys, loader, config)
}

const maxWarmUpParallel = 10_000

// complete returns an error if something makes no sense, and sets what was left out.
func (c *WarmUpConfig) complete() error {
	switch {
	case !(c.PerSecond >= 0) || math.IsInf(c.PerSecond, 1):
		return errors.New("tarn: warm-up: WarmUpConfig.PerSecond is negative, or no number")
	case c.Batch < 0:
		return errors.New("tarn: warm-up: WarmUpConfig.Batch is negative")
	case c.Parallel < 0:
		return errors.New("tarn: warm-up: WarmUpConfig.Parallel is negative")
	case c.Parallel > maxWarmUpParallel:
		return fmt.Errorf("tarn: warm-up: WarmUpConfig.Parallel is above %d", maxWarmUpParallel)
	}
	if c.Batch == 0 {
		c.Batch = 100
		if c.PerSecond > 0 {
			c.Batch = int(max(1, min(100, c.PerSecond/10)))
		}
	}
	c.Parallel = max(c.Parallel, 1)
	return nil
}

// warmUp is a WarmUp on its way. All of it but the loads is the caller's goroutine's.
type warmUp[K comparable, V any] struct {
	reader   *reader[K, V]
	loader   tarn.Loader[K, V]
	config   WarmUpConfig
	progress WarmUpProgress
	errs     []error
	next     time.Time // when the next batch may be loaded
	running  int
	loaded   chan warmBatch[K, V]
}

// warmBatch is a batch that has been looked up, and loaded as far as there was need to.
type warmBatch[K comparable, V any] struct {
	keys    []K
	results []tarn.Result[V]
	missing []int // the indexes of those that are to be loaded
	skipped int
}

func (r *reader[K, V]) warmUp(
	ctx context.Context, keys iter.Seq[K], loader tarn.Loader[K, V], config WarmUpConfig,
) (WarmUpProgress, error) {
	if keys == nil {
		return WarmUpProgress{}, errors.New("tarn: warm-up: keys is nil")
	}
	if err := config.complete(); err != nil {
		return WarmUpProgress{}, err
	}
	w := &warmUp[K, V]{reader: r, loader: loader, config: config}
	w.loaded = make(chan warmBatch[K, V], w.config.Parallel)
	inner, cancel := context.WithCancel(ctx)
	defer func() { // if keys or Progress panics, too
		cancel()
		for ; w.running > 0; w.running-- {
			<-w.loaded
		}
	}()
	w.all(inner, keys)
	w.progress.Err = nil
	switch {
	case r.closed.Load():
		return w.progress, tarn.ErrClosed
	case ctx.Err() != nil:
		return w.progress, ctx.Err()
	case w.progress.Failed > 0:
		return w.progress, &WarmUpError{w.progress.Failed, w.errs}
	}
	return w.progress, nil
}

// all does all batches, and waits for them.
func (w *warmUp[K, V]) all(ctx context.Context, keys iter.Seq[K]) {
	var batch []K
	for key := range keys {
		if w.over(ctx) {
			return
		}
		if batch = append(batch, key); len(batch) == w.config.Batch {
			w.begin(ctx, batch)
			batch = nil
		}
	}
	if len(batch) > 0 && !w.over(ctx) {
		w.begin(ctx, batch)
	}
	for w.running > 0 {
		w.end(ctx, <-w.loaded)
	}
}

// over reports whether no further batch is to be begun.
func (w *warmUp[K, V]) over(ctx context.Context) bool {
	return ctx.Err() != nil || w.reader.closed.Load() || w.config.StopAtError && w.progress.Failed > 0
}

// begin looks a batch up, and begins to load what is missing when it is its turn.
func (w *warmUp[K, V]) begin(ctx context.Context, keys []K) {
	for w.running == w.config.Parallel {
		w.end(ctx, <-w.loaded)
	}
	if w.over(ctx) {
		return
	}
	b := w.reader.warmth(ctx, keys)
	w.pace(ctx, len(keys)-b.skipped)
	if len(b.missing) == 0 || w.over(ctx) {
		w.count(ctx, b)
		return
	}
	w.running++
	go w.load(ctx, b)
}

// load loads what is missing of a batch. A panic there, such as one of WithLoadContext's function, nobody else could see.
func (w *warmUp[K, V]) load(ctx context.Context, b warmBatch[K, V]) {
	returned := false
	defer func() {
		if !returned {
			err := &tarn.PanicError{Value: recover(), Stack: debug.Stack()}
			for _, i := range b.missing {
				b.results[i].Err = err
			}
		}
		w.loaded <- b
	}()
	w.reader.loadBatch(ctx, b.keys, b.results, b.missing, w.loader, func(int) <-chan struct{} { return nil })
	returned = true
}

// errUnloaded is what a key has before it is loaded, and if that does not come to pass.
var errUnloaded = errors.New("tarn: warm-up: not loaded")

// warmth looks keys up and finds those that are to be loaded. Those that the store cannot look up have its error.
func (r *reader[K, V]) warmth(ctx context.Context, keys []K) warmBatch[K, V] {
	b := warmBatch[K, V]{keys: keys, results: make([]tarn.Result[V], len(keys))}
	lookups := make([]tarn.Lookup[V], len(keys))
	around, bad := r.around(keys), r.repairs.tags.Load()
	err := r.lookup(ctx, keys, lookups)
	if err != nil && ctx.Err() == nil && !r.closed.Load() {
		r.lookupFailed(ctx, err, keys, lookups)
	}
	for _, i := range around {
		lookups[i].Found = false
	}
	for i := range keys {
		l := &lookups[i]
		switch b.results[i].Err = tarn.ErrAt(err, i, len(keys)); {
		case b.results[i].Err != nil:
		case l.Found && !l.Entry.Stale && !bad.has(l.Entry.Tags):
			b.skipped++
		default:
			b.results[i].Err = errUnloaded
			b.missing = append(b.missing, i)
		}
	}
	return b
}

// pace waits until n more keys may be loaded. Batches that end meanwhile are counted.
func (w *warmUp[K, V]) pace(ctx context.Context, n int) {
	if w.config.PerSecond == 0 || n == 0 {
		return
	}
	now := time.Now()
	if w.next.Before(now) {
		w.next = now
	}
	turn := time.NewTimer(w.next.Sub(now))
	defer turn.Stop()
	w.next = w.next.Add(time.Duration(min(float64(n)/w.config.PerSecond*float64(time.Second), math.MaxInt64/2)))
	for {
		select {
		case <-turn.C:
			return
		case <-ctx.Done():
			return
		case b := <-w.loaded:
			w.end(ctx, b)
		}
	}
}

// end counts a batch that was received from loaded.
func (w *warmUp[K, V]) end(ctx context.Context, b warmBatch[K, V]) {
	w.running--
	w.count(ctx, b)
}

// count counts a batch, and tells how far it is. What failed since ctx has ended, or the cache was closed, did not fail.
func (w *warmUp[K, V]) count(ctx context.Context, b warmBatch[K, V]) {
	p := &w.progress
	p.Skipped += b.skipped
	failed := &tarn.BatchError[K]{Op: "get"}
	p.Loaded -= b.skipped // which have no error either
	for i, res := range b.results {
		switch {
		case res.Err == nil:
			p.Loaded++
		case errors.Is(res.Err, tarn.ErrNotFound):
			p.Absent++
		case res.Err == errUnloaded, ctx.Err() != nil, w.reader.closed.Load():
		default:
			p.Failed++
			failed.Failed = append(failed.Failed, tarn.KeyError[K]{Key: b.keys[i], Err: res.Err})
			if len(w.errs) < warmUpErrors {
				w.errs = append(w.errs, res.Err)
			}
		}
	}
	if p.Err = nil; len(failed.Failed) > 0 {
		p.Err = failed
	}
	if w.config.Progress != nil {
		w.config.Progress(*p)
	}
}
