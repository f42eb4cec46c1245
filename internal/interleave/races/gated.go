package races

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Faults.
const (
	lostSettle     = "lost settle"
	unknownOutcome = "unknown outcome"
	failedLoad     = "failed load"
)

var errLost = errors.New("races: lost on the way to the store")

// What actors share, for the scheduler: a key in the store, a key at the source, and what a process knows of a key's
// loads and writes.
type (
	inStore  int
	inSource int
	isAcked  int
	clock    struct{}
	inFlight struct{ process, key int }
	inTurns  struct{ process, key int }
	inTags   struct{}
)

// gated is a store whose operations are steps.
//
// Over a store with leases and holds a step begins before a lease, a question whether one stands, a hold, a settle,
// and each change. Before a fill there is none: the loader has one before it returns. Nor is there one before a Get:
// its caller has one. Over a plain store the operations that the stand-in makes of it are steps.
type gated struct {
	w      *world
	inner  tarn.Store[int, int]
	batch  tarn.BatchStore[int, int]
	leaser tarn.Leaser[int, int]
	holder tarn.Holder[int, int]
	adder  tarn.Adder[int, int]
	touch  tarn.Toucher[int, int]
	comp   tarn.Computer[int, int]
	clear  tarn.Clearer
	tagger tarn.Tagger
}

func newGated(w *world, inner tarn.Store[int, int]) *gated {
	g := &gated{w: w, inner: inner}
	if !w.plain {
		g.batch, _ = tarn.As[tarn.BatchStore[int, int]](inner)
		g.leaser, _ = tarn.LeaserOf(inner)
		g.holder, _ = tarn.HolderOf(inner)
		g.comp, _ = tarn.As[tarn.Computer[int, int]](inner)
		g.clear, _ = tarn.As[tarn.Clearer](inner)
	}
	g.adder, _ = tarn.As[tarn.Adder[int, int]](inner)
	g.touch, _ = tarn.As[tarn.Toucher[int, int]](inner)
	g.tagger, _ = tarn.As[tarn.Tagger](inner)
	return g
}

// As offers what the inner store offers.
func (g *gated) As(target any) bool {
	switch t := target.(type) {
	case *tarn.BatchStore[int, int]:
		if g.batch != nil {
			*t = g
		}
		return g.batch != nil
	case *tarn.Leaser[int, int]:
		if g.leaser != nil {
			*t = g
		}
		return g.leaser != nil
	case *tarn.Holder[int, int]:
		if g.holder != nil {
			*t = g
		}
		return g.holder != nil
	case *tarn.Adder[int, int]:
		if g.adder != nil {
			*t = g
		}
		return g.adder != nil
	case *tarn.Toucher[int, int]:
		if g.touch != nil {
			*t = g
		}
		return g.touch != nil
	case *tarn.Tagger:
		if g.tagger != nil {
			*t = g
		}
		return g.tagger != nil
	case *tarn.Clocker:
		c, ok := tarn.As[tarn.Clocker](g.inner)
		*t = c
		return ok
	}
	return false
}

// step begins a step that changes keys in the store.
func (g *gated) step(ctx context.Context, op string, keys ...int) {
	g.w.Step(ctx, op+text(keys))
	g.changes(keys...)
}

func (g *gated) changes(keys ...int) {
	for _, key := range keys {
		g.w.Touch(inStore(key))
	}
}

// after ends a step, in rows whose steps are fine.
func (g *gated) after(ctx context.Context, op string, keys ...int) {
	if g.w.row.Fine {
		g.w.Step(ctx, "after "+op+text(keys))
	}
}

// looks says that a load begins.
func (g *gated) looks(ctx context.Context, keys ...int) {
	g.w.procs[opOf(ctx).process()].looks(ctx, keys)
}

// text names keys where there is a choice.
func text(keys []int) string {
	if len(keys) == 1 && keys[0] == 0 {
		return ""
	}
	return fmt.Sprintf(" %d", keys)
}

// reads says that the step looks at keys of the store and, if they are not there, at what is being loaded.
func (g *gated) reads(ctx context.Context, keys ...int) {
	for _, key := range keys {
		if g.leaser == nil { // the stand-in has a lock and a table of its own
			g.w.Touch(inStore(key))
		}
		g.w.Look(inStore(key))
		g.w.Touch(inFlight{opOf(ctx).process(), key})
	}
}

func (g *gated) Get(ctx context.Context, key int) (tarn.Entry[int], bool, error) {
	first := opOf(ctx).begins()
	if g.leaser == nil && !first { // the stand-in asks, in the middle of a Lease
		g.looks(ctx, key)
		g.step(ctx, "lease", key)
	}
	g.reads(ctx, key)
	e, found, err := g.inner.Get(ctx, key)
	if g.leaser == nil && !first {
		g.after(ctx, "looking", key)
		g.changes(key)
		g.reads(ctx, key)
	}
	if !found && first {
		g.after(ctx, "miss", key)
		g.reads(ctx, key)
		opOf(ctx).asks()
	}
	return e, found, err
}

func (g *gated) GetMany(ctx context.Context, keys []int, into []tarn.Lookup[int]) error {
	g.reads(ctx, keys...)
	err := g.batch.GetMany(ctx, keys, into)
	g.after(ctx, "misses", keys...)
	g.reads(ctx, keys...)
	opOf(ctx).asks()
	return err
}

func (g *gated) Set(ctx context.Context, key int, e tarn.Entry[int]) error {
	if err := g.change(ctx, "set", key); err != nil {
		return err
	}
	return g.inner.Set(ctx, key, e)
}

func (g *gated) SetMany(ctx context.Context, keys []int, entries []tarn.Entry[int]) error {
	g.step(ctx, "set", keys...)
	return g.batch.SetMany(ctx, keys, entries)
}

func (g *gated) Delete(ctx context.Context, key int) error {
	if err := g.change(ctx, "delete", key); err != nil {
		return err
	}
	return g.inner.Delete(ctx, key)
}

// change begins a step that changes one key. Without holds it is what a settle is, and may be lost.
//
// The changes that the stand-in makes of a plain store are steps of their own in rows whose steps are fine. In the
// others they are part of the step in which the stand-in was told: it keeps others from the key meanwhile.
func (g *gated) change(ctx context.Context, op string, key int) error {
	o := opOf(ctx)
	lost := false
	switch {
	case g.holder != nil && o.settles():
		lost = g.w.StepOr(ctx, op+text([]int{key}), lostSettle)
	case g.holder != nil || g.w.row.Fine:
		g.w.Step(ctx, op+text([]int{key}))
	}
	if g.holder == nil && o.settles() {
		lost = o.lost
		g.w.held--
	}
	g.changes(key)
	g.reads(ctx, key)
	g.acks(ctx, key)
	if lost {
		g.w.held++
		return errLost
	}
	return nil
}

func (g *gated) DeleteMany(ctx context.Context, keys []int) error {
	g.step(ctx, "delete", keys...)
	return g.batch.DeleteMany(ctx, keys)
}

func (g *gated) Add(ctx context.Context, key int, e tarn.Entry[int]) (bool, error) {
	g.step(ctx, "add", key)
	return g.adder.Add(ctx, key, e)
}

func (g *gated) Touch(ctx context.Context, key int, expires ttl.Time) (bool, error) {
	g.step(ctx, "touch", key)
	return g.touch.Touch(ctx, key, expires)
}

func (g *gated) Lease(ctx context.Context, keys []int, terms tarn.LeaseTerms, into []tarn.Lease[int]) error {
	g.looks(ctx, keys...)
	g.step(ctx, "lease", keys...)
	g.reads(ctx, keys...)
	err := g.leaser.Lease(ctx, keys, terms, into)
	for i := range keys {
		g.w.Note([]string{"", "hit", "granted", "leased by another", "held"}[into[i].State])
		if into[i].State == tarn.Leased {
			g.w.leased++
		}
	}
	g.after(ctx, "lease", keys...)
	g.reads(ctx, keys...)
	return err
}

func (g *gated) Fill(ctx context.Context, fills []tarn.Fill[int, int]) error {
	keys := make([]int, len(fills))
	for i, f := range fills {
		keys[i] = f.Key
	}
	g.changes(keys...)
	g.reads(ctx, keys...)
	err := g.leaser.Fill(ctx, fills)
	for _, f := range fills {
		if f.Stored {
			g.w.Note("fill" + g.w.name(f.Key, f.Entry.Value))
		} else if f.Store {
			g.w.Note("fill refused")
		}
	}
	g.after(ctx, "fill", keys...)
	g.reads(ctx, keys...)
	return err
}

func (g *gated) Stands(ctx context.Context, keys []int, tokens []tarn.Token, into []bool) error {
	g.w.Step(ctx, "stands"+text(keys))
	g.reads(ctx, keys...)
	opOf(ctx).asks()
	err := g.leaser.Stands(ctx, keys, tokens, into)
	g.w.Note(fmt.Sprint(into))
	g.after(ctx, "stands", keys...)
	g.reads(ctx, keys...)
	opOf(ctx).asks()
	return err
}

func (g *gated) Hold(ctx context.Context, keys []int, life time.Duration, tokens []tarn.Token) error {
	g.step(ctx, "hold", keys...)
	g.w.held++
	err := g.holder.Hold(ctx, keys, life, tokens)
	g.after(ctx, "hold", keys...)
	return err
}

func (g *gated) Settle(ctx context.Context, settlements []tarn.Settlement[int, int]) error {
	keys := make([]int, len(settlements))
	for i, s := range settlements {
		keys[i] = s.Key
	}
	lost := g.w.StepOr(ctx, "settle"+text(keys), lostSettle)
	if lost {
		g.acks(ctx, keys...)
		return errLost
	}
	g.w.held--
	g.changes(keys...)
	err := g.holder.Settle(ctx, settlements)
	for _, s := range settlements {
		if s.Stored {
			g.w.Note("stored" + g.w.name(s.Key, s.Entry.Value))
		}
	}
	g.after(ctx, "settle", keys...)
	g.acks(ctx, keys...)
	return err
}

// Stamp is a step of its own: a writer asks before it holds its key, and a reader after it was told that a lease stands. The
// stand-in of a plain store asks within its lease, for a load, whose context has an end.
func (g *gated) Stamp(ctx context.Context) (tarn.Stamp, error) {
	if _, loading := ctx.Deadline(); !loading {
		g.w.Step(ctx, "stamp")
	}
	g.w.Look(inTags{})
	for _, key := range g.w.row.keys() {
		if g.leaser == nil {
			g.changes(key)
		}
		g.reads(ctx, key)
	}
	opOf(ctx).asks()
	return g.tagger.Stamp(ctx)
}

// InvalidateTags may change every key.
func (g *gated) InvalidateTags(ctx context.Context, tags ...string) error {
	keys := g.w.row.keys()
	g.step(ctx, "invalidate tags", keys...)
	g.w.Touch(inTags{})
	g.reads(ctx, keys...)
	g.acks(ctx, keys...)
	err := g.tagger.InvalidateTags(ctx, tags...)
	g.after(ctx, "invalidate tags", keys...)
	g.acks(ctx, keys...)
	return err
}

// acks says that the step ends a write, and lets in whoever waits for its turn.
func (g *gated) acks(ctx context.Context, keys ...int) {
	for _, key := range keys {
		g.w.Touch(isAcked(key))
		g.w.Touch(inTurns{opOf(ctx).process(), key})
	}
}
