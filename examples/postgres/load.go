package main

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"golang.org/x/sync/errgroup"
)

// load is two nodes that read and write all the time.
type load struct {
	nodes [2]*node
	last  [products + 1]atomic.Int64 // the version that was written last, by id
	stop  func() error               // ends it and returns what went wrong first; may be called again

	reads, writes, maybeStale atomic.Int64
}

func startLoad(a, b *node) *load {
	l := &load{nodes: [2]*node{a, b}}
	ctx, cancel := context.WithCancel(context.Background())
	all := new(errgroup.Group)
	l.stop = sync.OnceValue(func() error {
		cancel()
		return all.Wait()
	})
	for i := range l.nodes {
		for range 4 {
			all.Go(func() error { return l.read(ctx, l.nodes[i]) })
		}
		all.Go(func() error { return l.write(ctx, l.nodes[i], int64(i)) })
	}
	return l
}

// read reads any product, again and again.
func (l *load) read(ctx context.Context, n *node) error {
	for ctx.Err() == nil {
		if _, err := n.products.Get(context.WithoutCancel(ctx), 1+rand.Int64N(products)); err != nil {
			return err
		}
		l.reads.Add(1)
		time.Sleep(100 * time.Microsecond)
	}
	return nil
}

// write writes products with odd ids or with even ones, so that each is written by one node alone and it is known which
// version is the last.
func (l *load) write(ctx context.Context, n *node, odd int64) error {
	for version := int64(1000); ctx.Err() == nil; version++ {
		id := 2*rand.Int64N(products/2) + 1 + odd
		err := n.products.Set(context.WithoutCancel(ctx), id, Product{ID: id, Name: "Product", Cents: version, Version: version})
		switch {
		case errors.Is(err, tarn.ErrMaybeStale):
			l.maybeStale.Add(1)
		case err != nil:
			return err
		}
		l.writes.Add(1)
		l.last[id].Store(version)
		time.Sleep(time.Millisecond)
	}
	return nil
}

// older returns how many products a node answers with a version older than the last one.
func (l *load) older(ctx context.Context) (int, error) {
	older := 0
	for id := int64(1); id <= products; id++ {
		for _, n := range l.nodes {
			product, err := n.products.Get(ctx, id)
			if err != nil {
				return 0, err
			}
			if product.Version < l.last[id].Load() {
				older++
				break
			}
		}
	}
	return older, nil
}

// done is what the load has done.
type done struct{ reads, writes, maybeStale int64 }

func (l *load) done() done { return done{l.reads.Load(), l.writes.Load(), l.maybeStale.Load()} }

func (d done) since(before done) done {
	return done{d.reads - before.reads, d.writes - before.writes, d.maybeStale - before.maybeStale}
}
