package source

import (
	"context"
	"slices"

	"github.com/tarncache/tarn"
)

// batchLoader is a Loader whose inner one is a BatchLoader.
type batchLoader[K comparable, V any] struct{ l *Loader[K, V] }

func (b batchLoader[K, V]) LoadMany(ctx context.Context, keys []K, into []tarn.Loaded[V]) error {
	c := &batch[K, V]{l: b.l, keys: keys, into: into}
	if b.l.gate.config.Retry.Max > 0 {
		c.blank = slices.Clone(into)
	}
	if shed := b.l.gate.pass(ctx, c.call); shed != nil {
		return shed
	}
	return c.err
}

// batch is a LoadMany, and what has become of it.
type batch[K comparable, V any] struct {
	l     *Loader[K, V]
	keys  []K
	into  []tarn.Loaded[V]
	blank []tarn.Loaded[V] // into, before anything was loaded; nil: nothing is tried again
	left  []int            // the indexes of the keys that are to be tried again; nil: all
	err   error            // nothing was loaded
}

// call asks the source for what is left.
func (c *batch[K, V]) call(ctx context.Context) outcome {
	if c.left != nil {
		return c.callLeft(ctx)
	}
	if c.err != nil {
		copy(c.into, c.blank) // what the call that failed may have set
	}
	if c.err = c.l.many.LoadMany(ctx, c.keys, c.into); c.err != nil {
		return c.l.gate.single(ctx, c.err)
	}
	return c.outcome(ctx, nil)
}

// callLeft asks the source for the keys that failed while others were answered.
func (c *batch[K, V]) callLeft(ctx context.Context) outcome {
	which := c.left
	keys, into := make([]K, len(which)), make([]tarn.Loaded[V], len(which))
	for n, i := range which {
		keys[n], into[n] = c.keys[i], c.blank[i]
	}
	if err := c.l.many.LoadMany(ctx, keys, into); err != nil {
		return c.l.gate.single(ctx, err) // each keeps the error that it has
	}
	for n, i := range which {
		c.into[i] = into[n]
	}
	return c.outcome(ctx, which)
}

// outcome is that of a call for the keys at the indexes in which; nil: all. It has failed only if the source has answered
// none of them.
func (c *batch[K, V]) outcome(ctx context.Context, which []int) outcome {
	n := len(c.into)
	if which != nil {
		n = len(which)
	}
	var left []int
	answered := n == 0
	for at := range n {
		i := at
		if which != nil {
			i = which[at]
		}
		switch c.l.gate.verdict(ctx, c.into[i].Err) {
		case nil:
			answered = true
		case errFailed:
			left = append(left, i)
		}
	}
	o := outcome{verdict: errNothing, again: len(left) > 0}
	switch {
	case answered:
		o.verdict = nil
	case len(left) > 0:
		o.verdict = errFailed
	}
	c.left = left
	return o
}
