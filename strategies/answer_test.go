package strategies_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// mute is a cache inside a write strategy that cannot say how it has answered.
type mute struct{ tarn.Guarded[string, int] }

// A write strategy says how the cache inside has answered, and write-back what is pending.
func TestAnswerOfAWriteStrategy(t *testing.T) {
	type answers interface {
		tarn.Cache[string, int]
		Answer(ctx context.Context, key string) (strategies.Answer[int], error)
		Close(ctx context.Context) error
	}
	for name, write := range map[string]func(*testing.T, tarn.Guarded[string, int], *table) answers{
		"write-through": func(_ *testing.T, in tarn.Guarded[string, int], w *table) answers {
			return strategies.WriteThrough(in, w)
		},
		"write-around": func(_ *testing.T, in tarn.Guarded[string, int], w *table) answers {
			return strategies.WriteAround(in, w)
		},
		"write-back": func(t *testing.T, in tarn.Guarded[string, int], w *table) answers {
			c, err := strategies.WriteBack(in, w, strategies.WriteBackConfig[string, int]{})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, c.Close(context.WithoutCancel(t.Context()))) })
			return c
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, src, life := t.Context(), newTable(map[string]int{"a": 1}), policy(ttl.Policy{Fresh: time.Minute})
				through := strategies.ReadThrough(newMemory[string, int](t), src.source, life)
				c := write(t, through, src)
				a, err := c.Answer(ctx, "a")
				require.NoError(t, err)
				require.Equal(t, strategies.Answer[int]{Value: 1, How: strategies.HowLoaded}, a)
				fresh := strategies.Answer[int]{Value: 1, How: strategies.HowFresh, FreshFor: time.Minute, ExpiresIn: time.Minute}
				a, err = c.Answer(ctx, "a")
				require.NoError(t, err)
				require.Equal(t, fresh, a)

				aside := strategies.LookAside(newMemory[string, int](t), life)
				require.NoError(t, aside.Set(ctx, "a", 1))
				for in, want := range map[tarn.Guarded[string, int]]error{aside: nil, mute{aside}: errors.ErrUnsupported} {
					c := write(t, in, src)
					a, err := c.Answer(ctx, "a")
					require.ErrorIs(t, err, want)
					if want == nil {
						require.Equal(t, fresh, a)
						_, err = c.Answer(ctx, "none")
						require.ErrorIs(t, err, tarn.ErrNotFound)
					}
				}
				if name == "write-back" {
					require.NoError(t, c.Set(ctx, "a", 2))
					a, err = c.Answer(ctx, "a")
					require.NoError(t, err)
					require.Equal(t, strategies.Answer[int]{Value: 2, How: strategies.HowPending}, a)
					require.Equal(t, "pending", a.How.String())
					require.NoError(t, c.Delete(ctx, "a"))
					a, err = c.Answer(ctx, "a")
					require.ErrorIs(t, err, tarn.ErrNotFound)
					require.Equal(t, strategies.HowPending, a.How)
				}
				require.NoError(t, c.Close(ctx))
				_, err = c.Answer(ctx, "a")
				require.ErrorIs(t, err, tarn.ErrClosed)
			})
		})
	}
}
