package observe

import (
	"context"
	"fmt"

	"github.com/tarncache/tarn"
)

// Multi returns an Observer that tells each of the observers, in their order. It panics if one is nil.
func Multi(observers ...tarn.Observer) tarn.Observer {
	for i, o := range observers {
		if o == nil {
			panic(fmt.Sprintf("observe: Multi: observer %d is nil", i))
		}
	}
	return multi(append([]tarn.Observer(nil), observers...))
}

type multi []tarn.Observer

func (m multi) Observe(ctx context.Context, e tarn.Event) {
	for _, o := range m {
		o.Observe(ctx, e)
	}
}
