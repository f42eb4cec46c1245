package races

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tarncache/tarn"
)

// Actor does something in a process, one or more steps long.
type Actor struct {
	process int
	what    string
	enter   func(p *process, name string, value int)
	needs   need
}

// need is what an actor needs of its process.
type need uint8

const (
	needsAside need = 1 << iota // a LookAsideCache
	needsBack                   // a WriteBackCache
	needsStore                  // the store itself, which must be able to hold
	needsTags                   // a store that keeps tags
)

func (a Actor) needing(n need) Actor {
	a.needs |= n
	return a
}

// needs reports whether an actor of the process needs it.
func (r Row) needs(process int, n need) bool {
	return slices.ContainsFunc(r.Actors, func(a Actor) bool { return a.process == process && a.needs&n != 0 })
}

// actor is an Actor that f makes, with a value that no other one writes.
func actor(in int, what string, f func(ctx context.Context, p *process, value int)) Actor {
	return Actor{process: in, what: what, enter: func(p *process, name string, value int) {
		p.w.Go(name, func(ctx context.Context) { f(ctx, p, value) })
	}}
}

func (a Actor) join(w *world, index int) {
	a.enter(w.procs[a.process], fmt.Sprintf("%s %d in process %d", a.what, index, a.process), 100*(index+1))
}

// reader reads keys so often, one time after the other. A read begins in the step that looks at the store: had
// it begun earlier, less would be asked of it.
func reader(in, times int, what string, keys []int, get func(p *process) getter) Actor {
	return actor(in, what, func(ctx context.Context, p *process, _ int) {
		for range times {
			p.w.Step(ctx, "get"+text(keys))
			p.observe(ctx, keys, get(p))
		}
	})
}

// Gets reads one key.
func Gets(in, times int) Actor {
	return reader(in, times, "reader", []int{0}, func(p *process) getter { return p.get })
}

// Fetches reads one key of a LookAsideCache.
func Fetches(in, times int) Actor { return Gets(in, times).needing(needsAside) }

// GetsMany reads keys at once.
func GetsMany(in int, keys ...int) Actor {
	return reader(in, 1, "reader", keys, func(p *process) getter { return p.getMany })
}

// GivesUp reads one key, and at some time its context ends.
func GivesUp(in int) Actor {
	return Actor{process: in, what: "impatient reader", enter: func(p *process, name string, _ int) {
		var cancel context.CancelFunc
		started := make(chan struct{})
		p.w.Go(name, func(ctx context.Context) {
			ctx, cancel = context.WithCancel(ctx)
			close(started)
			p.w.Step(ctx, "get")
			p.observe(ctx, []int{0}, p.get)
		})
		p.w.Go(name+"'s patience", func(ctx context.Context) {
			<-started
			p.w.Step(ctx, "ends")
			p.w.Touch(inFlight{p.index, 0})
			cancel()
		})
	}}
}

// writer writes keys. write calls the strategy, and begins in a step if it does anything that others see before
// the hold.
func writer(in int, what string, keys []int, write func(ctx context.Context, p *process, value int) error) Actor {
	return actor(in, what, func(ctx context.Context, p *process, value int) {
		ctx, o := p.newOp(ctx, keys)
		o.looks, o.holds = 0, true
		err := write(ctx, p, value)
		p.acknowledge(o, err)
	})
}

// queues waits for the step in which a write takes its place in the queue of its key.
func (p *process) queues(ctx context.Context, keys ...int) {
	p.w.Step(ctx, "queue"+text(keys))
	for _, key := range keys {
		p.w.Touch(inTurns{p.index, key})
	}
}

// Sets writes one key through.
func Sets(in int) Actor {
	return writer(in, "writer", []int{0}, func(ctx context.Context, p *process, value int) error {
		p.queues(ctx, 0)
		return p.through.Set(ctx, 0, value)
	})
}

// Deletes deletes one key through.
func Deletes(in int) Actor {
	return writer(in, "deleting writer", []int{0}, func(ctx context.Context, p *process, _ int) error {
		p.queues(ctx, 0)
		return p.through.Delete(ctx, 0)
	})
}

// SetsMany writes keys through, in one batch.
func SetsMany(in int, keys ...int) Actor {
	return writer(in, "writer", keys, func(ctx context.Context, p *process, value int) error {
		p.queues(ctx, keys...)
		values := make([]int, len(keys))
		for i := range values {
			values[i] = value + i
		}
		return p.through.SetMany(ctx, keys, values)
	})
}

// SetsAround writes one key around the cache. Writes of one key do not queue.
func SetsAround(in int) Actor {
	return writer(in, "writer", []int{0}, func(ctx context.Context, p *process, value int) error {
		p.w.Step(ctx, "set")
		return p.around.Set(ctx, 0, value)
	})
}

// Updates writes keys in an Update of the LookAsideCache.
func Updates(in int, keys ...int) Actor {
	return writer(in, "updater", keys, func(ctx context.Context, p *process, value int) error {
		p.w.Step(ctx, "update"+text(keys))
		return p.aside.Update(ctx, keys, func(ctx context.Context) error {
			ops := make([]tarn.Op[int, int], len(keys))
			for i, key := range keys {
				ops[i] = tarn.Op[int, int]{Key: key, Value: value + i}
			}
			return p.apply(ctx, ops)
		})
	}).needing(needsAside)
}

// application writes the source by itself, and then tells the cache.
func application(in int, what string, tell func(ctx context.Context, p *process, value int) error) Actor {
	return actor(in, what, func(ctx context.Context, p *process, value int) {
		ctx, o := p.newOp(ctx, nil)
		p.w.Step(ctx, "commit")
		p.commit(o, 0, value)
		p.tells(ctx, []int{0})
		p.acknowledge(o, tell(ctx, p, value))
	})
}

// Invalidates commits and then deletes the key.
func Invalidates(in int) Actor {
	return application(in, "application", func(ctx context.Context, p *process, _ int) error {
		return p.cache.Delete(ctx, 0)
	})
}

// InvalidatesMany is Invalidates with a batch.
func InvalidatesMany(in int) Actor {
	return application(in, "application", func(ctx context.Context, p *process, _ int) error {
		return tarn.DeleteMany(ctx, p.cache, []int{0})
	})
}

// InvalidatesTags commits and then invalidates the tag of the key.
func InvalidatesTags(in int) Actor {
	return actor(in, "application", func(ctx context.Context, p *process, value int) {
		ctx, o := p.newOp(ctx, nil)
		p.w.Step(ctx, "commit")
		p.commit(o, 0, value)
		p.acknowledge(o, p.cache.(tarn.TagInvalidator).InvalidateTags(ctx, tagsOf(0, value)...))
	}).needing(needsTags)
}

// Replaces commits and then sets the key to what it wrote, or deletes it if it may not. It is right as long as
// it is the only one that writes.
func Replaces(in int) Actor {
	return application(in, "application", func(ctx context.Context, p *process, value int) error {
		if err := p.aside.Set(ctx, 0, value); !errors.Is(err, tarn.ErrHeld) {
			return err
		}
		return p.cache.Delete(ctx, 0)
	}).needing(needsAside)
}

// Adds commits and then adds the key, or deletes it if there was one.
func Adds(in int) Actor {
	return application(in, "application", func(ctx context.Context, p *process, value int) error {
		if added, err := p.aside.Add(ctx, 0, value); added || err != nil {
			return err
		}
		return p.cache.Delete(ctx, 0)
	}).needing(needsAside)
}

// Computes commits and then stores what it wrote by Compute.
func Computes(in int) Actor {
	return application(in, "application", func(ctx context.Context, p *process, value int) error {
		p.w.store.step(ctx, "compute", 0)
		_, _, err := p.w.store.comp.Compute(ctx, 0, func(tarn.Entry[int], bool) (tarn.Entry[int], tarn.ComputeOp) {
			return tarn.Entry[int]{Value: value}, tarn.ComputeStore
		})
		return err
	}).needing(needsStore)
}

// Clears commits and then clears the store.
func Clears(in int) Actor {
	return application(in, "application", func(ctx context.Context, p *process, _ int) error {
		p.w.store.step(ctx, "clear", keysOfAll...)
		return p.w.store.clear.Clear(ctx)
	}).needing(needsStore)
}

// Touches prolongs the life of what stands under the key.
func Touches(in int) Actor {
	return actor(in, "toucher", func(ctx context.Context, p *process, _ int) {
		p.tells(ctx, []int{0})
		if _, err := p.aside.Touch(ctx, 0); err != nil {
			p.w.Failf("a touch failed: %w", err)
		}
	}).needing(needsAside)
}

// SetsBack writes one key back. Its version is the one that was accepted, whatever is at the source.
func SetsBack(in, times int) Actor {
	return actor(in, "writer", func(ctx context.Context, p *process, value int) {
		w := p.w
		for i := range times {
			w.Step(ctx, "set")
			w.Touch(inStore(0))
			w.Touch(isAcked(0))
			version := w.source.version(0, value+i)
			if err := p.back.Set(ctx, 0, value+i); err != nil {
				w.Failf("a write failed: %w", err)
			}
			w.source.ack(0, version)
		}
	}).needing(needsBack)
}

// Flushes makes write-back write what is pending.
func Flushes(in int) Actor {
	return actor(in, "flusher", func(ctx context.Context, p *process, _ int) {
		p.w.Step(ctx, "flush")
		p.w.Touch(inStore(0))
		if err := p.back.Flush(ctx); err != nil {
			p.w.Failf("a flush failed: %w", err)
		}
	}).needing(needsBack)
}
