package strategies

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
)

// getMany is get for many keys: one batch read of the store, then as few loads as sharing and the bound on a batch
// allow. Results go by index; keys may come twice.
func (r *reader[K, V]) getMany(ctx context.Context, keys []K, into []tarn.Result[V], loader tarn.Loader[K, V]) error {
	if err := sameLength(len(keys), len(into)); err != nil || len(keys) == 0 {
		return err
	}
	attentive := r.attentive.Load()
	if r.hitter == nil || attentive&^attentiveObserver != 0 {
		return r.getEntries(ctx, keys, into, loader)
	}
	var rest []int
	for i, key := range keys {
		if v, ok := r.hitter.Hit(key); ok {
			into[i] = tarn.Result[V]{Value: v}
			if attentive != 0 {
				r.note(ctx, tarn.EventHit, key)
			}
		} else {
			rest = append(rest, i)
		}
	}
	if len(rest) == 0 {
		return nil
	}
	restKeys, restInto := make([]K, len(rest)), make([]tarn.Result[V], len(rest))
	for n, i := range rest {
		restKeys[n] = keys[i]
	}
	if err := r.getEntries(ctx, restKeys, restInto, loader); err != nil {
		return err
	}
	for n, i := range rest {
		into[i] = restInto[n]
	}
	return nil
}

// getEntries is getMany for what the store cannot say without the whole entries.
func (r *reader[K, V]) getEntries(ctx context.Context, keys []K, into []tarn.Result[V], loader tarn.Loader[K, V]) error {
	if r.batch == nil && loader == nil {
		return r.getEach(ctx, keys, into)
	}
	around := r.around(keys) // asked before the store is
	bad := r.repairs.tags.Load()
	lookups := make([]tarn.Lookup[V], len(keys))
	if err := r.lookup(ctx, keys, lookups); err != nil {
		if r.closed.Load() || errors.Is(err, tarn.ErrClosed) {
			return tarn.ErrClosed
		}
		if loader == nil {
			r.storeFailed(ctx, err, keys...)
			return named("get", err)
		}
		r.lookupFailed(ctx, err, keys, lookups)
	}
	for _, i := range around {
		lookups[i].Found = false
	}
	for i := range lookups {
		if bad.has(lookups[i].Entry.Tags) {
			lookups[i] = tarn.Lookup[V]{}
		}
	}
	if r.attentive.Load() != 0 {
		return r.lookMany(ctx, keys, lookups, into, loader)
	}
	var rest []int
	for i := range lookups {
		if e := &lookups[i].Entry; lookups[i].Found && !e.Stale {
			into[i].Value, into[i].Err = answer(*e)
			continue
		}
		rest = append(rest, i)
	}
	if len(rest) > 0 {
		r.missMany(ctx, keys, lookups, into, rest, loader)
	}
	return nil
}

// getEach is getEntries for a store that reads one key at a time where nothing is to be loaded together either.
func (r *reader[K, V]) getEach(ctx context.Context, keys []K, into []tarn.Result[V]) error {
	if r.closed.Load() {
		return tarn.ErrClosed
	}
	for i, key := range keys {
		into[i].Value, into[i].Err = r.getEntry(ctx, key, nil, nil)
	}
	return nil
}

// around returns the indexes of the keys for which the reader goes around the store.
func (r *reader[K, V]) around(keys []K) (which []int) {
	if !r.repairs.any.Load() {
		return nil
	}
	for i, key := range keys {
		if r.broken(key) != 0 {
			which = append(which, i)
		}
	}
	return which
}

// lookup reads the keys from the store. One by one, a key that fails keeps none of the others.
func (r *reader[K, V]) lookup(ctx context.Context, keys []K, lookups []tarn.Lookup[V]) error {
	if r.batch != nil {
		return r.many.GetMany(ctx, keys, lookups)
	}
	return eachOf(len(keys), func(i int) (err error) {
		lookups[i].Entry, lookups[i].Found, err = r.one.Get(ctx, keys[i])
		return err
	})
}

// lookupFailed forgets what was looked up of the keys that err concerns.
func (r *reader[K, V]) lookupFailed(ctx context.Context, err error, keys []K, lookups []tarn.Lookup[V]) {
	var failed []K
	for i, key := range keys {
		if tarn.ErrAt(err, i, len(keys)) != nil {
			failed = append(failed, key)
			lookups[i] = tarn.Lookup[V]{}
		}
	}
	r.storeFailed(ctx, err, failed...)
}

// lookMany is getMany for a reader whose hits bring more with them than their answers.
func (r *reader[K, V]) lookMany(
	ctx context.Context, keys []K, lookups []tarn.Lookup[V], into []tarn.Result[V], loader tarn.Loader[K, V],
) error {
	if r.closed.Load() {
		return tarn.ErrClosed
	}
	var rest []int
	for i := range lookups {
		e := lookups[i].Entry
		if !lookups[i].Found || e.Stale {
			rest = append(rest, i)
			continue
		}
		r.used(ctx, keys[i], loader, e)
		into[i].Value, into[i].Err = answer(e)
	}
	if len(rest) > 0 {
		r.missMany(ctx, keys, lookups, into, rest, loader)
	}
	return nil
}

// missMany answers the keys, by their indexes in rest, for which the store had nothing fresh.
func (r *reader[K, V]) missMany(
	ctx context.Context, keys []K, lookups []tarn.Lookup[V], into []tarn.Result[V], rest []int, loader tarn.Loader[K, V],
) {
	var load []int
	late, stop := (<-chan struct{})(nil), func() bool { return false }
	for _, i := range rest {
		e := &lookups[i].Entry
		if lookups[i].Found {
			standing := r.standing(e)
			if _, ok := r.serves(ctx, keys[i], loader, e, standing); ok {
				into[i].Value, into[i].Err = answer(*e)
				continue
			}
			if lookups[i].Found = standing == rescuing && loader != nil; lookups[i].Found && r.spared(keys[i], e) {
				r.note(ctx, tarn.EventRescued, keys[i])
				into[i].Value, into[i].Err = answer(*e)
				continue
			}
			if lookups[i].Found && late == nil {
				if c, end := r.patience(); end != nil {
					late, stop = c, end
				}
			}
		}
		switch {
		case loader == nil:
			into[i] = tarn.Result[V]{Err: tarn.ErrNotFound}
		default:
			load = append(load, i)
		}
		r.note(ctx, tarn.EventMiss, keys[i])
	}
	if len(load) == 0 {
		return
	}
	defer stop()
	r.loadBatch(ctx, keys, into, load, loader, func(i int) <-chan struct{} {
		if lookups[i].Found {
			return late
		}
		return nil
	})
	for _, i := range load {
		if e := &lookups[i].Entry; into[i].Err == errGaveUp || lookups[i].Found && r.rescues(ctx, e, into[i].Err) {
			r.note(ctx, tarn.EventRescued, keys[i])
			into[i].Value, into[i].Err = answer(*e)
		}
	}
}

// errGaveUp stands for the answer of a load that a caller with an old value waits for no longer.
var errGaveUp = errors.New("tarn: load: waited for long enough")

// loadBatch is load for the keys at the indexes in which.
func (r *reader[K, V]) loadBatch(
	ctx context.Context, keys []K, into []tarn.Result[V], which []int, loader tarn.Loader[K, V],
	late func(i int) <-chan struct{},
) {
	if err := r.loadable(ctx, loader); err != nil {
		for _, i := range which {
			into[i] = tarn.Result[V]{Err: err}
		}
		return
	}
	first := make(map[K]int, len(which))
	distinct := make([]int, 0, len(which))
	for _, i := range which {
		if _, twice := first[keys[i]]; !twice {
			first[keys[i]] = i
			distinct = append(distinct, i)
		}
	}
	hard, stop := after(r.config.hardTimeout)
	if stop != nil {
		defer stop()
	}
	for i, f := range r.boardBatch(ctx, keys, distinct, loader) {
		at, gaveUp := distinct[i], false
		if into[at], _, gaveUp = r.await(ctx, f, limits{late(at), hard}); gaveUp {
			into[at].Err = errGaveUp
		}
	}
	for _, i := range which {
		if at, ok := first[keys[i]]; ok {
			into[i] = into[at]
		}
	}
}

// await waits for a flight, for ctx, or for a limit: then the load goes on without the caller. gaveUp says that it was the
// limit for callers who could be given an old value. A nil flight is one that cannot be waited for.
func (r *reader[K, V]) await(
	ctx context.Context, f *flight[K, V], until limits,
) (res tarn.Result[V], how How, gaveUp bool) {
	if f == nil {
		return tarn.Result[V]{Err: tarn.ErrRecursive}, HowUnknown, false
	}
	if n := nestOf(ctx); n != nil {
		if !n.wait(f.nest) {
			r.flights.leave(f)
			return tarn.Result[V]{Err: tarn.ErrRecursive}, HowUnknown, false
		}
		defer n.awake(f.nest)
	}
	select {
	case <-f.done:
	case <-until.late:
		gaveUp = true
	case <-until.hard:
		res.Err = fmt.Errorf("%w: the caller waited %v, and the load goes on", tarn.ErrLoadTimeout, r.config.hardTimeout)
	case <-ctx.Done():
	}
	select {
	case <-f.done: // perhaps both came: one key of a batch may have waited for long enough, while this one was loaded
		return tarn.Result[V]{Value: f.value, Err: f.err}, f.how, false
	default:
	}
	if err := ctx.Err(); err != nil {
		r.flights.leave(f)
		return tarn.Result[V]{Err: err}, HowUnknown, false
	}
	if !r.flights.giveUp(f) {
		r.flights.leave(f)
	}
	return res, HowUnknown, gaveUp
}

// boardBatch finds a flight for each of the distinct keys at the indexes in which, and starts the new ones as one
// load. A flight is nil if the load of its key would wait for itself.
func (r *reader[K, V]) boardBatch(
	ctx context.Context, keys []K, which []int, loader tarn.Loader[K, V],
) []*flight[K, V] {
	seats := make([]*flight[K, V], len(which))
	w := r.wish(ctx, loader)
	together := r.newLoad(&w)
	var asked []int
	for i, at := range which {
		key := keys[at]
		switch {
		case w.parent.within(r, key):
		case key != key:
			seats[i] = r.newLoad(&w).flight(key)
			seats[i].load.start()
		default:
			var how boarding
			seats[i], how = r.flights.board(key, r.maker(&w, together, key))
			if how == asking {
				asked = append(asked, i)
			}
		}
	}
	together.depart() // before the store is asked, which may stall: others wait for these flights by now
	if len(asked) > 0 {
		r.ask(ctx, seats, asked, &w)
	}
	return seats
}

// depart starts a load if it has flights.
func (l *load[K, V]) depart() {
	if len(l.flights) > 0 {
		l.start()
	}
}

// maker makes the flight of one key: as part of the load together if it takes off at once, as a load of its own if
// it waits for another to land.
func (r *reader[K, V]) maker(w *wish[K, V], together *load[K, V], key K) maker[K, V] {
	return func(next bool) *flight[K, V] {
		if next {
			return r.newLoad(w).flight(key)
		}
		return together.flight(key)
	}
}

// ask asks the store in one call whether the leases of the flights stand that board answered asking for, and
// replaces those flights by ones that may be shared.
func (r *reader[K, V]) ask(ctx context.Context, seats []*flight[K, V], asked []int, w *wish[K, V]) {
	keys := make([]K, len(asked))
	tokens := make([]tarn.Token, len(asked))
	for n, i := range asked {
		keys[n] = seats[i].key
		tokens[n], _ = r.flights.leaseOf(seats[i])
	}
	stands := make([]bool, len(asked))
	if err := r.leaser.Stands(ctx, keys, tokens, stands); err != nil {
		r.storeFailed(ctx, err, keys...)
		clear(stands)
	}
	for _, i := range r.around(keys) {
		stands[i] = false
	}
	r.askTags(ctx, seats, asked, stands)
	together := r.newLoad(w)
	for n, i := range asked {
		seats[i], _ = r.flights.boardAsked(seats[i], stands[n], r.maker(w, together, keys[n]))
	}
	together.depart()
}
