package strategies

import (
	"cmp"
	"maps"
	"runtime/debug"
	"slices"

	"github.com/tarncache/tarn"
)

// Merger says how deltas of one key become one, and what they make of a value. Its functions are quick, call back into
// nothing, and change none of what they are given, nor memory behind it: readers may hold it. Deltas are merged in the
// order in which they were accepted, but grouped in any way, so Merge is associative, and
// Fold(v, Merge(a, b)) is Fold(Fold(v, a), b). A function that panics gives its caller a [*tarn.PanicError].
type Merger[V, D any] struct {
	Merge func(a, b D) D           // a was accepted before b
	Fold  func(value V, delta D) V // what the source has after it was given delta

	// First returns the value of a key that the source does not have, after it was given delta. Nil: what Fold makes of
	// the zero V.
	First func(delta D) V
}

// Number is what can be added up.
type Number interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~float32 | ~float64
}

// Sum adds deltas up, as a counter does. It overflows as N does.
func Sum[N Number]() Merger[N, N] {
	add := func(a, b N) N { return a + b }
	return Merger[N, N]{Merge: add, Fold: add}
}

// Max keeps the greatest. A key that the source does not have takes its first delta, whatever it is.
func Max[N cmp.Ordered]() Merger[N, N] {
	greater := func(a, b N) N { return max(a, b) }
	return Merger[N, N]{Merge: greater, Fold: greater, First: func(first N) N { return first }}
}

// Append puts lists one behind the other. Each merge copies.
func Append[E any]() Merger[[]E, []E] {
	join := func(a, b []E) []E { return slices.Concat(a, b) }
	return Merger[[]E, []E]{Merge: join, Fold: join}
}

// Union puts sets together. Each merge that finds something new copies.
func Union[E comparable]() Merger[map[E]struct{}, map[E]struct{}] {
	join := func(a, b map[E]struct{}) map[E]struct{} {
		union, copied := a, false
		for e := range b {
			if _, there := a[e]; there {
				continue
			}
			if !copied {
				union, copied = make(map[E]struct{}, len(a)+len(b)), true
				maps.Copy(union, a)
			}
			union[e] = struct{}{}
		}
		return union
	}
	return Merger[map[E]struct{}, map[E]struct{}]{Merge: join, Fold: join}
}

// merge is Merge, without its panics.
func (m *Merger[V, D]) merge(a, b D) (merged D, err error) {
	defer func() { err = recovered(recover()) }()
	return m.Merge(a, b), nil
}

// fold is Fold, or First if the source does not have the key, without their panics.
func (m *Merger[V, D]) fold(value V, absent bool, delta D) (folded V, err error) {
	defer func() { err = recovered(recover()) }()
	if absent && m.First != nil {
		return m.First(delta), nil
	}
	return m.Fold(value, delta), nil
}

// recovered makes an error of what recover returned.
func recovered(r any) error {
	if r == nil {
		return nil
	}
	return &tarn.PanicError{Value: r, Stack: debug.Stack()}
}
