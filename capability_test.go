package tarn_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

// mapStore is a Store over a map.
type mapStore[K comparable, V any] map[K]tarn.Entry[V]

func (s mapStore[K, V]) Get(_ context.Context, key K) (tarn.Entry[V], bool, error) {
	e, ok := s[key]
	return e, ok, nil
}
func (s mapStore[K, V]) Set(_ context.Context, key K, e tarn.Entry[V]) error { s[key] = e; return nil }
func (s mapStore[K, V]) Delete(_ context.Context, key K) error               { delete(s, key); return nil }

// guardedStore is a mapStore that leases and holds, in name at least.
type guardedStore struct{ mapStore[string, int] }

func (guardedStore) Lease(context.Context, []string, tarn.LeaseTerms, []tarn.Lease[int]) error {
	return nil
}
func (guardedStore) Fill(context.Context, []tarn.Fill[string, int]) error { return nil }
func (guardedStore) Stands(context.Context, []string, []tarn.Token, []bool) error {
	return nil
}
func (guardedStore) Hold(context.Context, []string, time.Duration, []tarn.Token) error { return nil }
func (guardedStore) Settle(context.Context, []tarn.Settlement[string, int]) error      { return nil }

// logged is a wrapper as users write them: it embeds an interface, and says for whom it speaks.
type logged struct{ tarn.Store[string, int] }

func (l logged) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Leaser[string, int]:
		leaser, ok := tarn.LeaserOf(l.Store)
		*t = leaser
		return ok
	default:
		return false // it does not pass holds on
	}
}

// eager claims to hold, and as a wrapper says that it does not.
type eager struct{ guardedStore }

func (eager) As(any) bool { return false }

func TestAs(t *testing.T) {
	plain := mapStore[string, int]{}
	guarded := guardedStore{plain}
	for _, tt := range []struct {
		rule         string
		store        tarn.Store[string, int]
		leases, hold any // nil: none
	}{
		{"a plain store offers nothing", plain, nil, nil},
		{"a store offers what it implements", guarded, guarded, guarded},
		{"a wrapper answers for what it wraps", logged{guarded}, guarded, nil},
		{"a wrapper over a wrapper", logged{logged{guarded}}, guarded, nil},
		{"a wrapper over nothing offers nothing", logged{plain}, nil, nil},
		{"a wrapper has the last word on itself", eager{guarded}, nil, nil},
		{"no store offers nothing", nil, nil, nil},
	} {
		leaser, ok := tarn.LeaserOf(tt.store)
		require.Equal(t, tt.leases != nil, ok, tt.rule)
		if ok {
			require.Equal(t, tt.leases, leaser, tt.rule)
		}
		holder, ok := tarn.HolderOf(tt.store)
		require.Equal(t, tt.hold != nil, ok, tt.rule)
		if ok {
			require.Equal(t, tt.hold, holder, tt.rule)
		}
	}
	_, ok := tarn.As[tarn.Leaser[int, int]](guarded)
	require.False(t, ok, "of other types it is another capability")
}

// As is asked for anything: loaders and writers have capabilities too.
func TestAsOfLoadersAndWriters(t *testing.T) {
	find := func(context.Context, string) (int, error) { return 0, nil }
	_, ok := tarn.As[tarn.BatchLoader[string, int]](tarn.LoadFunc(find))
	require.False(t, ok)
	_, ok = tarn.As[tarn.EntryLoader[string, int]](tarn.LoadFunc(find))
	require.False(t, ok)
	save, remove := func(context.Context, string, int) error { return nil }, func(context.Context, string) error { return nil }
	_, ok = tarn.As[tarn.BatchWriter[string, int]](tarn.WriteFuncs(save, remove))
	require.False(t, ok)
}

func TestErrAt(t *testing.T) {
	other := errors.New("other")
	index := tarn.IndexError{nil, errBroken, other}
	for _, tt := range []struct {
		rule string
		err  error
		i, n int
		want error
	}{
		{"no error is none for any", nil, 1, 3, nil},
		{"its own", index, 1, 3, errBroken},
		{"its own, through a wrapper", tarn.Permanent(index), 2, 3, other},
		{"none where the others failed", index, 0, 3, nil},
		{"an error of the whole is everyone's", errBroken, 0, 3, errBroken},
	} {
		require.Equal(t, tt.want, tarn.ErrAt(tt.err, tt.i, tt.n), tt.rule)
	}
	// One of another length cannot be told apart by index, so it fails everything.
	require.ErrorIs(t, tarn.ErrAt(index, 0, 2), errBroken)
	require.Error(t, tarn.ErrAt(tarn.IndexError{}, 0, 1))
}
