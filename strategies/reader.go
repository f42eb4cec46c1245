package strategies

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
	"golang.org/x/sync/semaphore"
)

// Why a hit is to be looked at.
const (
	attentiveObserver uint32 = 1 << iota // somebody is told of it
	attentiveHits                        // it prolongs a life, or begins a refresh
	attentiveRepairs                     // there are keys to go around
	attentiveClosed
)

// maxRefreshes bounds how many loads run in the background, for which no caller waits.
const maxRefreshes = 256

// reader is what the read strategies share: the way from a key to its value.
type reader[K comparable, V any] struct {
	store   tarn.Store[K, V]
	batch   tarn.BatchStore[K, V] // nil: keys one by one
	one     oneGetter[K, V]       // by which the store is read
	many    manyGetter[K, V]      // nil: keys one by one
	leaser  tarn.Leaser[K, V]     // nil: blind fills
	holder  tarn.Holder[K, V]
	toucher tarn.Toucher[K, V] // nil: deadlines are moved by no use
	hitter  tarn.Hitter[K, V]  // nil: a hit is an entry
	tagger  tarn.Tagger        // nil: entries have no tags
	tags    func(K, V) []string
	clock   ttl.Clock
	config  readConfig
	shared  bool // other processes use the store
	gathers bool // there is one loader, so that keys can be reloaded together

	foreignTags atomic.Bool // a loader or SetFor may give tags, which nobody knows of a value that was written

	flights   flights[K, V]
	gathering gathering[K, V]

	vain    vain[K]
	repairs repairs[K]
	places  *semaphore.Weighted // nil: as many loads as callers want

	closed     atomic.Bool
	attentive  atomic.Uint32 // why a plain hit is not all there is to do; 0: it is
	refreshing atomic.Int64
	cost       cost
}

func newReader[K comparable, V any](name string, store tarn.Store[K, V], opts []ReadOption) *reader[K, V] {
	if isNil(store) {
		panic(fmt.Sprintf("strategies: %s: store is nil", name))
	}
	r := &reader[K, V]{config: newReadConfig(opts)}
	r.shared = shared(store)
	r.store, r.leaser, r.holder = guarded(store)
	r.batch, _ = tarn.As[tarn.BatchStore[K, V]](r.store)
	r.toucher, _ = tarn.As[tarn.Toucher[K, V]](r.store)
	r.hitter, _ = tarn.As[tarn.Hitter[K, V]](r.store)
	r.tagger, _ = tarn.As[tarn.Tagger](r.store)
	r.tags = tagOf[K, V](name, &r.config, r.tagger)
	p := r.config.policy
	if p.Sliding > 0 && r.toucher == nil {
		panic(fmt.Sprintf("strategies: %s: Policy.Sliding needs a store that implements tarn.Toucher", name))
	}
	if r.config.blindFills {
		r.leaser = nil
	}
	if r.one = r.store; r.batch != nil {
		r.many = r.batch
	}
	if limit := r.config.storeTimeout; limit > 0 {
		r.limitStore(limit)
	}
	if c, ok := tarn.As[tarn.Clocker](store); ok {
		r.clock = c.Clock()
	} else {
		r.clock = ttl.NewClock()
	}
	if n := r.config.maxLoads; n > 0 {
		r.places = semaphore.NewWeighted(int64(n))
	}
	if r.config.observer != nil {
		r.attentive.Or(attentiveObserver)
	}
	if p.Sliding > 0 || p.EarlyRefresh > 0 {
		r.attentive.Or(attentiveHits)
	}
	r.flights.slots = make(map[K]*slot[K, V])
	r.flights.loads = make(map[*load[K, V]]struct{})
	return r
}

// get returns the value of key from the store, or else, if there is a loader, from the source.
func (r *reader[K, V]) get(ctx context.Context, key K, loader tarn.Loader[K, V]) (V, error) {
	if r.hitter != nil {
		if attentive := r.attentive.Load(); attentive&^attentiveObserver == 0 {
			if v, ok := r.hitter.Hit(key); ok {
				if attentive != 0 {
					r.note(ctx, tarn.EventHit, key)
				}
				return v, nil
			}
		}
	}
	return r.getEntry(ctx, key, loader, nil)
}

// getEntry is get for whatever the store cannot say without the whole entry.
func (r *reader[K, V]) getEntry(ctx context.Context, key K, loader tarn.Loader[K, V], from *origin[V]) (V, error) {
	if r.broken(key) != 0 { // asked before the store is: what it had may be repaired meanwhile
		return r.look(ctx, key, loader, tarn.Entry[V]{}, false, nil, from)
	}
	bad := r.repairs.tags.Load() // this too: an entry that has one of them is not served
	e, found, err := r.one.Get(ctx, key)
	if bad.has(e.Tags) {
		e, found = tarn.Entry[V]{}, false
	}
	if err == nil && found && !e.Stale && r.attentive.Load() == 0 && from == nil {
		return answer(e)
	}
	return r.look(ctx, key, loader, e, found, err, from)
}

// answer is what an entry says.
func answer[V any](e tarn.Entry[V]) (V, error) {
	if e.Negative {
		var zero V
		return zero, tarn.ErrNotFound
	}
	return e.Value, nil
}

// look is get for all that is more than a plain hit, once the store has answered.
func (r *reader[K, V]) look(
	ctx context.Context, key K, loader tarn.Loader[K, V], e tarn.Entry[V], found bool, err error, from *origin[V],
) (V, error) {
	var zero V
	switch {
	case r.closed.Load() || errors.Is(err, tarn.ErrClosed):
		return zero, tarn.ErrClosed
	case err != nil:
		r.storeFailed(ctx, err, key)
		if loader == nil {
			return zero, named("get", err)
		}
		found = false
	case found && !e.Stale:
		from.is(r.used(ctx, key, loader, e), &e)
		return answer(e)
	case found:
		standing := r.standing(&e)
		if how, ok := r.serves(ctx, key, loader, &e, standing); ok {
			from.is(how, &e)
			return answer(e)
		}
		if standing == rescuing && loader != nil {
			return r.lookBeyond(ctx, key, loader, e, from)
		}
	}
	r.note(ctx, tarn.EventMiss, key)
	if loader == nil {
		return zero, tarn.ErrNotFound
	}
	res, how, _ := r.load(ctx, key, loader, nil)
	from.is(how, nil)
	return res.Value, res.Err
}

// lookBeyond is look for an entry that is served if the source has nothing better to offer in time.
func (r *reader[K, V]) lookBeyond(
	ctx context.Context, key K, loader tarn.Loader[K, V], e tarn.Entry[V], from *origin[V],
) (V, error) {
	if !r.spared(key, &e) {
		r.note(ctx, tarn.EventMiss, key)
		late, stop := r.patience()
		if stop != nil {
			defer stop()
		}
		res, how, gaveUp := r.load(ctx, key, loader, late)
		if !gaveUp && !r.rescues(ctx, &e, res.Err) {
			from.is(how, nil)
			return res.Value, res.Err
		}
	}
	r.note(ctx, tarn.EventRescued, key)
	from.is(HowRescued, &e)
	return answer(e)
}

// used does what a hit brings with it beside its answer.
func (r *reader[K, V]) used(ctx context.Context, key K, loader tarn.Loader[K, V], e tarn.Entry[V]) How {
	how, kind := howHit(&e)
	r.note(ctx, kind, key)
	p := r.config.policy
	if p.Sliding > 0 && !e.Negative && ctx.Err() == nil {
		r.slide(ctx, key, e)
	}
	if p.EarlyRefresh > 0 && loader != nil && how == HowFresh {
		end := r.endOf(&e)
		if p.Refresh(r.clock.Now(), end, r.cost.load(), rand.Float64()) {
			r.refresh(ctx, key, loader, end)
		}
	}
	return how
}

// slide prolongs the life of an entry that was used. It shortens none, such as one that SetFor gave.
func (r *reader[K, V]) slide(ctx context.Context, key K, e tarn.Entry[V]) {
	expires := r.config.policy.Slide(r.clock.Now(), e.Fresh)
	if e.Expires == 0 || expires <= e.Expires {
		return
	}
	if _, err := r.toucher.Touch(ctx, key, expires); err != nil {
		r.storeFailed(ctx, err, key)
	}
}

// loadable returns the error that keeps a key from being loaded, if there is one.
func (r *reader[K, V]) loadable(ctx context.Context, loader tarn.Loader[K, V]) error {
	if isNil(loader) { // LookAsideCache.Fetch looks no closer than it must: a hit needs none
		return errNoLoader
	}
	return ctx.Err()
}

// load returns what the source has, sharing the load as far as that is right. See flight. gaveUp says that late was
// closed before the load ended, which goes on.
func (r *reader[K, V]) load(
	ctx context.Context, key K, loader tarn.Loader[K, V], late <-chan struct{},
) (res tarn.Result[V], how How, gaveUp bool) {
	if err := r.loadable(ctx, loader); err != nil {
		return tarn.Result[V]{Err: err}, HowUnknown, false
	}
	f, err := r.board(ctx, key, loader)
	if err != nil {
		return tarn.Result[V]{Err: err}, HowUnknown, false
	}
	hard, stop := after(r.config.hardTimeout)
	if stop != nil {
		defer stop()
	}
	return r.await(ctx, f, limits{late, hard})
}

// board finds a flight for one key, and starts it if it is new.
func (r *reader[K, V]) board(ctx context.Context, key K, loader tarn.Loader[K, V]) (*flight[K, V], error) {
	w := r.wish(ctx, loader)
	if w.parent.within(r, key) {
		return nil, tarn.ErrRecursive
	}
	newFlight := func(bool) *flight[K, V] { return r.newLoad(&w).flight(key) }
	if key != key {
		f := newFlight(false) // a key that equals nothing, itself included, can be shared with nobody
		f.load.start()
		return f, nil
	}
	f, how := r.flights.board(key, newFlight)
	if how == asking {
		stands, err := r.stands(ctx, f)
		if err != nil {
			r.storeFailed(ctx, err, key)
		}
		f, how = r.flights.boardAsked(f, stands, newFlight)
	}
	if how == created {
		f.load.start()
	}
	return f, nil
}

// stands asks the store whether the lease of a flight still stands.
func (r *reader[K, V]) stands(ctx context.Context, f *flight[K, V]) (bool, error) {
	if r.broken(f.key) != 0 {
		return false, nil // the lease may stand only because the store could not be told
	}
	var into [1]bool
	token, _ := r.flights.leaseOf(f)
	err := r.leaser.Stands(ctx, []K{f.key}, []tarn.Token{token}, into[:])
	if err != nil || !into[0] || !r.mayBeTagged(f) {
		return into[0] && err == nil, err
	}
	now, err := r.tagger.Stamp(ctx)
	return err == nil && r.untouched(f, now), err
}

// entry makes an entry of what was loaded; ok says whether there is one to store. err is what the loader said of it that
// makes no sense: then it is not stored.
func (r *reader[K, V]) entry(res *tarn.Loaded[V]) (e tarn.Entry[V], ok bool, err error) {
	absent := errors.Is(res.Err, tarn.ErrNotFound)
	if res.Err != nil && !absent {
		return e, false, nil
	}
	policy := r.config.policy
	if res.Policy != nil {
		if err := ofLoader(res.Policy); err != nil {
			return e, false, err
		}
		policy.Fresh, policy.Negative, policy.Jitter = res.Policy.Fresh, res.Policy.Negative, res.Policy.Jitter
	}
	if absent {
		e, ok = r.negative(policy)
		return e, ok, nil
	}
	return r.positive(res.Value, policy), true, nil
}

// ofLoader returns an error that names the fields if a policy sets what a loader cannot choose, or if it makes no sense.
func ofLoader(p *ttl.Policy) error {
	chosen := *p
	chosen.Fresh, chosen.Negative, chosen.Jitter = 0, 0, 0
	if chosen == (ttl.Policy{}) {
		if err := p.Validate(); err != nil {
			return fmt.Errorf("tarn: load: the loader's policy: %w", err)
		}
		return nil
	}
	var names []string
	for i, all := 0, reflect.ValueOf(chosen); i < all.NumField(); i++ {
		if !all.Field(i).IsZero() {
			names = append(names, all.Type().Field(i).Name)
		}
	}
	return fmt.Errorf("tarn: load: the loader's policy sets %s: it can choose Fresh, Negative and Jitter alone",
		strings.Join(names, ", "))
}

// positive is the entry of a value under policy.
func (r *reader[K, V]) positive(value V, policy ttl.Policy) tarn.Entry[V] {
	e := tarn.Entry[V]{Value: value}
	if policy.Fresh != 0 || policy.Sliding != 0 {
		e.Fresh, e.Expires = policy.Deadlines(r.clock.Now(), random(policy))
	}
	if policy.Sliding == 0 && e.Fresh == 0 && r.config.policy.Sliding > 0 {
		e.Fresh = e.Expires // use does not prolong a life that does not slide
	}
	return e
}

// negative is the entry of an absence under policy, if that remembers one.
func (r *reader[K, V]) negative(policy ttl.Policy) (e tarn.Entry[V], ok bool) {
	if policy.Negative <= 0 {
		return e, false
	}
	e.Negative = true
	e.Expires, ok = policy.NegativeDeadline(r.clock.Now(), random(policy))
	return e, ok
}

func random(policy ttl.Policy) float64 {
	if policy.Jitter == 0 {
		return 0
	}
	return rand.Float64()
}

// fill ends leases, or without a leaser stores what is to be stored blindly. What has tags and no stamp of before it was
// loaded is not stored.
func (r *reader[K, V]) fill(ctx context.Context, fills []tarn.Fill[K, V]) error {
	if r.leaser != nil {
		return r.leaser.Fill(ctx, fills)
	}
	var errs []error
	for i := range fills {
		if f := &fills[i]; f.Store && !unstamped(&f.Entry) {
			err := r.store.Set(ctx, f.Key, f.Entry)
			f.Stored = err == nil
			if err != nil && !errors.Is(err, tarn.ErrHeld) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// note tells the observer of something about one key.
func (r *reader[K, V]) note(ctx context.Context, kind tarn.EventKind, key K) {
	if r.config.observer != nil {
		observeKeys(ctx, &r.config.common, tarn.Event{Kind: kind}, key)
	}
}

// storeFailed tells the observer that the store failed; a cancelled context is no failure of the store.
func (r *reader[K, V]) storeFailed(ctx context.Context, err error, keys ...K) {
	if ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		observeKeys(ctx, &r.config.common, tarn.Event{Kind: tarn.EventStoreFailed, Err: err}, keys...)
	}
}

// close ends the loads and waits for them, as long as ctx allows.
func (r *reader[K, V]) close(ctx context.Context) error {
	r.closed.Store(true)
	r.attentive.Or(attentiveClosed)
	repaired := r.endRepairs(ctx)
	r.flights.shut()
	r.departGathered(nil)
	if err := r.flights.close(ctx); err != nil {
		return fmt.Errorf("tarn: close: loads are still running: %w", err)
	}
	if !repaired {
		return named("close", tarn.ErrMaybeStale)
	}
	return nil
}

// cost is what a load takes, as a moving average.
type cost struct{ ns atomic.Int64 }

func (c *cost) load() time.Duration { return time.Duration(c.ns.Load()) }

func (c *cost) add(took time.Duration) {
	old := c.ns.Load()
	now := old + (int64(took)-old)/8
	if old == 0 {
		now = int64(took) // the first says all that is known
	}
	c.ns.CompareAndSwap(old, now) // a lost update is no loss to an average
}
