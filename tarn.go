// Package tarn is a caching library that programs embed: a typed cache in front of a database, with the hard part
// done. It says what happens when a read and a write of one key race, when a thousand callers want one cold key,
// and when the cache or the source fails.
//
// Applications hold a [Cache]. It is made in two steps: a [Store] keeps entries (package store/memory in this
// process), and a strategy (package strategies) decides which way reads and writes take between the store and the
// source, which is a [Loader] and a [Writer] made of the functions that the application has already:
//
//	mem := memory.New(memory.Options[int64, User]{MaxEntries: 100_000})
//	find := tarn.LoadFunc(repo.Find, sql.ErrNoRows)
//	save := tarn.WriteValueFuncs(repo.Save, repo.Remove)
//	users := strategies.WriteThrough(strategies.ReadThrough(mem, find), save)
//
// This package holds what the others share: the interfaces, the errors, and the events that an [Observer] is told.
//
// # Capabilities
//
// The interfaces have one to three methods. What a store, a cache, a loader or a writer can do beyond them is an
// optional interface, as in io/fs: [BatchStore], [Leaser], [Holder], [Adder], [Toucher], [Computer], [Clearer],
// [Scanner], [Hitter], [Clocker], [Watcher], [BatchCache], [BatchLoader], [EntryLoader], [BatchWriter], [Tagger].
// They are asked for through [As], which lets a wrapper answer for what it wraps.
package tarn

import (
	"context"

	"github.com/tarncache/tarn/ttl"
)

// Cache is what applications hold. Every strategy is one, and all methods may be called by any number of
// goroutines.
type Cache[K comparable, V any] interface {
	// Get returns the value of key, or ErrNotFound if neither cache nor source has it. Any other error says why
	// the answer is not known.
	Get(ctx context.Context, key K) (V, error)

	// Set gives key a value. Where it is written, and in which order, is the strategy's.
	Set(ctx context.Context, key K, value V) error

	// Delete removes key. Deleting what is not there is no error.
	Delete(ctx context.Context, key K) error
}

// Guarded is a Cache that can hold keys while their source is written. The read strategies are Guarded, and the
// write strategies take one; none of them is Guarded itself, so that the wrong nesting does not compile.
//
// A decorator between the two passes Hold on, or does not fit.
type Guarded[K comparable, V any] interface {
	Cache[K, V]

	// Hold makes readers go to the source, and keep nothing of what they find there, until the Hold is settled or
	// its life ends. Keys are distinct. If Hold returns an error, nothing is held.
	Hold(ctx context.Context, keys []K) (Hold[V], error)
}

// Hold is a number of keys held while their source is written. It is settled exactly once, by one goroutine.
type Hold[V any] interface {
	// Settle ends the hold and says what became of the keys: outcomes has one for each key, in their order. It
	// returns ErrMaybeStale if the cache could not be told and may answer with an older value; otherwise, when it
	// returns, every read that begins sees these outcomes or later ones.
	Settle(ctx context.Context, outcomes []Outcome[V]) error
}

// Outcome says what a write did to a key's source. The zero Outcome is Unknown.
type Outcome[V any] struct {
	Kind  OutcomeKind
	Value V // of Stored
}

// OutcomeKind says what became of a key at its source.
type OutcomeKind uint8

const (
	Unknown OutcomeKind = iota // it failed, or nobody knows: the cache forgets the key
	Stored                     // the source has Outcome.Value
	Removed                    // the source has no such key any more
)

// Store is what backends implement; package store/storetest tells whether one keeps the rules. Applications may use
// one directly; strategies are what they normally hold. All methods may be called by any number of goroutines.
//
// A context that is already cancelled does not hinder a Get that need not wait. Whatever would wait or write
// returns the context's error and changes nothing.
type Store[K comparable, V any] interface {
	// Get returns the entry of key, and whether there is one. An entry whose Expires has passed is never returned,
	// and Stale is set on one whose Fresh has passed: the strategies rely on the store for both. A failure is an
	// error, never "not found".
	Get(ctx context.Context, key K) (e Entry[V], found bool, err error)

	// Set gives key an entry in place of any other. If the store refuses it, nothing is left under key: an error
	// never leaves an older value behind, unless it is ErrHeld, the context's own, or ErrClosed.
	Set(ctx context.Context, key K, e Entry[V]) error

	// Delete removes key. Deleting what is not there is no error. On a store that can hold keys, it also reaches
	// what is being read or written at the time: no fill that was leased before puts an older value back.
	Delete(ctx context.Context, key K) error
}

// Entry is a value and its deadlines, as a Store keeps them. Deadlines are told by the store's own clock; see
// [Clocker].
type Entry[V any] struct {
	Value    V
	Fresh    ttl.Time // until then the value is served as it is; 0: until Expires
	Expires  ttl.Time // from then on the entry is gone; 0: never
	Negative bool     // the source said that there is no such key; Value is of no meaning
	Stale    bool     // set by a store's Get when Fresh has passed; ignored by Set
	Rescued  bool     // the source failed when the value was to be replaced, which is tried again after Fresh. A store that
	// cannot keep it may drop it; then the value passes for a fresh one until Fresh.
	Tags *Tags // what it is invalidated by; nil: nothing. Only a Tagger keeps them
}

// Loader reads one key from the source. See [LoadFunc].
type Loader[K comparable, V any] interface {
	// Load returns the value of key, or ErrNotFound if the source has no such key. If it returns an error, the
	// value is ignored.
	Load(ctx context.Context, key K) (V, error)
}

// Writer writes one key to the source. See [WriteFuncs].
type Writer[K comparable, V any] interface {
	// Save stores the value of key. It returns nil only if the source has it.
	Save(ctx context.Context, key K, value V) error

	// Delete removes key from the source. Deleting what is not there is no error.
	Delete(ctx context.Context, key K) error
}
