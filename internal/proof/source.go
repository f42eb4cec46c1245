package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tarncache/tarn"
)

// Pause is a wait of up to Most, which happens with a probability.
type Pause struct {
	P    float64
	Most time.Duration
}

// Pauses are where a node stands still: what is rare by chance happens often while it does.
type Pauses struct {
	Read   Pause // after the database has answered a load, before the cache hears of it
	Write  Pause // after a write was begun, and its hold placed, before the database is written
	Commit Pause // after the database was written, before the cache is told
}

// source is the database as the caches of a node see it.
type source struct {
	db      Database
	pauses  Pauses
	failing float64 // which part of the loads fails

	mu  sync.Mutex // protects rng
	rng *rand.Rand
}

func (s *source) pause(ctx context.Context, p Pause) {
	if p.P == 0 {
		return
	}
	s.mu.Lock()
	waits, d := s.rng.Float64() < p.P, time.Duration(s.rng.Int64N(int64(p.Most)))
	s.mu.Unlock()
	if waits {
		sleep(ctx, d)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

var errSource = errors.New("proof: the source does not answer")

// fails draws whether a load fails.
func (s *source) fails() bool {
	if s.failing == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rng.Float64() < s.failing
}

// loader reads the database.
func (s *source) loader() tarn.Loader[int64, Item] {
	many := func(ctx context.Context, keys []int64) (map[int64]Item, error) {
		ops, err := s.db.Load(ctx, keys)
		s.pause(ctx, s.pauses.Read)
		if err == nil && s.fails() {
			err = errSource
		}
		if err != nil {
			return nil, err
		}
		items := make(map[int64]Item, len(ops))
		for key, op := range ops {
			items[key] = Item{Key: key, Op: op, Fill: "-"}
		}
		return items, nil
	}
	one := func(ctx context.Context, key int64) (Item, error) {
		items, err := many(ctx, []int64{key})
		if err != nil {
			return Item{}, err
		}
		if item, ok := items[key]; ok {
			return item, nil
		}
		return Item{}, tarn.ErrNotFound
	}
	return tarn.LoadManyFunc(one, many)
}

// tagsOf are the tags of a key: one that it has alone, and one that others have too.
func tagsOf(key int64) []string {
	return []string{fmt.Sprint("key ", key), fmt.Sprint("third ", key%3)}
}

// taggedLoader reads the database, and gives tags to what is there and to what is not.
func (s *source) taggedLoader() tarn.Loader[int64, Item] { return taggedLoader{s.loader()} }

type taggedLoader struct{ tarn.Loader[int64, Item] }

func (l taggedLoader) LoadEntry(ctx context.Context, key int64) (tarn.Loaded[Item], error) {
	item, err := l.Load(ctx, key)
	return tarn.Loaded[Item]{Value: item, Tags: tagsOf(key)}, err
}

func (l taggedLoader) LoadMany(ctx context.Context, keys []int64, into []tarn.Loaded[Item]) error {
	err := l.Loader.(tarn.BatchLoader[int64, Item]).LoadMany(ctx, keys, into)
	for i, key := range keys {
		into[i].Tags = tagsOf(key)
	}
	return err
}

// write makes changes in the database.
func (s *source) write(ctx context.Context, changes []Change) error {
	s.pause(ctx, s.pauses.Write)
	err := s.db.Write(ctx, changes)
	s.pause(ctx, s.pauses.Commit)
	return err
}

// deletes are the numbers of the deletes that a call makes: a Writer's Delete is not given a value that could say.
type deletes struct{}

func withDeletes(ctx context.Context, changes []Change) context.Context {
	return context.WithValue(ctx, deletes{}, changes)
}

// writer writes the database.
func (s *source) writer() tarn.Writer[int64, Item] {
	return tarn.WriteManyFuncs(func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
		named, _ := ctx.Value(deletes{}).([]Change)
		changes := make([]Change, len(ops))
		for i, op := range ops {
			changes[i] = Change{Key: op.Key, Op: op.Value.Op, Deleted: op.Delete}
			if op.Delete {
				n := slices.IndexFunc(named, func(c Change) bool { return c.Key == op.Key })
				changes[i].Op = named[n].Op
			}
		}
		return s.write(ctx, changes)
	})
}

// backWriter writes the database behind write-back, which does not say which delete it writes: it counts as its own.
func (s *source) backWriter() tarn.Writer[int64, Item] {
	return tarn.WriteManyFuncs(func(ctx context.Context, ops []tarn.Op[int64, Item]) error {
		changes := make([]Change, len(ops))
		for i, op := range ops {
			changes[i] = Change{Key: op.Key, Op: op.Value.Op, Deleted: op.Delete}
			if op.Delete {
				changes[i].Op = -int64(op.Seq)
			}
		}
		return s.write(ctx, changes)
	})
}
