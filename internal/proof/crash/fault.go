package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

// Fault is what a source does wrong.
type Fault struct {
	What  string
	P     float64       // how often
	Times int64         // of "first": how many calls fail
	Key   int64         // of "key" and "permanent": keys that it divides fail
	Slow  time.Duration // how long each write takes besides, at most
}

var (
	errFault   = errors.New("crash: the source fails")
	errUnknown = errors.New("crash: the source does not say what became of it")
)

type apply = func(ctx context.Context, ops []tarn.Op[int64, Item]) error

// faults are what a source can do wrong with one batch.
var faults = map[string]func(f *Fault, calls *atomic.Int64, do apply) apply{
	"": func(_ *Fault, _ *atomic.Int64, do apply) apply { return do },

	"first": func(f *Fault, calls *atomic.Int64, do apply) apply {
		return func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
			if calls.Add(1) <= f.Times {
				return errFault
			}
			return do(ctx, ops)
		}
	},
	"some": sometimes(func(context.Context, []tarn.Op[int64, Item], apply) error { return errFault }),
	"panics": sometimes(func(context.Context, []tarn.Op[int64, Item], apply) error {
		panic("crash: the source panics")
	}),
	"hangs": sometimes(func(ctx context.Context, _ []tarn.Op[int64, Item], _ apply) error {
		<-ctx.Done()
		return ctx.Err()
	}),
	"hangs and applies": sometimes(func(ctx context.Context, ops []tarn.Op[int64, Item], do apply) error {
		<-ctx.Done()
		return do(context.WithoutCancel(ctx), ops)
	}),
	"applies and says it failed": sometimes(func(ctx context.Context, ops []tarn.Op[int64, Item], do apply) error {
		return errors.Join(errUnknown, do(ctx, ops))
	}),
	"applies and panics": sometimes(func(ctx context.Context, ops []tarn.Op[int64, Item], do apply) error {
		_ = do(ctx, ops)
		panic("crash: the source panics after it has applied all")
	}),
	"partly": sometimes(func(ctx context.Context, ops []tarn.Op[int64, Item], do apply) error {
		return partly(ctx, ops, do, func(i int) error {
			if i%2 == 0 {
				return errFault
			}
			return nil
		})
	}),
	"key":       failingKeys(errFault),
	"permanent": failingKeys(tarn.Permanent(errFault)),
}

// sometimes lets something go wrong with a part of the batches.
func sometimes(
	wrong func(ctx context.Context, ops []tarn.Op[int64, Item], do apply) error,
) func(*Fault, *atomic.Int64, apply) apply {
	return func(f *Fault, _ *atomic.Int64, do apply) apply {
		return func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
			if rand.Float64() < f.P {
				return wrong(ctx, ops, do)
			}
			return do(ctx, ops)
		}
	}
}

func failingKeys(err error) func(*Fault, *atomic.Int64, apply) apply {
	return func(f *Fault, _ *atomic.Int64, do apply) apply {
		return func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
			return partly(ctx, ops, do, func(i int) error {
				if ops[i].Key%f.Key == 0 {
					return err
				}
				return nil
			})
		}
	}
}

// partly applies the operations that do not fail, and says which did.
func partly(ctx context.Context, ops []tarn.Op[int64, Item], do apply, fails func(i int) error) error {
	errs, rest, failed := make(tarn.IndexError, len(ops)), make([]tarn.Op[int64, Item], 0, len(ops)), false
	for i, op := range ops {
		if errs[i] = fails(i); errs[i] != nil {
			failed = true
		} else {
			rest = append(rest, op)
		}
	}
	if len(rest) > 0 {
		if err := do(ctx, rest); err != nil {
			return err
		}
	}
	if !failed {
		return nil
	}
	return errs
}

// faulty returns do as a source with the fault does it, which takes its time. What it does, it does as a whole once it
// has begun, so that a context that ends leaves no doubt.
func (f *Fault) faulty(do apply) apply {
	var calls atomic.Int64
	return faults[f.What](f, &calls, func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
		if f.Slow > 0 {
			select {
			case <-time.After(rand.N(f.Slow)):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return do(context.WithoutCancel(ctx), ops)
	})
}
