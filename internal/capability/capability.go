// Package capability answers for a [tarn.Wrapper] by what a type implements, where nothing more is to be said of an
// interface. A target is a non-nil pointer to an interface variable, as of [tarn.Wrapper].
package capability

import (
	"reflect"

	"github.com/tarncache/tarn"
)

// Of sets target to x if x implements that interface, and reports whether it does. Whether x is a Wrapper does not matter.
func Of(x, target any) bool {
	v := reflect.ValueOf(target).Elem()
	if !reflect.TypeOf(x).Implements(v.Type()) {
		return false
	}
	v.Set(reflect.ValueOf(x))
	return true
}

// PassOn sets target to what inner itself offers, which says so itself if it is a Wrapper.
func PassOn(inner, target any) bool {
	if w, ok := inner.(tarn.Wrapper); ok {
		return w.As(target)
	}
	return Of(inner, target)
}
