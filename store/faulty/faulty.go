// Package faulty has a store that fails, stalls and lies on purpose, so that tests can see what a strategy, or an
// application, makes of it.
//
//	s := faulty.New(memory.New(memory.Options[int64, User]{MaxEntries: 100}))
//	down := s.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Writes})
//	…
//	down.Release()
//
// A [Fault] can be injected and released at any time. The capabilities of the inner store are offered as its own,
// under the same faults; those that the inner store lacks are not, and neither is [tarn.Hitter], which has no way to
// fail: whoever would ask Hit asks Get.
package faulty

import (
	"context"
	"math/rand/v2"
	"reflect"
	"slices"
	"sync/atomic"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
)

// Store is a store in front of another, whose calls go wrong as its faults say. Without a fault it passes every
// call on. All methods may be called by any number of goroutines.
type Store[K comparable, V any] struct {
	inner  tarn.Store[K, V]
	faults faults
	tokens atomic.Uint64 // of leases and holds that were lies
}

var (
	_ tarn.Store[int, int] = (*Store[int, int])(nil)
	_ tarn.Wrapper         = (*Store[int, int])(nil)
)

// Option is an option of [New].
type Option func(*options)

type options struct{ seed uint64 }

// Seed sets the seed of the faults that strike by Chance. Left out, it is 1, so that a test does the same in each
// run.
func Seed(seed uint64) Option { return func(o *options) { o.seed = seed } }

// New returns a Store in front of inner, with no faults yet. It panics if inner is nil. Closing inner is the
// caller's.
func New[K comparable, V any](inner tarn.Store[K, V], opts ...Option) *Store[K, V] {
	if inner == nil {
		panic("faulty: New: inner is nil")
	}
	o := options{seed: 1}
	for _, option := range opts {
		option(&o)
	}
	s := &Store[K, V]{inner: inner}
	s.faults.rng = rand.New(rand.NewPCG(o.seed, 0))
	return s
}

// Inject makes calls go wrong from now on, until the fault is released. It panics if the fault makes no sense.
func (s *Store[K, V]) Inject(f Fault) *Injection { return s.faults.inject(f) }

// Heal releases every fault.
func (s *Store[K, V]) Heal() { s.faults.heal() }

// Calls returns how many calls of these operations there were, whatever became of them.
func (s *Store[K, V]) Calls(ops Op) int { return s.faults.count(ops) }

// Get returns the inner store's entry of key.
func (s *Store[K, V]) Get(ctx context.Context, key K) (e tarn.Entry[V], found bool, err error) {
	err = s.faults.run(ctx, call{
		op:   Get,
		do:   func(ctx context.Context) (err error) { e, found, err = s.inner.Get(ctx, key); return err },
		keep: nothing,
		lie:  success,
	})
	if err != nil {
		return tarn.Entry[V]{}, false, err
	}
	return e, found, nil
}

// Set sets key in the inner store.
func (s *Store[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	return s.faults.run(ctx, call{
		op:  Set,
		do:  func(ctx context.Context) error { return s.inner.Set(ctx, key, e) },
		lie: success,
	})
}

// Delete deletes key from the inner store.
func (s *Store[K, V]) Delete(ctx context.Context, key K) error {
	return s.faults.run(ctx, call{
		op:  Delete,
		do:  func(ctx context.Context) error { return s.inner.Delete(ctx, key) },
		lie: success,
	})
}

// success is what answers nothing, and no error.
func success(context.Context) error { return nil }

// nothing keeps back a call whose answer nobody waits for any more.
func nothing() func(context.Context) error { return success }

// As offers what the inner store offers, under the faults, but for its [tarn.Hitter]. An interface that none of the
// [Op]s is a method of, such as io.Closer, is the inner store's own.
func (s *Store[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.BatchStore[K, V]:
		return offer(s.inner, t, func(inner tarn.BatchStore[K, V]) tarn.BatchStore[K, V] {
			return batchStore[K, V]{s, inner}
		})
	case *tarn.Adder[K, V]:
		return offer(s.inner, t, func(inner tarn.Adder[K, V]) tarn.Adder[K, V] { return adder[K, V]{s, inner} })
	case *tarn.Toucher[K, V]:
		return offer(s.inner, t, func(inner tarn.Toucher[K, V]) tarn.Toucher[K, V] { return toucher[K, V]{s, inner} })
	case *tarn.Computer[K, V]:
		return offer(s.inner, t, func(inner tarn.Computer[K, V]) tarn.Computer[K, V] { return computer[K, V]{s, inner} })
	case *tarn.Clearer:
		return offer(s.inner, t, func(inner tarn.Clearer) tarn.Clearer { return clearer[K, V]{s, inner} })
	case *tarn.Scanner[K, V]:
		return offer(s.inner, t, func(inner tarn.Scanner[K, V]) tarn.Scanner[K, V] { return scanner[K, V]{s, inner} })
	case *tarn.Leaser[K, V]:
		return offer(s.inner, t, func(inner tarn.Leaser[K, V]) tarn.Leaser[K, V] { return leaser[K, V]{s, inner} })
	case *tarn.Holder[K, V]:
		return offer(s.inner, t, func(inner tarn.Holder[K, V]) tarn.Holder[K, V] { return holder[K, V]{s, inner} })
	case *tarn.TagInvalidator:
		return offer(s.inner, t, func(inner tarn.TagInvalidator) tarn.TagInvalidator { return tagInvalidator[K, V]{s, inner} })
	case *tarn.Tagger:
		return offer(s.inner, t, func(inner tarn.Tagger) tarn.Tagger {
			return tagger[K, V]{tagInvalidator[K, V]{s, inner}, inner}
		})
	}
	return s.passOn(target)
}

// offer sets target to the wrapped capability of inner, if inner has it.
func offer[T any](inner any, target *T, wrap func(T) T) bool {
	capability, ok := tarn.As[T](inner)
	if ok {
		*target = wrap(capability)
	}
	return ok
}

// passOn answers for interfaces that this package does not know. It passes on none that would let calls slip past
// the faults.
func (s *Store[K, V]) passOn(target any) bool {
	if capability.Of(s, target) {
		return true
	}
	asked := reflect.TypeOf(target).Elem()
	for m := range asked.NumMethod() {
		if name := asked.Method(m).Name; name == "Hit" || slices.Contains(opNames[:], name) {
			return false
		}
	}
	return capability.PassOn(s.inner, target)
}
