package memory

import (
	"fmt"
	"reflect"

	"github.com/tarncache/tarn"
)

// Options say how large a [Store] may grow and whom it tells. Exactly one of MaxEntries and MaxWeight is set.
type Options[K comparable, V any] struct {
	// MaxEntries bounds the number of entries. The store never holds more.
	MaxEntries int

	// MaxWeight bounds the sum of the entries' weights, in whatever unit Weigh counts. The store never holds more,
	// and an entry that alone is heavier is refused with [tarn.ErrTooHeavy]. What the store itself takes for an entry
	// is not counted: 50 to 85 bytes beside the key and the value, and more where there are few.
	//
	// Nor are tags, which Weigh does not see: an entry keeps the names it was given, up to [tarn.MaxTags] of
	// [tarn.MaxTagLength] bytes each, and the store each name that entries have once more. Where that may be much, let Weigh
	// count it.
	MaxWeight int64

	// Weigh returns the weight of an entry. It goes with MaxWeight, is called once for each write, outside every
	// lock, and any number of goroutines may call it at once. A negative weight refuses the entry with an error;
	// a weight of zero counts as one, since a store of weightless entries would have no bound.
	//
	// Weigh is not asked about remembered absences, which have no value. MaxNegative says what they weigh.
	Weigh func(key K, value V) int64

	// MaxNegative bounds the number of remembered absences ([tarn.Entry].Negative) apart from values, within the bound
	// of both. Once there are so many, an absence makes another absence leave, one that is asked for less. So however
	// many come, values have the rest of the bound; they have what absences do not use as well, and lose that again to
	// absences that come. 0: a 64th of MaxEntries, one at least. It is less than MaxEntries, and Resize changes it in
	// proportion.
	//
	// With MaxWeight it is 1,024 if left out, and so many absences weigh a 64th of MaxWeight together. One of them weighs
	// 1 at least, and there are fewer where that would be more than the 64th.
	MaxNegative int

	// CountReads has [Stats] count hits and misses, exactly. It makes a hit some 3 to 5 ns slower, a sixth of what one
	// costs. All else that is in Stats is counted in any case.
	CountReads bool

	// OnRemove is told once of each value that leaves the store, after it has left, outside every lock, on the
	// goroutine of the operation that removed it or on the store's own that removes what has expired. So any number
	// of goroutines may call it at once, and calls for one key may come in another order than its changes. A value that
	// Set accepts and does not keep, because its Expires has passed already, leaves at once.
	//
	// OnRemove may call the store, but must not write that key through a strategy, which may be waiting for it. If
	// it panics, the store is whole: an operation passes the panic on to its caller once the others of its removals
	// are told, and the store's own goroutine tells the Observer of it. Nil: nobody is told.
	//
	// A remembered absence has no value, and nobody is told when it leaves. Nor does Close tell.
	OnRemove func(Removal[K, V])

	// Observer is told of [tarn.EventEvicted] and [tarn.EventExpired], once for each operation with the number of
	// entries concerned, and of [tarn.EventPanicked] where OnRemove panicked and no caller could see it. Nil:
	// nobody is told, and nothing is spent on it. A nil pointer or function in it is a mistake, at which New panics.
	Observer tarn.Observer
}

// Removal is a value that left the store.
type Removal[K comparable, V any] struct {
	Key   K
	Value V
	Cause Cause
}

// Cause says why a value left the store. One whose Expires had passed is Expired, and else one of whose tags was
// invalidated is Invalidated, whichever operation came across it.
type Cause uint8

const (
	Evicted     Cause = iota + 1 // it made room for others
	Expired                      // its life was over
	Replaced                     // another value was set in its place, or tried to be and was refused
	Deleted                      // its key was deleted, or held by a writer
	Cleared                      // the store was cleared
	Invalidated                  // one of its tags was invalidated
)

var causes = [...]string{
	Evicted: "evicted", Expired: "expired", Replaced: "replaced", Deleted: "deleted", Cleared: "cleared",
	Invalidated: "invalidated",
}

// String returns the cause in a word.
func (c Cause) String() string {
	if int(c) < len(causes) && causes[c] != "" {
		return causes[c]
	}
	return "unknown cause"
}

// check returns the bound, and panics if the options make no sense.
func (o Options[K, V]) check() (bound int64) {
	switch {
	case hasNil(o.Observer):
		panic("memory: Options.Observer holds a nil; leave it out to tell nobody")
	case o.MaxEntries < 0:
		panic(fmt.Sprintf("memory: Options.MaxEntries is negative: %d", o.MaxEntries))
	case o.MaxWeight < 0:
		panic(fmt.Sprintf("memory: Options.MaxWeight is negative: %d", o.MaxWeight))
	case o.MaxNegative < 0:
		panic(fmt.Sprintf("memory: Options.MaxNegative is negative: %d", o.MaxNegative))
	case o.MaxEntries > 0 && o.MaxNegative >= o.MaxEntries:
		panic(fmt.Sprintf("memory: Options.MaxNegative is %d, which leaves nothing of Options.MaxEntries, %d, to values",
			o.MaxNegative, o.MaxEntries))
	case o.MaxEntries > 0 && o.MaxWeight > 0:
		panic("memory: Options.MaxEntries and Options.MaxWeight are both set; choose one")
	case o.MaxEntries > 0 && o.Weigh != nil:
		panic("memory: Options.Weigh is set, but goes with Options.MaxWeight, not with Options.MaxEntries")
	case o.MaxEntries > 0:
		return int64(o.MaxEntries)
	case o.MaxWeight > 0 && o.Weigh == nil:
		panic("memory: Options.MaxWeight is set, but Options.Weigh is nil")
	case o.MaxWeight > 0:
		return o.MaxWeight
	case o.Weigh != nil:
		panic("memory: Options.Weigh is set, but Options.MaxWeight is not")
	}
	panic("memory: neither Options.MaxEntries nor Options.MaxWeight is set; a store needs a bound")
}

// hasNil reports whether an observer is there but is a nil pointer or function.
func hasNil(o tarn.Observer) bool {
	if o == nil {
		return false
	}
	switch v := reflect.ValueOf(o); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Slice:
		return v.IsNil()
	default:
		return false
	}
}
