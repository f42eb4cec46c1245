package strategies

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// loadsAtOnce is how many keys of one batch are loaded at once where the loader takes one at a time.
const loadsAtOnce = 16

// errNoAnswer is what a key gets for which a BatchLoader gave no answer.
var errNoAnswer = errors.New("tarn: load: LoadMany left a key without an answer")

// load is one journey to the source, for one flight or a batch of them. It runs on a goroutine and a context of
// its own: the values of its first caller's context, a time limit, and cancelled when its last caller has left.
type load[K comparable, V any] struct {
	reader  *reader[K, V]
	loader  tarn.Loader[K, V]
	many    tarn.BatchLoader[K, V] // nil: one key at a time
	stamps  bool                   // what it brings may have tags
	flights []*flight[K, V]

	background atomic.Bool // no caller waits, or one does no longer; it changes under flights.mu
	armed      sync.Once   // of a load above its time limit: its leases were ended

	ctx    context.Context
	cancel context.CancelFunc // nil until the load begins; protected by flights.mu
	nest   nest               // of all flights, or of the first if the loader takes one key at a time

	live int // flights that have not landed and have waiters; protected by flights.mu

	// rest counts the keys that LoadMany, which has one nest for all, has not answered and is still to be asked for.
	rest atomic.Int64

	one solo[K, V]
}

// solo is the room that the load of a single key needs, so that it is not made piece by piece.
type solo[K comparable, V any] struct {
	flight  flight[K, V]
	flights [1]*flight[K, V]
	keys    [1]K
	leases  [1]tarn.Lease[V]
	left    [1]*flight[K, V]
	results [1]tarn.Loaded[V]
	fills   [1]tarn.Fill[K, V]
}

// room returns n places: the one of a solo if that is enough for its load, and new ones otherwise.
func room[T any](solo *[1]T, load, n int) []T {
	if load == 1 && n == 1 {
		return solo[:]
	}
	return make([]T, n)
}

// wish is what a caller wants loaded with. It is made before any lock is taken, for it asks the application's
// context and loader.
type wish[K comparable, V any] struct {
	ctx    context.Context // of the load: without the caller's deadline and cancellation
	parent *nest
	loader tarn.Loader[K, V]
	many   tarn.BatchLoader[K, V] // nil: one key at a time
	stamps bool                   // what it brings may have tags
}

func (r *reader[K, V]) wish(ctx context.Context, loader tarn.Loader[K, V]) wish[K, V] {
	w := wish[K, V]{ctx: context.WithoutCancel(ctx), parent: nestOf(ctx), loader: loader}
	w.many, _ = tarn.As[tarn.BatchLoader[K, V]](loader)
	w.stamps = r.expects(loader)
	if r.config.loadContext != nil {
		w.ctx = context.WithoutCancel(r.config.loadContext(w.ctx))
	}
	return w
}

// newLoad returns a load that can make flights and then be started. The wish is its first caller's.
func (r *reader[K, V]) newLoad(w *wish[K, V]) *load[K, V] {
	l := &load[K, V]{reader: r, loader: w.loader, many: w.many, stamps: w.stamps}
	l.nest.parent = w.parent
	l.ctx = context.WithValue(w.ctx, nestKey{}, &l.nest)
	l.flights = l.one.flights[:0]
	return l
}

// flight adds a flight for key with one waiter. The caller holds flights.mu, or the flight is not in the table.
func (l *load[K, V]) flight(key K) *flight[K, V] {
	f := &l.one.flight
	if len(l.flights) > 0 {
		f = new(flight[K, V])
	}
	f.key, f.load, f.nest, f.done, f.waiters = key, l, &l.nest, make(chan struct{}), 1
	switch {
	case l.many != nil:
		l.nest.load = l
	case len(l.flights) == 0:
		l.nest.load = f
	default: // another call of the loader, which may ask for the keys of the others
		f.nest = &nest{parent: l.nest.parent, load: f}
	}
	l.flights = append(l.flights, f)
	l.live++
	return f
}

// start runs the load. Flights are complete.
func (l *load[K, V]) start() {
	if err := l.reader.flights.begin(l); err != nil {
		l.fail(l.flights, err)
		l.unburden()
		return
	}
	go l.run()
}

func (l *load[K, V]) run() {
	limit := time.AfterFunc(l.reader.config.loadTimeout, l.expire)
	defer func() {
		l.rescue(l.flights, recover())
		l.fail(l.flights, &tarn.PanicError{}) // all have landed, unless a function called Goexit
		if !limit.Stop() || l.timedOut() {
			l.armed.Do(l.rearmLate) // or waits for expire, which does it
		}
		l.cancel()
		for _, f := range l.flights {
			f.nest.end()
		}
		l.unburden()
		l.reader.flights.end(l)
	}()
	wait := l.reader.config.leaseWait > 0
	l.rest.Store(int64(len(l.flights)))
	left, waiting := l.look(l.flights, wait)
	if len(waiting) > 0 {
		l.outwait(left, waiting)
		return
	}
	l.loadAll(left)
}

// loadAll loads the keys.
func (l *load[K, V]) loadAll(fs []*flight[K, V]) {
	switch {
	case len(fs) == 0:
	case l.many != nil && len(fs) > 1:
		l.withPlace(fs, func() { l.loadMany(fs) })
	default:
		l.loadEach(fs)
	}
}

// unburden gives the place among the background loads back.
func (l *load[K, V]) unburden() {
	if l.background.Load() {
		l.reader.refreshing.Add(-1)
	}
}

// rescue is for panics of the store or the observer, which no caller could see: those who wait are told.
func (l *load[K, V]) rescue(fs []*flight[K, V], v any) {
	if v == nil {
		return
	}
	l.fail(fs, &tarn.PanicError{Value: v, Stack: debug.Stack()})
}

// expire gives up on a load that is above its time limit, so that a loader that ignores its context, or a store that
// stalls, hangs nobody. The loader may still run then, beside the next load of its key. Its context ends by its own
// deadline: cancelled here, a loader that obeys could not tell why. Leases end by themselves about now.
//
// An old value that is to be served for want of the new one is stored again here, under the lease, which lasts a little
// longer in that case.
func (l *load[K, V]) expire() {
	l.fail(l.flights, overdue(l.reader.config.loadTimeout))
	l.armed.Do(l.rearmLate)
}

// fail lands those of fs that have not landed with err.
func (l *load[K, V]) fail(fs []*flight[K, V], err error) {
	var zero V
	for _, f := range fs {
		l.land(f, zero, err, HowUnknown)
	}
}

// land makes a result known and starts the flight that waited for this one to end.
func (l *load[K, V]) land(f *flight[K, V], v V, err error, how How) {
	if next := l.reader.flights.land(f, v, err, how); next != nil {
		next.load.start()
	}
}

// look asks the store about the keys of fs and takes leases. It lands the flights whose keys have been stored
// meanwhile, and returns those that are to be loaded, and if wait is true those that somebody else is loading.
func (l *load[K, V]) look(fs []*flight[K, V], wait bool) (left, waiting []*flight[K, V]) {
	r := l.reader
	if r.leaser == nil || fs[0].key != fs[0].key {
		l.stampAll(fs)
		return fs, nil // blind fills, or NaN, which nothing can be stored under
	}
	r.flights.look(fs)
	all, n := len(l.flights), len(fs)
	keys, leases := room(&l.one.keys, all, n), room(&l.one.leases, all, n)
	for i, f := range fs {
		keys[i], leases[i], f.broken = f.key, tarn.Lease[V]{}, r.broken(f.key)
	}
	bad := r.repairs.tags.Load()
	terms := tarn.LeaseTerms{Life: r.leaseLife(), Refresh: true, Stamp: l.stamps} // stale ones are replaced
	if err := r.leaser.Lease(l.ctx, keys, terms, leases); err != nil {
		r.storeFailed(l.ctx, err, keys...) // what has no lease is loaded and not stored
	}
	for i := range leases {
		if lease := &leases[i]; bad.has(lease.Entry.Tags) {
			lease.Entry, lease.Found = tarn.Entry[V]{}, false
		}
	}
	r.flights.found(fs, leases)
	left = room(&l.one.left, all, n)[:0]
	for i, f := range fs {
		switch lease := &leases[i]; {
		case l.served(f, lease):
			l.release(l.ctx, fs[i:i+1])
			l.asked(fs[i : i+1])
			how := l.found(f, &lease.Entry)
			v, err := answer(lease.Entry)
			l.land(f, v, err, how)
		case wait && l.awaits(f, lease):
			waiting = append(waiting, f)
		default:
			left = append(left, f)
		}
	}
	r.flights.await(waiting)
	return left, waiting
}

// served reports whether a flight needs no load: an entry is there that is fresh, or that may be served while somebody
// else, whose lease stands, replaces it.
func (l *load[K, V]) served(f *flight[K, V], lease *tarn.Lease[V]) bool {
	switch e := &lease.Entry; {
	case !lease.Found || f.broken != 0:
		return false
	case !e.Stale:
		return f.early == 0 || lease.State == tarn.Leased || l.reader.renewed(e, f.early)
	default:
		if lease.State != tarn.Leased {
			return false
		}
		standing := l.reader.standing(e)
		return standing == due || standing == revalidating || standing == rescuing && e.Rescued
	}
}

// found says how an entry answers that a load found where it looked for a lease.
func (l *load[K, V]) found(f *flight[K, V], e *tarn.Entry[V]) How {
	how, kind := howHit(e)
	if e.Stale {
		switch l.reader.standing(e) {
		case revalidating:
			how, kind = HowStale, tarn.EventStaleHit
		case rescuing:
			how, kind = HowRescued, tarn.EventRescued
		}
	}
	if !l.background.Load() && (how == HowStale || how == HowRescued) {
		l.reader.note(l.ctx, kind, f.key)
	}
	return how
}

// withPlace runs f, which is one load or one call of it, when the bound on loads has a place for it. What a loader
// waits for does not wait for one, for the loader may have it.
func (l *load[K, V]) withPlace(fs []*flight[K, V], f func()) {
	places := l.reader.places
	if places == nil {
		f()
		return
	}
	wait, hurry := context.WithCancel(l.ctx)
	defer hurry()
	if !fs[0].nest.urgent(hurry) {
		switch err := places.Acquire(wait, 1); {
		case err == nil:
			defer places.Release(1)
		case l.ctx.Err() != nil:
			l.deliver(fs, failed[V](len(fs), err))
			return
		}
	}
	f()
}

// loadEach loads the keys one by one, several at once.
func (l *load[K, V]) loadEach(fs []*flight[K, V]) {
	if len(fs) == 1 {
		l.withPlace(fs, func() { l.loadOne(fs) })
		return
	}
	var all sync.WaitGroup
	all.Add(len(fs))
	begun := make([]atomic.Bool, len(fs))
	begin := func(i int, leave func()) bool {
		if !begun[i].CompareAndSwap(false, true) {
			return false
		}
		go func() {
			defer all.Done()
			defer leave()
			defer func() { l.rescue(fs[i:i+1], recover()) }()
			l.withPlace(fs[i:i+1], func() { l.loadOne(fs[i : i+1]) })
		}()
		return true
	}
	// What a loader waits for begins at once, outside the room: those in the room may be waiting for it.
	for i, f := range fs {
		f.nest.queue(func() { begin(i, func() {}) })
	}
	room := make(chan struct{}, loadsAtOnce)
	for i := range fs {
		if begun[i].Load() {
			continue
		}
		room <- struct{}{}
		if !begin(i, func() { <-room }) {
			<-room
		}
	}
	all.Wait()
}

// loadOne loads the key of the one flight in fs.
func (l *load[K, V]) loadOne(fs []*flight[K, V]) {
	l.contain(fs, func(into []tarn.Loaded[V]) {
		key, ctx := fs[0].key, l.ctx
		if n := fs[0].nest; n != &l.nest {
			ctx = context.WithValue(ctx, nestKey{}, n)
		}
		if chooser, ok := tarn.As[tarn.EntryLoader[K, V]](l.loader); ok {
			got, err := chooser.LoadEntry(ctx, key)
			got.Err = err
			into[0] = got
			return
		}
		v, err := l.loader.Load(ctx, key)
		into[0] = tarn.Loaded[V]{Value: v, Err: err}
	})
}

// loadMany loads the keys with as few calls as the bound on a batch allows.
func (l *load[K, V]) loadMany(fs []*flight[K, V]) {
	for len(fs) > 0 {
		n := min(len(fs), l.reader.config.maxBatch)
		part := fs[:n]
		fs = fs[n:]
		l.contain(part, func(into []tarn.Loaded[V]) {
			keys := make([]K, n)
			for i, f := range part {
				keys[i] = f.key
				into[i].Err = errNoAnswer
			}
			if err := l.many.LoadMany(l.ctx, keys, into); err != nil {
				copy(into, failed[V](n, err))
			}
		})
	}
}

// contain runs a call to the source and delivers its results, also if it panics or ends its goroutine.
func (l *load[K, V]) contain(fs []*flight[K, V], call func(into []tarn.Loaded[V])) {
	into := room(&l.one.results, len(l.flights), len(fs))
	start := time.Now()
	returned := false
	defer func() {
		if !returned {
			v := recover()
			p := &tarn.PanicError{Value: v}
			if v != nil {
				p.Stack = debug.Stack()
			}
			into = failed[V](len(fs), p)
		}
		l.loaded(fs, into, time.Since(start))
		l.deliver(fs, into)
	}()
	call(into)
	l.addTags(fs, into)
	returned = true
}

// loaded tells the observer, and learns what a load costs.
func (l *load[K, V]) loaded(fs []*flight[K, V], results []tarn.Loaded[V], took time.Duration) {
	r := l.reader
	if !errors.Is(results[0].Err, tarn.ErrShed) {
		r.cost.add(took)
	}
	if r.config.observer == nil {
		return
	}
	var answered, failed, shed []K
	var err, shedErr error
	for i, res := range results {
		switch {
		case res.Err == nil || errors.Is(res.Err, tarn.ErrNotFound):
			answered = append(answered, fs[i].key)
		case errors.Is(res.Err, tarn.ErrShed):
			shed = append(shed, fs[i].key)
			shedErr = cmp.Or(shedErr, res.Err)
		default:
			failed = append(failed, fs[i].key)
			err = cmp.Or(err, res.Err)
		}
	}
	common := &r.config.common
	observeKeys(l.ctx, common, tarn.Event{Kind: tarn.EventLoaded, Duration: took}, answered...)
	observeKeys(l.ctx, common, tarn.Event{Kind: tarn.EventLoadFailed, Duration: took, Err: err}, failed...)
	observeKeys(l.ctx, common, tarn.Event{Kind: tarn.EventShed, Err: shedErr}, shed...)
}

// deliver stores what may be stored and lands the flights.
func (l *load[K, V]) deliver(fs []*flight[K, V], results []tarn.Loaded[V]) {
	l.fill(fs, results)
	l.asked(fs)
	var zero V
	for i, f := range fs {
		switch res := results[i]; {
		case res.Err == nil:
			l.land(f, res.Value, nil, HowLoaded)
		case errors.Is(res.Err, tarn.ErrNotFound):
			l.land(f, zero, tarn.ErrNotFound, HowLoaded)
		default:
			l.land(f, zero, l.explain(res.Err), HowUnknown)
		}
	}
}

// asked notes that the loader has been asked for the keys of fs, or will not be. Its callers have yet to go on, who may
// have its context.
func (l *load[K, V]) asked(fs []*flight[K, V]) {
	if rest := l.rest.Add(-int64(len(fs))); l.many != nil && rest > 0 {
		return
	}
	for _, f := range fs {
		f.nest.end()
	}
}

// explain says that an error came from a load, and why it was cancelled if the cache did that: a source that is
// cancelled often has an error of its own for it.
func (l *load[K, V]) explain(err error) error {
	var p *tarn.PanicError
	if errors.As(err, &p) {
		return err
	}
	switch ended := l.ctx.Err(); {
	case ended == context.Canceled && l.reader.closed.Load():
		return because(tarn.ErrClosed, ended, err)
	case ended == context.DeadlineExceeded:
		return because(overdue(l.reader.config.loadTimeout), ended, err)
	}
	return named("load", err)
}

// overdue says which time limit a load has passed.
func overdue(limit time.Duration) error { return fmt.Errorf("%w of %v", tarn.ErrLoadTimeout, limit) }

// because returns the reason why a load was cancelled, and err with it if that says more than that its context ended.
func because(reason, ended, err error) error {
	if errors.Is(err, ended) {
		return reason
	}
	return fmt.Errorf("%w: %w", reason, bare(err))
}

// fill stores the results whose leases stand, and gives the other leases back.
func (l *load[K, V]) fill(fs []*flight[K, V], results []tarn.Loaded[V]) {
	r := l.reader
	fills := room(&l.one.fills, len(l.flights), len(fs))[:0]
	for i, f := range fs {
		if r.leaser != nil && !f.mine || r.leaser == nil && r.flights.gone(f) {
			continue
		}
		e, ok, err := r.entry(&results[i])
		if ok {
			err = r.tagged(&e, f.stamp, results[i].Tags)
		}
		if err != nil {
			observeKeys(l.ctx, &r.config.common, tarn.Event{Kind: tarn.EventFillDropped, Err: err}, f.key)
			ok = false
		}
		fill := tarn.Fill[K, V]{Key: f.key, Token: f.token, Store: ok, Entry: e, Over: f.over}
		switch err := results[i].Err; {
		case ok:
		case err == nil || errors.Is(err, tarn.ErrNotFound):
			if f.old { // the old value is not to be served again
				fill.Entry, fill.Store = tarn.Entry[V]{Negative: true, Expires: endOld}, true
			}
		case f.was != nil && l.timedOut():
			continue // see rearmLate
		case f.was != nil && l.ctx.Err() == nil:
			fill = f.rearm()
		}
		fills = append(fills, fill)
	}
	if len(fills) == 0 {
		return
	}
	ctx, cancel := l.afterwards()
	defer cancel()
	if err := r.fill(ctx, fills); err != nil {
		r.fillFailed(ctx, err, fills)
		return
	}
	for i, next := 0, fs; i < len(fills) && len(next) > 0; next = next[1:] {
		if f := next[0]; f.key == fills[i].Key {
			if fills[i].Stored && f.old { // where nothing was, a fill tells nobody who has a copy of what was there before
				r.repaired(f.key, f.broken)
			}
			i++
		}
	}
	if r.config.observer == nil {
		return
	}
	observeKeys(ctx, &r.config.common, tarn.Event{Kind: tarn.EventFillDropped}, dropped(fs, results, fills)...)
}

// dropped returns the keys whose loaded value, or absence, was not stored. fills are of some of fs, in their order.
func dropped[K comparable, V any](fs []*flight[K, V], results []tarn.Loaded[V], fills []tarn.Fill[K, V]) (keys []K) {
	for i, f := range fs {
		if len(fills) == 0 {
			break
		}
		fill := &fills[0]
		if fill.Key != f.key {
			continue
		}
		fills = fills[1:]
		answered := results[i].Err == nil || errors.Is(results[i].Err, tarn.ErrNotFound)
		if answered && fill.Store && !fill.Stored && !(fill.Entry.Negative && fill.Entry.Expires == endOld) {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// endOld is the deadline of an entry that is stored to end an old one.
const endOld ttl.Time = 1

// keysOf returns the keys of fills.
func keysOf[K comparable, V any](fills []tarn.Fill[K, V]) []K {
	keys := make([]K, len(fills))
	for i := range fills {
		keys[i] = fills[i].Key
	}
	return keys
}

// release gives leases back without storing anything.
func (l *load[K, V]) release(ctx context.Context, fs []*flight[K, V]) {
	fills := make([]tarn.Fill[K, V], 0, len(fs))
	l.reader.flights.mu.Lock()
	for _, f := range fs {
		if f.mine && !f.landed {
			fills = append(fills, tarn.Fill[K, V]{Key: f.key, Token: f.token})
		}
	}
	l.reader.flights.mu.Unlock()
	if len(fills) == 0 {
		return
	}
	if err := l.reader.fill(ctx, fills); err != nil {
		l.reader.fillFailed(ctx, err, fills)
	}
}

// fillFailed tells the observer, and keeps in mind the leases that may stand although nobody fills them any more.
func (r *reader[K, V]) fillFailed(ctx context.Context, err error, fills []tarn.Fill[K, V]) {
	r.storeFailed(ctx, err, keysOf(fills)...)
	for i, f := range fills {
		if tarn.ErrAt(err, i, len(fills)) != nil {
			r.vain.add(f.Key, f.Token)
		}
	}
}

// afterwards is the context for what is done with a load's result: the load's own while it lasts, and a short one
// if it was cancelled.
func (l *load[K, V]) afterwards() (context.Context, context.CancelFunc) {
	if l.ctx.Err() == nil {
		return l.ctx, func() {}
	}
	return context.WithTimeout(context.WithoutCancel(l.ctx), defaultSettleTimeout)
}

// failed is n results of one error.
func failed[V any](n int, err error) []tarn.Loaded[V] {
	into := make([]tarn.Loaded[V], n)
	for i := range into {
		into[i].Err = err
	}
	return into
}
