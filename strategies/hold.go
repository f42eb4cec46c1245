package strategies

import (
	"context"
	"errors"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// hold is a reader's Hold: the keys, and the tokens under which the store holds them.
type hold[K comparable, V any] struct {
	reader *reader[K, V]
	keys   []K
	tokens []tarn.Token // nil: nothing is held, by WithoutHolds
	broken []uint64     // what the keys were to be repaired of before; nil: nothing
	stamp  tarn.Stamp   // of before the source is written; zero: not known, or not needed
	until  ttl.Time     // the earliest instant at which the store may end the hold by itself
}

// nothingStored marks the context of a Hold whose Settle will store nothing, whatever the source is told: such a hold
// needs no moment of before. It goes by the context, so that a decorator of the inner cache passes it on.
type nothingStored struct{}

func storingNothing(ctx context.Context) context.Context {
	return context.WithValue(ctx, nothingStored{}, true)
}

func storesNothing(ctx context.Context) bool { return ctx.Value(nothingStored{}) != nil }

// hold holds keys in the store while their source is written.
func (r *reader[K, V]) hold(ctx context.Context, keys []K) (tarn.Hold[V], error) {
	if r.closed.Load() {
		return nil, tarn.ErrClosed
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	h := &hold[K, V]{reader: r, keys: keys}
	if r.repairs.any.Load() {
		h.broken = make([]uint64, len(keys))
		for i, key := range keys {
			h.broken[i] = r.broken(key)
		}
	}
	if r.tags != nil && !r.foreignTags.Load() && !storesNothing(ctx) {
		if h.stamp = r.stamp(ctx, keys...); ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	if r.config.withoutHolds {
		return h, nil
	}
	h.tokens = make([]tarn.Token, len(keys))
	h.until = r.clock.Now().Add(r.config.holdLife) // before it is sent: the store's count begins later
	if err := r.holder.Hold(ctx, keys, r.config.holdLife, h.tokens); err != nil {
		if r.config.holdsRequired && !refusesWrite(ctx, err) {
			r.storeFailed(ctx, err, keys...)
			err = &unheldError{err}
		}
		return nil, err
	}
	return h, nil
}

// Settle tells the store what became of the keys.
//
// If that fails, the write may be acknowledged all the same while the hold, by this process's own clock, cannot have
// run out before the source was written: then the hold stood at that instant, nothing older was stored since, and
// its end leaves an empty key behind.
func (h *hold[K, V]) Settle(ctx context.Context, outcomes []tarn.Outcome[V]) error {
	r := h.reader
	if err := sameLength(len(h.keys), len(outcomes)); err != nil {
		return err
	}
	entries := h.entries(ctx, outcomes)
	stood := h.tokens != nil && r.clock.Now() < h.until
	err := h.settle(ctx, entries)
	if err == nil {
		for i, n := range h.broken {
			r.repaired(h.keys[i], n)
		}
		return nil
	}
	r.storeFailed(ctx, err, h.keys...)
	if stood && !errors.Is(err, tarn.ErrClosed) {
		return nil
	}
	untold := untoldOf(err, h.keys)
	if len(untold) == 0 {
		return nil
	}
	r.broke(err, untold...)
	observeKeys(ctx, &r.config.common, tarn.Event{Kind: tarn.EventMaybeStale, Err: err}, untold...)
	return maybeStale(err)
}

// entries makes of outcomes what is to be stored. If a function of the application panics that is to name tags, the keys
// are forgotten first.
func (h *hold[K, V]) entries(ctx context.Context, outcomes []tarn.Outcome[V]) []outcomeEntry[V] {
	entries := make([]outcomeEntry[V], len(outcomes))
	named := false
	defer func() {
		if !named {
			_ = h.Settle(ctx, make([]tarn.Outcome[V], len(outcomes)))
		}
	}()
	for i, o := range outcomes {
		var err error
		if entries[i], err = h.reader.outcome(h.keys[i], o, h.stamp); err != nil {
			observeKeys(ctx, &h.reader.config.common, tarn.Event{Kind: tarn.EventFillDropped, Err: err}, h.keys[i])
		}
	}
	named = true
	return entries
}

func (h *hold[K, V]) settle(ctx context.Context, entries []outcomeEntry[V]) error {
	r := h.reader
	if h.tokens == nil {
		return eachOf(len(h.keys), func(i int) error { return r.tell(ctx, h.keys[i], &entries[i]) })
	}
	settlements := make([]tarn.Settlement[K, V], len(h.keys))
	for i, key := range h.keys {
		settlements[i] = tarn.Settlement[K, V]{
			Key: key, Token: h.tokens[i], Entry: entries[i].entry, Store: entries[i].store,
		}
	}
	return r.holder.Settle(ctx, settlements)
}

// tell tells the store of a write that held nothing.
func (r *reader[K, V]) tell(ctx context.Context, key K, o *outcomeEntry[V]) error {
	if o.store {
		err := r.store.Set(ctx, key, o.entry)
		switch {
		case errors.Is(err, tarn.ErrTooHeavy):
			return nil // nothing is left under the key
		case !errors.Is(err, tarn.ErrHeld):
			return err
		}
		// Somebody else holds the key, and may have written the source before. The delete keeps that from the store.
	}
	return r.store.Delete(ctx, key)
}

// outcomeEntry is what the store is told of a write.
type outcomeEntry[V any] struct {
	entry tarn.Entry[V]
	store bool // false: it forgets the key
}

// outcome makes an entry of what a write did, if there is one to store. Its tags are those that WithTags names. Where a
// loader may give tags, nobody knows which it would give to what was written, and there is none.
func (r *reader[K, V]) outcome(key K, o tarn.Outcome[V], stamp tarn.Stamp) (e outcomeEntry[V], err error) {
	switch {
	case r.tagger != nil && r.foreignTags.Load():
	case o.Kind == tarn.Stored && r.tags != nil:
		e.entry = r.positive(o.Value, r.config.policy)
		err = r.tagged(&e.entry, stamp, r.tags(key, o.Value))
		e.store = err == nil && !unstamped(&e.entry)
	case o.Kind == tarn.Stored:
		e.entry, e.store = r.positive(o.Value, r.config.policy), true
	case o.Kind == tarn.Removed:
		e.entry, e.store = r.negative(r.config.policy)
	}
	return e, err
}
