package tarn

import (
	"context"
	"errors"
)

// GetMany returns the values of the keys that c has; a key that is not found is not in the map. If c implements
// [BatchCache], GetMany calls it. Otherwise it calls Get for each key, one after the other.
//
// Where some keys failed, the map holds the others and the error is a [*BatchError].
func GetMany[K comparable, V any](ctx context.Context, c Cache[K, V], keys []K) (map[K]V, error) {
	results := make([]Result[V], len(keys))
	if many, ok := As[BatchCache[K, V]](c); ok {
		if err := many.GetMany(ctx, keys, results); err != nil {
			return nil, err
		}
	} else {
		for i, key := range keys {
			results[i].Value, results[i].Err = c.Get(ctx, key)
		}
	}
	found := make(map[K]V, len(keys))
	var failed []KeyError[K]
	for i, r := range results {
		switch {
		case r.Err == nil:
			found[keys[i]] = r.Value
		case !errors.Is(r.Err, ErrNotFound):
			failed = append(failed, KeyError[K]{keys[i], r.Err})
		}
	}
	return found, batchError("get", failed)
}

// SetMany sets many keys. If c implements [BatchCache], SetMany calls it. Otherwise it calls Set for each key, one
// after the other. Where some keys failed, the others are set and the error is a [*BatchError].
func SetMany[K comparable, V any](ctx context.Context, c Cache[K, V], values map[K]V) error {
	keys := make([]K, 0, len(values))
	vals := make([]V, 0, len(values))
	for k, v := range values {
		keys = append(keys, k)
		vals = append(vals, v)
	}
	if many, ok := As[BatchCache[K, V]](c); ok {
		return byKey("set", keys, many.SetMany(ctx, keys, vals))
	}
	errs := make(IndexError, len(keys))
	for i, key := range keys {
		errs[i] = c.Set(ctx, key, vals[i])
	}
	return byKey("set", keys, errs)
}

// DeleteMany deletes many keys. If c implements [BatchCache], DeleteMany calls it. Otherwise it calls Delete for
// each key, one after the other. Where some keys failed, the others are deleted and the error is a [*BatchError].
func DeleteMany[K comparable, V any](ctx context.Context, c Cache[K, V], keys []K) error {
	if many, ok := As[BatchCache[K, V]](c); ok {
		return byKey("delete", keys, many.DeleteMany(ctx, keys))
	}
	errs := make(IndexError, len(keys))
	for i, key := range keys {
		errs[i] = c.Delete(ctx, key)
	}
	return byKey("delete", keys, errs)
}

// byKey turns an IndexError into a BatchError. Any other error is returned as it is.
func byKey[K comparable](op string, keys []K, err error) error {
	var ie IndexError
	if !errors.As(err, &ie) || len(ie) != len(keys) {
		return err
	}
	var failed []KeyError[K]
	for i, err := range ie {
		if err != nil {
			failed = append(failed, KeyError[K]{keys[i], err})
		}
	}
	return batchError(op, failed)
}

func batchError[K comparable](op string, failed []KeyError[K]) error {
	if len(failed) == 0 {
		return nil
	}
	return &BatchError[K]{Op: op, Failed: failed}
}
