package tarn

import (
	"context"
	"errors"
	"slices"
)

// LoadFunc makes a Loader of a function, such as a repository's Find. ErrNotFound, and any error that errors.Is matches
// to one of those listed, means that the source has no such key; callers get ErrNotFound then, whether the absence was
// loaded or remembered, and never the listed error. It panics if load is nil.
func LoadFunc[K comparable, V any](load func(ctx context.Context, key K) (V, error), notFound ...error) Loader[K, V] {
	if load == nil {
		panic("tarn: LoadFunc: load is nil")
	}
	return &loader[K, V]{load, slices.Clone(notFound)}
}

type loader[K comparable, V any] struct {
	load   func(ctx context.Context, key K) (V, error)
	absent absentErrors
}

func (l *loader[K, V]) Load(ctx context.Context, key K) (V, error) {
	v, err := l.load(ctx, key)
	return v, l.absent.translate(err)
}

// absentErrors are what a source says for "no such key".
type absentErrors []error

// translate returns ErrNotFound for any of the errors, so that callers meet one answer whether it was loaded or
// remembered.
func (a absentErrors) translate(err error) error {
	if err == nil {
		return nil
	}
	for _, absent := range a {
		if errors.Is(err, absent) {
			return ErrNotFound
		}
	}
	return err
}

// LoadManyFunc makes a Loader that is also a [BatchLoader], of a function for one key and one for many. A key that
// loadMany's map lacks is not in the source. It panics if a function is nil.
func LoadManyFunc[K comparable, V any](
	load func(ctx context.Context, key K) (V, error),
	loadMany func(ctx context.Context, keys []K) (map[K]V, error),
	notFound ...error,
) Loader[K, V] {
	if load == nil {
		panic("tarn: LoadManyFunc: load is nil")
	}
	if loadMany == nil {
		panic("tarn: LoadManyFunc: loadMany is nil")
	}
	return &manyLoader[K, V]{loader: loader[K, V]{load, slices.Clone(notFound)}, loadMany: loadMany}
}

type manyLoader[K comparable, V any] struct {
	loader   loader[K, V]
	loadMany func(ctx context.Context, keys []K) (map[K]V, error)
}

func (l *manyLoader[K, V]) Load(ctx context.Context, key K) (V, error) {
	return l.loader.Load(ctx, key)
}

// Untagged says that the functions give no tags; see [Untagged].
func (l *manyLoader[K, V]) Untagged() bool { return true }

func (l *manyLoader[K, V]) LoadMany(ctx context.Context, keys []K, into []Loaded[V]) error {
	found, err := l.loadMany(ctx, slices.Clone(keys)) // which may sort its own
	if err = l.loader.absent.translate(err); err != nil && !errors.Is(err, ErrNotFound) {
		return err
	}
	for i, key := range keys {
		v, ok := found[key]
		if into[i] = (Loaded[V]{Value: v}); !ok || err != nil {
			into[i] = Loaded[V]{Err: ErrNotFound}
		}
	}
	return nil
}

// LoadEntryFunc makes a Loader that is also an [EntryLoader], of a function that chooses how long each value lives, and by
// which tags it can be invalidated: its Value, Policy and Tags count, Err is ignored. A nil Policy leaves the life to the
// strategy; of any other, Fresh, Negative and Jitter count in place of the strategy's, also where they are zero. One that sets
// anything else, or that makes no sense, is not obeyed; see [Loaded]. What comes with one of the errors listed, or with
// ErrNotFound, says how long the absence is remembered, and its tags. It panics if load is nil.
func LoadEntryFunc[K comparable, V any](
	load func(ctx context.Context, key K) (Loaded[V], error), notFound ...error,
) Loader[K, V] {
	if load == nil {
		panic("tarn: LoadEntryFunc: load is nil")
	}
	return &entryLoader[K, V]{load, slices.Clone(notFound)}
}

type entryLoader[K comparable, V any] struct {
	load   func(ctx context.Context, key K) (Loaded[V], error)
	absent absentErrors
}

func (l *entryLoader[K, V]) Load(ctx context.Context, key K) (V, error) {
	got, err := l.load(ctx, key)
	return got.Value, l.absent.translate(err)
}

func (l *entryLoader[K, V]) LoadEntry(ctx context.Context, key K) (Loaded[V], error) {
	got, err := l.load(ctx, key)
	got.Err = nil
	return got, l.absent.translate(err)
}

// WriteFuncs makes a Writer of two functions, such as a repository's Save and Remove. It panics if one is nil.
func WriteFuncs[K comparable, V any](
	save func(ctx context.Context, key K, value V) error, remove func(ctx context.Context, key K) error,
) Writer[K, V] {
	if save == nil {
		panic("tarn: WriteFuncs: save is nil")
	}
	if remove == nil {
		panic("tarn: WriteFuncs: remove is nil")
	}
	return writer[K, V]{save, remove}
}

// WriteValueFuncs is WriteFuncs for a save that finds the key in the value. It cannot see which key that is: the caller
// of Set sees to it that key and value belong together.
func WriteValueFuncs[K comparable, V any](
	save func(ctx context.Context, value V) error, remove func(ctx context.Context, key K) error,
) Writer[K, V] {
	if save == nil {
		panic("tarn: WriteValueFuncs: save is nil")
	}
	if remove == nil {
		panic("tarn: WriteValueFuncs: remove is nil")
	}
	return writer[K, V]{func(ctx context.Context, _ K, value V) error { return save(ctx, value) }, remove}
}

type writer[K comparable, V any] struct {
	save   func(ctx context.Context, key K, value V) error
	remove func(ctx context.Context, key K) error
}

func (w writer[K, V]) Save(ctx context.Context, key K, value V) error { return w.save(ctx, key, value) }
func (w writer[K, V]) Delete(ctx context.Context, key K) error        { return w.remove(ctx, key) }

// WriteManyFuncs makes a Writer that is also a [BatchWriter], of one function that applies many operations, in one
// transaction or statement. A single write is a batch of one. It panics if apply is nil.
func WriteManyFuncs[K comparable, V any](apply func(ctx context.Context, ops []Op[K, V]) error) Writer[K, V] {
	if apply == nil {
		panic("tarn: WriteManyFuncs: apply is nil")
	}
	return manyWriter[K, V]{apply}
}

type manyWriter[K comparable, V any] struct {
	apply func(ctx context.Context, ops []Op[K, V]) error
}

func (w manyWriter[K, V]) Apply(ctx context.Context, ops []Op[K, V]) error { return w.apply(ctx, ops) }

func (w manyWriter[K, V]) Save(ctx context.Context, key K, value V) error {
	return ErrAt(w.apply(ctx, []Op[K, V]{{Key: key, Value: value}}), 0, 1)
}

func (w manyWriter[K, V]) Delete(ctx context.Context, key K) error {
	return ErrAt(w.apply(ctx, []Op[K, V]{{Key: key, Delete: true}}), 0, 1)
}
