package tarn_test

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

// Whatever carries errors, errors.Is and errors.As find what is inside, and nothing else.
func TestErrorsAreSeenThrough(t *testing.T) {
	path := &fs.PathError{Op: "open", Err: errBroken}
	for name, err := range map[string]error{
		"IndexError":         tarn.IndexError{nil, tarn.ErrFull, path},
		"wrapped IndexError": fmt.Errorf("store: %w", tarn.IndexError{tarn.ErrFull, nil, path}),
		"BatchError": &tarn.BatchError[string]{Op: "get", Failed: []tarn.KeyError[string]{
			{"a", tarn.ErrFull}, {"b", path},
		}},
		"PanicError":       &tarn.PanicError{Value: errors.Join(tarn.ErrFull, path)},
		"Permanent":        tarn.Permanent(errors.Join(tarn.ErrFull, path)),
		"a batch of these": &tarn.BatchError[int]{Op: "set", Failed: []tarn.KeyError[int]{{1, tarn.Permanent(tarn.IndexError{tarn.ErrFull, path})}}},
	} {
		require.ErrorIs(t, err, tarn.ErrFull, name)
		require.ErrorIs(t, err, errBroken, name)
		require.NotErrorIs(t, err, tarn.ErrNotFound, name)
		var found *fs.PathError
		require.ErrorAs(t, err, &found, name)
		require.Same(t, path, found, name)
	}
}

func TestIndexErrorOfNoFailures(t *testing.T) {
	require.Empty(t, tarn.IndexError{nil, nil}.Unwrap())
	require.NotErrorIs(t, tarn.IndexError{nil, nil}, tarn.ErrNotFound)
	require.NotPanics(t, func() { _ = tarn.IndexError{}.Error() })
}

func TestPanicError(t *testing.T) {
	for _, tt := range []struct {
		rule  string
		value any
		text  string
		is    error
	}{
		{"a panic's value is told", "oh no", "panicked: oh no", nil},
		{"an error stays one", io.ErrUnexpectedEOF, "panicked: unexpected EOF", io.ErrUnexpectedEOF},
		{"the end of a goroutine is no panic", nil, "ended its goroutine with runtime.Goexit", nil},
	} {
		err := &tarn.PanicError{Value: tt.value, Stack: []byte("goroutine 1")}
		require.Equal(t, "tarn: a function called by the cache "+tt.text, err.Error(), tt.rule)
		require.Equal(t, tt.is, errors.Unwrap(err), tt.rule)
	}
}

func TestPermanent(t *testing.T) {
	require.NoError(t, tarn.Permanent(nil), "no error stays none")
	require.False(t, tarn.IsPermanent(nil))
	require.False(t, tarn.IsPermanent(errBroken), "nobody marked it")
	err := tarn.Permanent(errBroken)
	require.True(t, tarn.IsPermanent(err))
	require.True(t, tarn.IsPermanent(fmt.Errorf("save: %w", err)), "marks are seen through wrappers")
	require.True(t, tarn.IsPermanent(tarn.IndexError{nil, err}), "and through batches")
	require.Equal(t, errBroken.Error(), err.Error(), "the text is the error's own")
}

// Keys and values are often personal data, and texts end up in logs.
func TestErrorTextsNameNoKey(t *testing.T) {
	const secret = "ada@example.org"
	c := newManyCache[string, string]()
	c.broken[secret] = errBroken
	_, get := tarn.GetMany(t.Context(), c, []string{secret})
	set := tarn.SetMany(t.Context(), c, map[string]string{secret: secret})
	remove := tarn.DeleteMany(t.Context(), c, []string{secret})
	for _, err := range []error{get, set, remove, tarn.IndexError{errBroken}, tarn.Permanent(set), fmt.Errorf("users: %w", set)} {
		require.ErrorIs(t, err, errBroken)
		for _, format := range []string{"%v", "%s", "%q"} {
			require.NotContains(t, fmt.Sprintf(format, err), secret, "%T", err)
		}
	}
}

// Every error says whose it is, and no two are alike.
func TestErrorsOfTheirOwn(t *testing.T) {
	seen := map[string]bool{}
	for _, err := range []error{
		tarn.ErrNotFound, tarn.ErrClosed, tarn.ErrHeld, tarn.ErrTooHeavy, tarn.ErrFull, tarn.ErrMaybeStale,
		tarn.ErrRecursive, tarn.ErrLoadTimeout, tarn.ErrTooManyHolds,
	} {
		require.True(t, strings.HasPrefix(err.Error(), "tarn: "), err)
		require.False(t, seen[err.Error()], err)
		seen[err.Error()] = true
	}
}

func TestErrorsCount(t *testing.T) {
	require.Equal(t, "tarn: 2 of 3 failed, the first: broken", tarn.IndexError{nil, errBroken, io.EOF}.Error())
	err := &tarn.BatchError[string]{Op: "get", Failed: []tarn.KeyError[string]{{"a", errBroken}, {"b", io.EOF}}}
	require.Equal(t, "tarn: get: failed keys: 2, the first: broken", err.Error())
}
