package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/faulty"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// invalidating is what the write strategies have in common here.
type invalidating interface {
	tarn.Cache[string, int]
	Invalidate(ctx context.Context, keys ...string) error
	Close(ctx context.Context) error
}

func TestInvalidate(t *testing.T) {
	ctx := context.Background()
	for name, write := range map[string]func(tarn.Guarded[string, int], tarn.Writer[string, int]) invalidating{
		"write-through": func(c tarn.Guarded[string, int], w tarn.Writer[string, int]) invalidating {
			return strategies.WriteThrough(c, w)
		},
		"write-around": func(c tarn.Guarded[string, int], w tarn.Writer[string, int]) invalidating {
			return strategies.WriteAround(c, w)
		},
		"write-back": func(c tarn.Guarded[string, int], w tarn.Writer[string, int]) invalidating {
			back, err := strategies.WriteBack(c, w, strategies.WriteBackConfig[string, int]{MaxDelay: time.Millisecond})
			require.NoError(t, err)
			return back
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				source := map[string]int{"a": 1, "b": 1}
				store := faulty.New(memory.New(memory.Options[string, int]{MaxEntries: 10}))
				read := strategies.ReadThrough(store, tarn.LoadFunc(func(_ context.Context, key string) (int, error) {
					if v, ok := source[key]; ok {
						return v, nil
					}
					return 0, tarn.ErrNotFound
				}), strategies.WithTTL(ttl.Policy{Fresh: time.Hour, Negative: time.Hour}))
				gate := make(chan struct{})
				c := write(read, tarn.WriteFuncs(func(_ context.Context, key string, v int) error {
					<-gate
					source[key] = v
					return nil
				}, func(context.Context, string) error { return errors.New("nothing is to be deleted") }))
				defer func() { _ = c.Close(ctx) }()
				wants := func(why string, want map[string]int) {
					t.Helper()
					got, err := tarn.GetMany(ctx, c, []string{"a", "b", "new"})
					require.NoError(t, err, why)
					require.Equal(t, want, got, why)
				}

				wants("at first", map[string]int{"a": 1, "b": 1})
				source = map[string]int{"a": 2, "b": 2, "new": 2} // by others
				wants("nobody has said so", map[string]int{"a": 1, "b": 1})
				require.NoError(t, c.Invalidate(ctx))
				wants("no key was named", map[string]int{"a": 1, "b": 1})
				require.NoError(t, c.Invalidate(ctx, "a", "new"))
				wants("two were", map[string]int{"a": 2, "b": 1, "new": 2})

				go func() { _ = c.Set(ctx, "b", 3) }()
				time.Sleep(time.Second) // write-back is writing it as well
				require.NoError(t, c.Invalidate(ctx, "b"), "while it is written")
				close(gate)
				time.Sleep(time.Second)
				synctest.Wait()
				source["b"] = 4
				wants("what was written meanwhile is not cached", map[string]int{"a": 2, "b": 4, "new": 2})

				store.Inject(faulty.Fault{Kind: faulty.Fail, Ops: faulty.Delete | faulty.DeleteMany})
				require.ErrorIs(t, c.Invalidate(ctx, "a", "b"), faulty.ErrInjected)
				store.Heal()

				done, cancel := context.WithCancel(ctx)
				cancel()
				require.ErrorIs(t, c.Invalidate(done, "a"), context.Canceled)
				require.NoError(t, c.Close(ctx))
				require.ErrorIs(t, c.Invalidate(ctx, "a"), tarn.ErrClosed)
			})
		})
	}
}
