package strategies

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/tarncache/tarn"
)

// isNil reports whether an argument is nil, or an interface that holds a nil pointer or function.
func isNil(x any) bool {
	if x == nil {
		return true
	}
	switch v := reflect.ValueOf(x); v.Kind() {
	case reflect.Pointer, reflect.Func, reflect.Map, reflect.Chan, reflect.Slice:
		return v.IsNil()
	default:
		return false
	}
}

// sameLength returns an error if the two slices of a batch differ in length.
func sameLength(keys, others int) error {
	if keys != others {
		return fmt.Errorf("tarn: a batch of %d keys was given a slice of length %d", keys, others)
	}
	return nil
}

// eachOf does n things one after the other. If some fail, it does the others and returns an IndexError.
func eachOf(n int, do func(i int) error) error {
	var errs tarn.IndexError
	for i := range n {
		if err := do(i); err != nil {
			if errs == nil {
				errs = make(tarn.IndexError, n)
			}
			errs[i] = err
		}
	}
	if errs == nil {
		return nil
	}
	return errs
}

// failedOf returns the keys of a batch that its error concerns.
func failedOf[K comparable](err error, keys []K) (failed []K) {
	for i, key := range keys {
		if tarn.ErrAt(err, i, len(keys)) != nil {
			failed = append(failed, key)
		}
	}
	return failed
}

// untoldOf returns the keys that a store could not be told of. One whose own error is marked as Permanent is none of
// them: the store can keep nothing under it. An error of a whole batch says nothing of single keys.
func untoldOf[K comparable](err error, keys []K) (untold []K) {
	var each tarn.IndexError
	whole := len(keys) > 1 && !errors.As(err, &each)
	for i, key := range keys {
		if e := tarn.ErrAt(err, i, len(keys)); e != nil && (whole || !tarn.IsPermanent(e)) {
			untold = append(untold, key)
		}
	}
	return untold
}

// closeInner closes a strategy inside another, if it can be closed.
func closeInner(ctx context.Context, inner any) error {
	if c, ok := inner.(interface{ Close(context.Context) error }); ok {
		return c.Close(ctx)
	}
	return nil
}

// last returns the indexes of the keys, without those whose key comes again later. A key that does not equal itself
// is never the same as another.
func last[K comparable](keys []K) []int {
	at := make(map[K]int, len(keys))
	for i, key := range keys {
		at[key] = i
	}
	which := make([]int, 0, len(keys))
	for i, key := range keys {
		if j, ok := at[key]; !ok || j == i {
			which = append(which, i)
		}
	}
	return which
}
