package tarn

import (
	"context"
	"iter"
	"time"

	"github.com/tarncache/tarn/ttl"
)

// Wrapper is implemented by a store, cache, loader or writer whose abilities depend on what it wraps. A wrapper
// cannot know at compile time what that is, and an assertion on a wrapper that forwards every method would always
// succeed; so its As has the last word.
type Wrapper interface {
	// As sets target, a non-nil pointer to an interface variable, to what offers that interface, and reports
	// whether there is one.
	As(target any) bool
}

// As returns what offers the capability T on behalf of x, and whether anything does. If x implements [Wrapper],
// As asks it. Otherwise it is x itself, if x implements T.
//
// Ask once, when you are given x, not on every call.
func As[T any](x any) (T, bool) {
	if w, ok := x.(Wrapper); ok {
		return asWrapped[T](w)
	}
	t, ok := x.(T)
	return t, ok
}

// asWrapped is apart from As because its t escapes, which nobody but a wrapper is to pay for.
func asWrapped[T any](w Wrapper) (T, bool) {
	var t, none T
	if !w.As(&t) {
		return none, false
	}
	return t, true
}

// LeaserOf returns the [Leaser] of a store, and whether it has one: As[Leaser[K, V]].
func LeaserOf[K comparable, V any](s Store[K, V]) (Leaser[K, V], bool) {
	return As[Leaser[K, V]](s)
}

// HolderOf returns the [Holder] of a store, and whether it has one: As[Holder[K, V]].
func HolderOf[K comparable, V any](s Store[K, V]) (Holder[K, V], bool) {
	return As[Holder[K, V]](s)
}

// Lookup is what a store has under one key.
type Lookup[V any] struct {
	Entry Entry[V]
	Found bool
}

// BatchStore is a Store that reads and writes many keys at once. Results go by index, so a key may come twice.
// A method may keep neither the caller's slices nor parts of them once it has returned.
type BatchStore[K comparable, V any] interface {
	// GetMany sets into[i] to what is stored under keys[i]. The slices are of one length.
	GetMany(ctx context.Context, keys []K, into []Lookup[V]) error

	// SetMany sets keys[i] to entries[i]; of a key that comes twice the last entry stays. Where some keys failed
	// and others did not, the error is an [IndexError].
	SetMany(ctx context.Context, keys []K, entries []Entry[V]) error

	// DeleteMany deletes the keys, each as Delete does.
	DeleteMany(ctx context.Context, keys []K) error
}

// Adder is a Store that can set a key only if it has no entry.
type Adder[K comparable, V any] interface {
	// Add stores e if key has no entry and is not held, and reports whether it did.
	Add(ctx context.Context, key K, e Entry[V]) (added bool, err error)
}

// Toucher is a Store that can move a deadline without writing the value.
type Toucher[K comparable, V any] interface {
	// Touch gives the entry of key a new Expires (0: never), and reports whether there was an entry.
	Touch(ctx context.Context, key K, expires ttl.Time) (touched bool, err error)
}

// Computer is a Store that can read, change and write a key in one atomic step.
type Computer[K comparable, V any] interface {
	// Compute calls f with the entry of key, if there is one, and does what f says. f runs outside every lock and
	// may be called again if the key changed meanwhile, so it has no effects of its own. Compute returns the entry
	// that stands afterwards, and whether there is one. A held key is ErrHeld.
	Compute(ctx context.Context, key K, f func(old Entry[V], found bool) (Entry[V], ComputeOp)) (Entry[V], bool, error)
}

// ComputeOp says what becomes of a key at the end of a Compute. The zero ComputeOp is ComputeKeep.
type ComputeOp uint8

const (
	ComputeKeep   ComputeOp = iota // leave the key as it is
	ComputeStore                   // store the returned entry
	ComputeDelete                  // delete the key
)

// Clearer is a Store that can remove all of its entries at once.
type Clearer interface {
	// Clear removes every entry, each as Delete would.
	Clear(ctx context.Context) error
}

// Scanner is a Store that can count and name what it has.
type Scanner[K comparable, V any] interface {
	// Count returns the number of entries. What has expired but was not yet removed may count.
	Count(ctx context.Context) (int, error)

	// Scan iterates over the entries, in no order. What is written meanwhile may be missed or seen; no key is seen
	// twice. The function returns the error that ended the iteration, if one did, once it is over: iterating over
	// a network can fail.
	Scan(ctx context.Context) (iter.Seq2[K, Entry[V]], func() error)
}

// Hitter is a Store that answers the common case, a hit, with the value alone: copying a whole Entry from caller to
// caller costs more than finding it.
type Hitter[K comparable, V any] interface {
	// Hit returns the value of key if Get would return it as an entry that is neither Negative nor Stale nor Rescued. If
	// ok is false, that says nothing: ask Get.
	Hit(key K) (value V, ok bool)
}

// Clocker is a Store that tells by which clock its deadlines go. For one that does not, a [ttl.Clock] that started with
// the strategy stands in; such a store compares deadlines with a ttl.Clock of its own.
type Clocker interface {
	Clock() ttl.Clock
}

// Sharer is a Store, or a cache on one, that says whether other processes use what it has. One that does not say is not
// shared.
type Sharer interface {
	Shared() bool
}

// Watcher is a Store that others change too, and that tells of it, so that copies of its entries can be kept near.
type Watcher[K comparable] interface {
	// Watch tells w what is changed by others, from the first call of w.Current on and until ctx ends, when it returns the
	// context's error. It goes on by itself where the connection is lost. It calls one method of w at a time, and waits
	// for it: they are quick.
	//
	// What is changed through this store itself, w is not told of, also where somebody else does it: whoever keeps copies
	// sees to it that all changes come by him.
	Watch(ctx context.Context, w Watch[K]) error
}

// Watch is told by a [Watcher] what has become of the entries of a store.
//
// A copy that was read from the store after Current was called first, or for the first time since a Lost, is no older than
// the store, but for the delay that Current tells, as long as neither Changed nor Lost says otherwise.
type Watch[K comparable] interface {
	// Changed says that keys were changed, or held: their copies are old, and so is what is being read.
	//
	// It is said of everything after which a copy may be old: a Hold, whether or not it is settled; a Settle that stored
	// something, or found its hold gone; a Fill that replaced an entry; Set, Add, Touch, Compute and Delete. Nobody has a
	// copy of what was not there, so a Lease, and the Fill of an empty key, need not be told.
	Changed(keys []K)

	// Lost says that anything may have changed, since messages were lost, the store was cleared or restarted, or there
	// are too many changes to name: all copies are old, and so is what is being read, and what will be read until Current
	// is called. It does not say that the store can be watched again; Current does.
	Lost()

	// Current says that everything that changed before this call was told, so that copies may be used until then, by the
	// clock of the store (see [Clocker]). So a Watcher that asks the store how many changes there were counts from before
	// it asked, and first waits for those that it was not told of: a change that is acknowledged after it asked is told,
	// or called Lost, until then, or copies are not used any more. A later call takes the place of an earlier one.
	Current(until ttl.Time)
}

// Token names one lease or one hold. No two are alike, and the zero Token names none.
type Token [16]byte

// Leaser is a Store that lets a value be filled in only if its key has not changed since the source was read. The
// race it guards against:
//
//	reader                  writer
//	Get: miss
//	load: old value
//	                        write the source
//	                        Delete from the cache
//	Set: the old value stays
//
// With a lease, the Delete voids what the reader took before its load, and its Fill stores nothing. Every
// operation that changes a key voids its lease: Set, Add, Touch, Compute, Delete, Clear, Hold. (Nishtala et al.,
// Scaling Memcache at Facebook, NSDI 2013, section 3.2.1.)
type Leaser[K comparable, V any] interface {
	// Lease looks keys[i] up and sets into[i] to what it found; where nothing is stored, leased or held, it takes
	// a lease on the key. Keys are distinct. Where it returns an error, into still says what was granted.
	Lease(ctx context.Context, keys []K, terms LeaseTerms, into []Lease[V]) error

	// Fill ends each lease, storing the entry if the lease still stands and the Fill says Store.
	// It sets Stored accordingly, and where it gave what it stored a shorter life than it was asked for, Entry.Expires,
	// so that a copy of the entry does not outlive it.
	Fill(ctx context.Context, fills []Fill[K, V]) error

	// Stands sets into[i] to whether the lease tokens[i] of keys[i] still stands: whether nothing has changed
	// the key since it was taken.
	Stands(ctx context.Context, keys []K, tokens []Token, into []bool) error
}

// LeaseTerms are the terms of a Lease call.
type LeaseTerms struct {
	Life    time.Duration // after which a lease ends by itself; positive
	Refresh bool          // take a lease also where an entry is stored, which stays until the Fill
	Stamp   bool          // set Lease.Stamp: what is loaded may have tags. Only a Tagger does it
}

// Lease is the answer of a Leaser for one key.
type Lease[V any] struct {
	State LeaseState
	Token Token    // of Granted: yours; of Leased: the one that stands, which you can only ask about
	Entry Entry[V] // the entry stored under the key, if Found
	Found bool     // always with Hit; with Refresh, possibly with Granted and Leased
	Stamp Stamp    // of Granted, if the terms ask for it: the store's moment, not after the lease was taken
}

// LeaseState says how a Leaser found a key.
type LeaseState uint8

const (
	Hit     LeaseState = iota + 1 // an entry is stored
	Granted                       // the caller has the lease
	Leased                        // somebody else has it: load if you must, but do not fill
	Held                          // the source is being written: load, but neither fill nor share what you find
)

// Fill ends a lease of a [Leaser], with an entry or without.
type Fill[K comparable, V any] struct {
	Key    K
	Token  Token
	Store  bool // store Entry if the lease stands; false: only give the lease back
	Entry  Entry[V]
	Stored bool // set by the Leaser: Entry was stored
	// Over has the tags of the entry that the lease found, if it was there and had some: a Tagger stores nothing if one of
	// them was invalidated since. What the source said may be as old as that entry, whatever tags Entry has.
	Over *Tags
}

// Holder is a Store whose keys can be held while their source is written. A held key has no value, no lease can be
// taken on it, Set refuses it with ErrHeld and Add and Touch with false. It closes what Leaser leaves open: a
// writer that dies between its commit and its Delete leaves an old value behind, but a hold ends with an empty key.
//
// Several writers may hold one key. A hold that was not alone from its start to its end is tainted: which of
// the writers committed last, the store cannot know, so the key is forgotten.
type Holder[K comparable, V any] interface {
	// Hold holds keys[i] under a new token, tokens[i], for at most life. Keys are distinct. If it returns an
	// error, nothing is held.
	Hold(ctx context.Context, keys []K, life time.Duration, tokens []Token) error

	// Settle ends holds. Where a hold is the only one on its key and untainted, the entry is stored if the
	// Settlement says Store, and the key is empty otherwise. If it is the only one and tainted, the key is empty
	// afterwards. If others hold the key, theirs stay, tainted. If the hold is gone and nobody holds the key, the
	// key is emptied of whatever stands there.
	Settle(ctx context.Context, settlements []Settlement[K, V]) error
}

// Settlement ends one hold.
type Settlement[K comparable, V any] struct {
	Key    K
	Token  Token
	Store  bool // store Entry if the hold was alone; false: forget the key
	Entry  Entry[V]
	Stored bool // set by the Holder: Entry was stored
}

// BatchLoader is a Loader that reads many keys at once. See [LoadManyFunc].
type BatchLoader[K comparable, V any] interface {
	// LoadMany sets into[i], as a whole, to what the source has under keys[i], its Err to ErrNotFound where it has
	// nothing. What it leaves unset is an error for that key. Keys are distinct. An error means that nothing was
	// loaded. It may keep neither slice.
	LoadMany(ctx context.Context, keys []K, into []Loaded[V]) error
}

// EntryLoader is a Loader that chooses how long what it loaded lives, and its tags. See [LoadEntryFunc].
type EntryLoader[K comparable, V any] interface {
	// LoadEntry returns the value of key in Loaded.Value. With ErrNotFound, Loaded.Policy says how long
	// the absence is remembered, and Loaded.Tags which tags it has. Loaded.Err is ignored.
	LoadEntry(ctx context.Context, key K) (Loaded[V], error)
}

// Untagged is a BatchLoader or an EntryLoader that can say that it gives no tags, as that of [LoadManyFunc] does. Of any
// other a strategy expects some, which costs it a little, and means that it does not know those of a value that was
// written; see strategies.WithTags.
type Untagged interface {
	// Untagged reports whether Loaded.Tags is always empty.
	Untagged() bool
}

// Loaded is what a source had under one key.
//
// A Policy that sets more than Fresh, Negative and Jitter, or that makes no sense, and bad Tags, cost the key its place in
// the cache and the callers nothing: they are given the value, nothing is stored, and an old value is not served again. The
// observer is told of an [EventFillDropped] whose error says why, each time; so a key that is always loaded may have one.
type Loaded[V any] struct {
	Value  V
	Err    error       // in a batch: why there is no value; ErrNotFound if the source has no such key
	Policy *ttl.Policy // how long the value, or its absence, lives; nil: as the strategy's policy says
	Tags   []string    // by which it can be invalidated, value or absence; see [Tagger]
}

// BatchWriter is a Writer that writes many keys at once. See [WriteManyFuncs].
type BatchWriter[K comparable, V any] interface {
	// Apply writes the operations, whose keys are distinct. It returns nil only if the source has them all.
	// An [IndexError] says which failed; any other error, that none is known to have arrived. It may not keep ops.
	Apply(ctx context.Context, ops []Op[K, V]) error
}

// Op is one write: a value, or a delete.
type Op[K comparable, V any] struct {
	Key    K
	Value  V
	Delete bool

	// Epoch and Seq order the writes of one key, so that a source can refuse an older one that arrives late: of
	// one Epoch the greater Seq is the later. They are zero except in write-back.
	Epoch, Seq uint64
}

// BatchCache is a Cache that reads and writes many keys at once. [GetMany], [SetMany] and [DeleteMany] use it.
// A key may come twice. A method may keep neither the caller's slices nor parts of them once it has returned.
type BatchCache[K comparable, V any] interface {
	// GetMany sets into[i] to the value of keys[i], or to an error, each as Get does. The error it returns says
	// that nothing could be done at all.
	GetMany(ctx context.Context, keys []K, into []Result[V]) error

	// SetMany sets keys[i] to values[i], each as Set does; of a key that comes twice the last value counts.
	// Where some keys failed, the error is an [IndexError].
	SetMany(ctx context.Context, keys []K, values []V) error

	// DeleteMany deletes the keys, each as Delete does.
	DeleteMany(ctx context.Context, keys []K) error
}

// Result is the answer for one key of a batch.
type Result[V any] struct {
	Value V
	Err   error // as of Get: ErrNotFound where there is no value
}
