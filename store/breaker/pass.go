package breaker

import (
	"reflect"

	"github.com/tarncache/tarn"
)

// pass sets target to what inner itself offers. [tarn.Hitter], [tarn.Clocker] and [tarn.Watcher] have nothing to be
// spared; a [tarn.Computer] runs a function of the application, from whose time, panics and errors nothing is to be learnt
// about the store, and takes old values away: it is never left out either.
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
