// Package aside tells what a load waits for from what it only begins, such as a reload in the background, although both
// have the values of its context.
package aside

import "context"

// Work is what one caller waits for. All that goes on for it has the same.
type Work struct{ _ byte } // not empty: each has an address of its own

type key struct{}

// Begin returns ctx for work that whoever is on ctx does not wait for.
func Begin(ctx context.Context) context.Context { return context.WithValue(ctx, key{}, new(Work)) }

// Of returns the work that goes on on ctx; nil: that of an application's caller.
func Of(ctx context.Context) *Work {
	w, _ := ctx.Value(key{}).(*Work)
	return w
}
