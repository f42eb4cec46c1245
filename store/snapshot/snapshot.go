// Package snapshot saves what a store has, with its deadlines, and loads it again, so that a process that starts anew
// does not meet its source with an empty cache.
//
//	users := snapshot.New(snapshot.Config[int64, User]{Name: "users"})
//	_, err := users.SaveFile(ctx, "users.snapshot", mem) // before the process ends, or now and then
//	_, err = users.LoadFile(ctx, "users.snapshot", mem)  // before the next one serves
//
// What was written to the source, or invalidated, after the snapshot was taken, the snapshot does not know: an entry that
// is loaded is as old as that, and lives for what it had left, by the wall clock. Give entries lives, and where that is not
// enough, set Config.Stale, so that each is loaded from the source again when it is used.
//
// Load before you serve: what is written or invalidated while a snapshot is loaded, the load may undo.
//
// It is for a memory store that is used by itself. In the near store of a tiered one, copies would be older than that one
// promises, and in a store that processes share, older than what another has written: never load a snapshot into either.
//
// Before a process ends, close the strategy, so that what it still writes is in the snapshot; then save; then close the store.
package snapshot

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/keybytes"
	"github.com/tarncache/tarn/internal/payload"
	"github.com/tarncache/tarn/ttl"
)

// Config says how entries are turned into bytes. A snapshot can be loaded with the Config that it was saved with.
type Config[K comparable, V any] struct {
	// Name tells snapshots of one store from those of others whose types are the same.
	Name string

	// Codec turns values into bytes and back. Nil: that of [codec.For].
	Codec codec.Codec[V]

	// Layers work on what the codec made, the first one first: [codec.Compressed], [codec.Encrypted]. Keys stand in the
	// snapshot as they are.
	Layers []codec.Layer

	// AppendKey appends the bytes of a key to dst and returns the longer slice, and ParseKey is the way back. No two keys
	// have the same bytes. Nil: keys are kinds of strings or integers, or have MarshalText and UnmarshalText.
	AppendKey func(dst []byte, key K) ([]byte, error)
	ParseKey  func(src []byte) (K, error)

	// MaxValue is how many bytes the codec may make of a value. A larger one is left out. 0: 8 MiB.
	MaxValue int

	// Stale has Load make every value stale at once: a strategy whose policy has StaleWhileRevalidate or StaleIfError
	// serves it and loads it anew, and any other loads it anew. Absences are left out.
	Stale bool
}

// Format saves and loads snapshots of one kind of store. All methods may be called at once.
type Format[K comparable, V any] struct {
	keys   keybytes.Form[K]
	values *payload.Form[V]
	head   head
	stale  bool
}

var (
	// ErrForeign says that what was to be loaded is no snapshot, or one of another store, type or codec.
	ErrForeign = errors.New("snapshot: not a snapshot of this store")

	// ErrVersion says that a newer program has written the snapshot.
	ErrVersion = errors.New("snapshot: written by a newer version")

	// ErrDamaged says that a snapshot is not whole, or not as it was saved.
	ErrDamaged = errors.New("snapshot: damaged")
)

// New returns a Format. It panics if the Config makes no sense.
func New[K comparable, V any](cfg Config[K, V]) *Format[K, V] {
	f := &Format[K, V]{
		keys: keybytes.New(keybytes.Options[K]{
			Append: cfg.AppendKey, Parse: cfg.ParseKey, Package: "snapshot", Config: "Config",
		}),
		values: payload.New(payload.Options[V]{
			Codec: cfg.Codec, Layers: cfg.Layers, MaxValue: cfg.MaxValue, Bound: "snapshot " + cfg.Name,
			Package: "snapshot", Config: "Config", Undecodable: ErrDamaged,
		}),
		stale: cfg.Stale,
	}
	if !f.keys.Parses() {
		panic("snapshot: Config.ParseKey is nil, and keys cannot be told by their bytes without it")
	}
	f.head = head{cfg.Name, typeName[K](), typeName[V](), f.values.IDs()}
	return f
}

// typeName names a type as a snapshot does: with its package, so that two Users differ.
func typeName[T any]() string {
	t := reflect.TypeFor[T]()
	if t.PkgPath() != "" {
		return t.PkgPath() + "." + t.Name()
	}
	return t.String()
}

// Result says what became of the entries of a store or of a snapshot.
type Result struct {
	Entries int // saved; or given to the store and accepted, which may have evicted some again
	Expired int // their lives were over
	Skipped int // Save: their key or value cannot be encoded; Load: the store has the key, or would not take it, or no tags
}

// parts are what is needed of a store.
type parts[K comparable, V any] struct {
	scanner tarn.Scanner[K, V]
	adder   tarn.Adder[K, V]
	tagger  tarn.Tagger // nil: it has no entries with tags
	clock   ttl.Clock
}

func partsOf[K comparable, V any](op string, store tarn.Store[K, V]) (p parts[K, V], err error) {
	if store == nil {
		return p, fmt.Errorf("snapshot: %s: store is nil", op)
	}
	p.scanner, _ = tarn.As[tarn.Scanner[K, V]](store)
	p.adder, _ = tarn.As[tarn.Adder[K, V]](store)
	p.tagger, _ = tarn.As[tarn.Tagger](store)
	clocker, ok := tarn.As[tarn.Clocker](store)
	if !ok {
		return p, fmt.Errorf("snapshot: %s: the store is no tarn.Clocker: %w", op, errors.ErrUnsupported)
	}
	p.clock = clocker.Clock()
	return p, nil
}

// canceled returns the error of an operation whose context has ended.
func canceled(ctx context.Context, op string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("snapshot: %s: %w", op, err)
	}
	return nil
}
