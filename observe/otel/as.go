package otel

import (
	"reflect"

	"github.com/tarncache/tarn"
)

// pass sets target to what inner itself offers.
func pass(inner, target any) bool {
	if w, ok := inner.(tarn.Wrapper); ok {
		return w.As(target)
	}
	v := reflect.ValueOf(target).Elem()
	if !reflect.TypeOf(inner).Implements(v.Type()) {
		return false
	}
	v.Set(reflect.ValueOf(inner))
	return true
}

func isNil(x any) bool {
	v := reflect.ValueOf(x)
	return !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil()
}
