package strategies_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/journal"
)

// silent answers for no key of a batch.
type silent struct{ *source }

func (silent) LoadMany(context.Context, []string, []tarn.Loaded[int]) error { return nil }

// strangeJournal has a record of a kind that nobody knows.
type strangeJournal struct{ journal.Journal }

func (strangeJournal) Epoch() uint64 { return 1 }

func (strangeJournal) Replay(_ context.Context, each func(journal.Record) error) (journal.Position, error) {
	return journal.Position{}, each(journal.Record{Seq: 7, Kind: 99})
}

// An error names the module and its operation once, tells why, and is what it wraps.
func TestErrorTexts(t *testing.T) {
	get := func(ctx context.Context, store tarn.Store[string, int], l tarn.Loader[string, int], opts ...strategies.ReadOption) error {
		c := strategies.ReadThrough(store, l, opts...)
		defer c.Close(ctx)
		_, err := c.Get(ctx, "a")
		return err
	}
	fails := func(err error) *source {
		src := newSource(map[string]int{})
		src.set(func(context.Context, string) error { return err }, nil)
		return src
	}
	broken := newTable(map[string]int{})
	broken.on(func(context.Context, tarn.Op[string, int]) error { return errBroken }, nil)
	for _, tt := range []struct {
		want string
		is   error
		call func(ctx context.Context, store *tamper[string, int]) error
	}{
		{"tarn: load: broken", errBroken, func(ctx context.Context, store *tamper[string, int]) error {
			return get(ctx, store, fails(errBroken))
		}},
		{"tarn: load: broken", errBroken, func(ctx context.Context, store *tamper[string, int]) error {
			inner := strategies.ReadThrough(store, fails(errBroken))
			defer inner.Close(ctx)
			return get(ctx, store, tarn.LoadFunc(func(ctx context.Context, key string) (int, error) { return inner.Get(ctx, "of "+key) }))
		}},
		{"tarn: load shed: the rate is reached", tarn.ErrShed, func(ctx context.Context, store *tamper[string, int]) error {
			return get(ctx, store, fails(fmt.Errorf("%w: the rate is reached", tarn.ErrShed)))
		}},
		{"tarn: load: recursive use of a key", tarn.ErrRecursive, func(ctx context.Context, store *tamper[string, int]) error {
			return get(ctx, store, fails(tarn.ErrRecursive))
		}},
		{"tarn: load: LoadMany left a key without an answer", nil, func(ctx context.Context, store *tamper[string, int]) error {
			c := strategies.ReadThrough(store, tarn.Loader[string, int](silent{newSource(nil)}))
			defer c.Close(ctx)
			into := make([]tarn.Result[int], 2)
			_ = c.GetMany(ctx, []string{"a", "b"}, into)
			return into[0].Err
		}},
		{"tarn: load exceeded its time limit of 2s", tarn.ErrLoadTimeout, func(ctx context.Context, store *tamper[string, int]) error {
			src := newSource(nil)
			src.set(ignores(3*time.Second), nil)
			return get(ctx, store, src, strategies.WithLoadTimeout(2*time.Second))
		}},
		{"tarn: load exceeded its time limit of 2s: get: the store is slow", tarn.ErrLoadTimeout,
			func(ctx context.Context, store *tamper[string, int]) error {
				src := newSource(nil)
				src.set(func(ctx context.Context, _ string) error {
					<-ctx.Done()
					return fmt.Errorf("tarn: get: the store is slow")
				}, nil)
				for { // it may also be given up before it says so
					err := get(ctx, store, src, strategies.WithLoadTimeout(2*time.Second))
					if err.Error() != "tarn: load exceeded its time limit of 2s" {
						return err
					}
				}
			}},
		{"tarn: load exceeded its time limit: the caller waited 1s, and the load goes on", tarn.ErrLoadTimeout,
			func(ctx context.Context, store *tamper[string, int]) error {
				src := newSource(nil)
				src.set(takes(2*time.Second), nil)
				return get(ctx, store, src, strategies.WithHardTimeout(time.Second))
			}},
		{"tarn: get: the store exceeded its time limit of 1s: context deadline exceeded", tarn.ErrStoreTimeout,
			func(ctx context.Context, store *tamper[string, int]) error {
				store.on(func(ctx context.Context, _ string) error { return takes(time.Hour)(ctx, "") })
				_, err := strategies.LookAside(store, strategies.WithStoreTimeout(time.Second)).Get(ctx, "a")
				return err
			}},
		{"tarn: set: bad tags: number 1 is empty", tarn.ErrTags, func(ctx context.Context, store *tamper[string, int]) error {
			return strategies.LookAside(store, strategies.WithTags(func(string, int) []string { return []string{""} })).Set(ctx, "a", 1)
		}},
		{"tarn: write: broken", errBroken, func(ctx context.Context, store *tamper[string, int]) error {
			return strategies.WriteThrough(strategies.ReadThrough(store, broken.source), broken).Set(ctx, "a", 1)
		}},
		{"tarn: write: 2 of 2 failed, the first: broken", errBroken, func(ctx context.Context, store *tamper[string, int]) error {
			c := strategies.WriteThrough(strategies.ReadThrough(store, broken.source), batchTable{broken})
			return c.SetMany(ctx, []string{"a", "b"}, []int{1, 2})
		}},
		{"tarn: write: the store cannot hold the key: full", tarn.ErrFull, func(ctx context.Context, store *tamper[string, int]) error {
			store.on(func(context.Context, string) error { return tarn.ErrFull })
			in := strategies.ReadThrough(store, broken.source, strategies.WithHoldsRequired())
			return strategies.WriteThrough(in, broken).Set(ctx, "a", 1)
		}},
		{"tarn: written, but the cache may be stale: delete: broken", tarn.ErrMaybeStale,
			func(ctx context.Context, store *tamper[string, int]) error {
				store.failing("hold", "delete")
				src := newTable(map[string]int{})
				in := strategies.ReadThrough(store, src.source)
				defer func() { store.on(nil); require.NoError(t, in.Close(ctx)) }()
				return strategies.WriteThrough(in, src).Set(ctx, "a", 1)
			}},
		{"tarn: close: written, but the cache may be stale", tarn.ErrMaybeStale,
			func(ctx context.Context, store *tamper[string, int]) error {
				store.failing("delete")
				c := strategies.LookAside(store)
				require.ErrorIs(t, c.Delete(ctx, "a"), errBroken)
				return c.Close(ctx)
			}},
		{"tarn: answer: the inner cache cannot say how: unsupported operation", nil, func(ctx context.Context, store *tamper[string, int]) error {
			_, err := strategies.WriteThrough(mute{strategies.LookAside(store)}, broken).Answer(ctx, "a")
			return err
		}},
		{"strategies: write-back: above WriteBackConfig.MaxPendingBytes by itself: entry is heavier than the limit", tarn.ErrTooHeavy,
			func(ctx context.Context, store *tamper[string, int]) error {
				c, err := strategies.WriteBack(strategies.LookAside(store), broken, strategies.WriteBackConfig[string, int]{
					MaxPendingBytes: 1, Size: func(string, int) int64 { return 2 },
				})
				require.NoError(t, err)
				defer c.Close(ctx)
				return c.Set(ctx, "a", 1)
			}},
		{"tarn: keys not written: 1: context deadline exceeded; the source: write: the store cannot hold the key: broken", errBroken,
			func(ctx context.Context, store *tamper[string, int]) error {
				store.failing("hold")
				in := strategies.LookAside(store, strategies.WithHoldsRequired())
				c, err := strategies.WriteBack(in, broken, strategies.WriteBackConfig[string, int]{})
				require.NoError(t, err)
				require.NoError(t, c.Set(ctx, "a", 1))
				return c.Close(ctx)
			}},
		{"strategies: WriteBack: replay: record 7 is of kind 99, which is none of write-back's", nil,
			func(ctx context.Context, store *tamper[string, int]) error {
				_, err := strategies.WriteBack(strategies.LookAside(store), broken,
					strategies.WriteBackConfig[string, int]{Journal: strangeJournal{}})
				return err
			}},
		{"journal: full", tarn.ErrFull, func(context.Context, *tamper[string, int]) error { return journal.ErrFull }},
	} {
		t.Run(tt.want, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				err := tt.call(t.Context(), newTamper(t))
				require.EqualError(t, err, tt.want)
				require.LessOrEqual(t, strings.Count(tt.want, "tarn: ")+strings.Count(tt.want, "strategies: "), 1)
				if tt.is != nil {
					require.ErrorIs(t, err, tt.is)
				}
			})
		})
	}
}
