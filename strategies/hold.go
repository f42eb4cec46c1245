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
	until  ttl.Time     // the earliest instant at which the store may end the hold by itself
}

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
	stood := h.tokens != nil && r.clock.Now() < h.until
	err := h.settle(ctx, outcomes)
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

func (h *hold[K, V]) settle(ctx context.Context, outcomes []tarn.Outcome[V]) error {
	r := h.reader
	if h.tokens == nil {
		return eachOf(len(h.keys), func(i int) error { return r.tell(ctx, h.keys[i], outcomes[i]) })
	}
	settlements := make([]tarn.Settlement[K, V], len(h.keys))
	for i, key := range h.keys {
		s := &settlements[i]
		s.Key, s.Token = key, h.tokens[i]
		s.Entry, s.Store = r.outcome(outcomes[i])
	}
	return r.holder.Settle(ctx, settlements)
}

// tell tells the store of a write that held nothing.
func (r *reader[K, V]) tell(ctx context.Context, key K, o tarn.Outcome[V]) error {
	if e, ok := r.outcome(o); ok {
		err := r.store.Set(ctx, key, e)
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

// outcome makes an entry of what a write did, if there is one to store.
func (r *reader[K, V]) outcome(o tarn.Outcome[V]) (tarn.Entry[V], bool) {
	switch o.Kind {
	case tarn.Stored:
		return r.positive(o.Value, r.config.policy), true
	case tarn.Removed:
		return r.negative(r.config.policy)
	default:
		return tarn.Entry[V]{}, false
	}
}
