package source_test

import (
	"cmp"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/source"
)

func failsTimes(n int) func(context.Context, int) error {
	return func(_ context.Context, call int) error {
		if call <= n {
			return errBroken
		}
		return nil
	}
}

func TestRetry(t *testing.T) {
	soon := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	for _, tt := range []struct {
		name   string
		config source.Config
		ctx    func(context.Context) (context.Context, context.CancelFunc)
		answer func(context.Context, int) error
		err    error
		calls  int
	}{
		{"nothing is tried again unless asked for", source.Config{}, nil, failsTimes(1), errBroken, 1},
		{"what fails is", source.Config{Retry: source.Retry{Max: 2}}, nil, failsTimes(2), nil, 3},
		{"as often as Max says", source.Config{Retry: source.Retry{Max: 2}}, nil, failsTimes(3), errBroken, 3},
		{"an absence is not", source.Config{Retry: source.Retry{Max: 2}}, nil, always(tarn.ErrNotFound), tarn.ErrNotFound, 1},
		{"what is permanent is not", source.Config{Retry: source.Retry{Max: 2}}, nil,
			always(tarn.Permanent(errBroken)), errBroken, 1},
		{"nothing is after the context's end", source.Config{Retry: source.Retry{Max: 2}}, soon(time.Second),
			func(ctx context.Context, _ int) error { <-ctx.Done(); return errBroken }, errBroken, 1},
		{"nor waits for what the context would not live to see",
			source.Config{Retry: source.Retry{Max: 2, MinBackoff: time.Hour, MaxBackoff: time.Hour}}, soon(time.Millisecond),
			always(errBroken), errBroken, 1},
		{"a breaker that opens meanwhile ends it, with the source's error",
			source.Config{Retry: source.Retry{Max: 9}, Breaker: source.Breaker{Failures: 3}}, nil, always(errBroken), errBroken, 3},
		{"and so does the rate", source.Config{Retry: source.Retry{Max: 9}, Rate: source.Rate{PerSecond: 1e-3, Burst: 2}}, nil,
			always(errBroken), errBroken, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.ctx != nil {
					var cancel context.CancelFunc
					ctx, cancel = tt.ctx(ctx)
					defer cancel()
				}
				s := newTable(tt.answer)
				start := time.Now()
				_, err := source.New(s, tt.config).Load(ctx, "a")
				require.ErrorIs(t, err, tt.err)
				require.Equal(t, tt.calls, s.called())
				require.Less(t, time.Since(start), 2*time.Second)
				require.False(t, tt.config.Retry.MinBackoff > 0 && time.Since(start) > 0, "nobody waits in vain")
			})
		})
	}
}

// Retries are never more than their share of the loads and the reserve, and come back as the loads do.
func TestRetryBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newTable(always(errBroken))
		l := source.New(s, source.Config{Breaker: source.Breaker{Off: true}, Retry: source.Retry{Max: 3}})
		for n := 1; n <= 1000; n++ {
			require.ErrorIs(t, load(t, l), errBroken)
			require.LessOrEqual(t, s.called(), n+n/10+10, "after %d loads", n)
		}
		require.Equal(t, 1000+100+10, s.called()+1, "the last deposits are not worth a whole one, as the reserve was full at first")
		s.set(nil)
		for range 95 {
			require.NoError(t, load(t, l))
		}
		s.forget()
		s.set(always(errBroken))
		for range 9 {
			_ = load(t, l)
		}
		require.Equal(t, 9+10, s.called(), "what was earned meanwhile, and no more than the reserve")
		require.Positive(t, l.Stats().RetriesDenied)
	})
}

// Ten loads earn a retry by a share of a tenth: not eleven, for want of rounding, and not nine.
func TestTenTenthsAreARetry(t *testing.T) {
	for earned, retries := range map[int]int{9: 0, 10: 1} {
		synctest.Test(t, func(t *testing.T) {
			s := newTable(always(errBroken))
			l := source.New(s, source.Config{Retry: source.Retry{Max: 1, Reserve: 1}})
			_ = load(t, l) // takes what there is
			s.set(nil)
			for range earned - 1 {
				require.NoError(t, load(t, l))
			}
			s.forget()
			s.set(always(errBroken))
			_ = load(t, l)
			require.Equal(t, 1+retries, s.called(), "%d loads", earned)
		})
	}
}

// The pauses are random, and their ceiling doubles.
func TestBackoff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ceilings := []time.Duration{100, 200, 400, 500, 500}
		longest, shortest := make([]time.Duration, len(ceilings)), make([]time.Duration, len(ceilings))
		for range 200 {
			s := newTable(always(errBroken))
			l := source.New(s, source.Config{Breaker: source.Breaker{Off: true}, Retry: source.Retry{
				Max: len(ceilings), MinBackoff: 100 * time.Millisecond, MaxBackoff: 500 * time.Millisecond,
			}})
			_ = load(t, l)
			for i := range ceilings {
				pause := s.at[i+1] - s.at[i]
				require.Positive(t, pause)
				longest[i] = max(longest[i], pause)
				shortest[i] = cmp.Or(min(shortest[i], pause), pause)
			}
		}
		for i, ceiling := range ceilings {
			ceiling *= time.Millisecond
			require.LessOrEqual(t, longest[i], ceiling)
			require.Greater(t, longest[i], ceiling*8/10)
			require.Less(t, shortest[i], ceiling*2/10)
		}
	})
}

// rows is a source of batches: answer fills in what comes of a call.
type rows struct {
	tarn.Loader[string, int]
	asked  [][]string
	answer func(call int, keys []string, into []tarn.Loaded[int]) error
}

func (r *rows) LoadMany(_ context.Context, keys []string, into []tarn.Loaded[int]) error {
	r.asked = append(r.asked, append([]string(nil), keys...))
	return r.answer(len(r.asked), keys, into)
}

func loadMany(t *testing.T, l *source.Loader[string, int], keys ...string) ([]tarn.Loaded[int], error) {
	t.Helper()
	many, ok := tarn.As[tarn.BatchLoader[string, int]](l)
	require.True(t, ok)
	into := make([]tarn.Loaded[int], len(keys))
	for i := range into {
		into[i].Err = errUnset
	}
	return into, many.LoadMany(t.Context(), keys, into)
}

var errUnset = tarn.Permanent(context.Canceled)

// Only the keys that failed are tried again; what was answered stays as it is.
func TestBatchTriesFailedKeysAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{Loader: newTable(nil), answer: func(call int, keys []string, into []tarn.Loaded[int]) error {
			for i, k := range keys {
				switch {
				case k == "none":
					into[i] = tarn.Loaded[int]{Err: tarn.ErrNotFound}
				case k == "bad", k == "poor" && call == 1:
					into[i] = tarn.Loaded[int]{Err: errBroken}
				case k == "unset":
				default:
					into[i] = tarn.Loaded[int]{Value: call}
				}
			}
			return nil
		}}
		l := source.New[string, int](r, source.Config{Retry: source.Retry{Max: 2}})
		got, err := loadMany(t, l, "good", "bad", "none", "poor", "unset")
		require.NoError(t, err)
		require.Equal(t, [][]string{{"good", "bad", "none", "poor", "unset"}, {"bad", "poor"}, {"bad"}}, r.asked)
		require.Equal(t, []tarn.Loaded[int]{{Value: 1}, {Err: errBroken}, {Err: tarn.ErrNotFound}, {Value: 2}, {Err: errUnset}}, got)
		require.Equal(t, source.Stats{Calls: 3, Failures: 1, Retries: 2}, l.Stats())
	})
}

// What a call set before it failed as a whole was not loaded, and is not taken for an answer after a retry.
func TestBatchForgetsACallThatFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &rows{Loader: newTable(nil), answer: func(call int, keys []string, into []tarn.Loaded[int]) error {
			if call == 1 {
				into[0] = tarn.Loaded[int]{Value: 99}
				return errBroken
			}
			into[1] = tarn.Loaded[int]{Value: call}
			return nil
		}}
		l := source.New[string, int](r, source.Config{Retry: source.Retry{Max: 2}})
		got, err := loadMany(t, l, "a", "b")
		require.NoError(t, err)
		require.Equal(t, []tarn.Loaded[int]{{Err: errUnset}, {Value: 2}}, got)
	})
}

func TestWhatOfABatchIsAFailure(t *testing.T) {
	for _, tt := range []struct {
		name string
		errs []error
		is   bool
	}{
		{"all of its keys", []error{errBroken, errBroken}, true},
		{"some, while others say nothing", []error{errBroken, tarn.Permanent(errBroken)}, true},
		{"some, while others were answered", []error{errBroken, nil}, false},
		{"an absence is an answer", []error{errBroken, tarn.ErrNotFound}, false},
		{"nothing is learnt", []error{tarn.Permanent(errBroken), tarn.ErrShed}, false},
		{"the whole", nil, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := &rows{Loader: newTable(nil), answer: func(_ int, keys []string, into []tarn.Loaded[int]) error {
					if tt.errs == nil {
						return errBroken
					}
					for i := range keys {
						into[i] = tarn.Loaded[int]{Err: tt.errs[i]}
					}
					return nil
				}}
				l := source.New[string, int](r, source.Config{Rate: source.Rate{PerSecond: 1e-3, Burst: 5}})
				for range 5 {
					_, err := loadMany(t, l, "a", "b")
					require.Equal(t, tt.errs == nil, err == errBroken)
				}
				require.Equal(t, tt.is, l.State() == source.Open)
				_, err := loadMany(t, l, "a", "b")
				require.True(t, isShed(err), "a batch is one load: the rate is used up, or the breaker open")
			})
		})
	}
}
