package source

import (
	"context"
	"reflect"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
)

// Loader is a Loader behind a [Gate]. Make one with [New] or [Behind]. It is a [tarn.BatchLoader] and a [tarn.EntryLoader]
// if what it wraps is one.
type Loader[K comparable, V any] struct {
	gate  *Gate
	inner tarn.Loader[K, V]
	many  tarn.BatchLoader[K, V] // nil: inner is none
	entry tarn.EntryLoader[K, V] // nil: inner is none
}

var (
	_ tarn.Loader[int, int] = (*Loader[int, int])(nil)
	_ tarn.Wrapper          = (*Loader[int, int])(nil)
)

// New returns inner behind a gate of its own. It panics if inner is nil, or a field of the Config makes no sense.
func New[K comparable, V any](inner tarn.Loader[K, V], c Config) *Loader[K, V] {
	return wrap("New", NewGate(c), inner)
}

// Behind returns inner behind a gate that it shares with others. It panics if either is nil.
func Behind[K comparable, V any](gate *Gate, inner tarn.Loader[K, V]) *Loader[K, V] {
	if gate == nil {
		panic("source: Behind: gate is nil")
	}
	return wrap("Behind", gate, inner)
}

func wrap[K comparable, V any](caller string, gate *Gate, inner tarn.Loader[K, V]) *Loader[K, V] {
	if v := reflect.ValueOf(inner); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("source: " + caller + ": inner is nil")
	}
	l := &Loader[K, V]{gate: gate, inner: inner}
	l.many, _ = tarn.As[tarn.BatchLoader[K, V]](inner)
	l.entry, _ = tarn.As[tarn.EntryLoader[K, V]](inner)
	return l
}

// State returns the state of the gate's breaker; see [Gate.State].
func (l *Loader[K, V]) State() State { return l.gate.State() }

// Stats returns what the gate has counted; see [Gate.Stats].
func (l *Loader[K, V]) Stats() Stats { return l.gate.Stats() }

// Load loads key, unless it is shed: then the error is a [*ShedError].
func (l *Loader[K, V]) Load(ctx context.Context, key K) (v V, err error) {
	shed := l.gate.pass(ctx, func(ctx context.Context) outcome {
		v, err = l.inner.Load(ctx, key)
		return l.gate.single(ctx, err)
	})
	if shed != nil {
		return v, shed
	}
	return v, err
}

// single is the outcome of a call for one key.
func (g *Gate) single(ctx context.Context, err error) outcome {
	verdict := g.verdict(ctx, err)
	return outcome{verdict, verdict == errFailed}
}

// As offers what the inner Loader offers, behind the gate where it loads.
func (l *Loader[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Loader[K, V]:
		*t = l
		return true
	case *tarn.BatchLoader[K, V]:
		*t = batchLoader[K, V]{l}
		return l.many != nil
	case *tarn.EntryLoader[K, V]:
		*t = entryLoader[K, V]{l}
		return l.entry != nil
	}
	return capability.PassOn(l.inner, target)
}

// entryLoader is a Loader whose inner one is an EntryLoader.
type entryLoader[K comparable, V any] struct{ l *Loader[K, V] }

func (e entryLoader[K, V]) LoadEntry(ctx context.Context, key K) (got tarn.Loaded[V], err error) {
	shed := e.l.gate.pass(ctx, func(ctx context.Context) outcome {
		got, err = e.l.entry.LoadEntry(ctx, key)
		return e.l.gate.single(ctx, err)
	})
	if shed != nil {
		return got, shed
	}
	return got, err
}
