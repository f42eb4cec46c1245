package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// closing bounds how long a strategy may take to write what is still pending. It has that time on Ctrl-C as well.
const closing = 10 * time.Second

// result is what one way showed under the workload.
type result struct {
	name   string
	cached bool
	timings
	elapsed      time.Duration // from the first operation until Close has returned
	misses       int64         // reads that the cache could not answer
	coalesced    int64         // writes that a later one replaced while they were pending
	rowsRead     int64
	rowsWritten  int64
	transactions int64
	wrongRows    int
}

// measure lets one way handle the workload, on a database and with a cache of its own.
func measure(ctx context.Context, s settings, w *workload, way way, done *atomic.Int64) (r result, err error) {
	dir, err := os.MkdirTemp("", "tarn-quickstart-")
	if err != nil {
		return r, fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	products, err := OpenProducts(ctx, filepath.Join(dir, "products.db"), workers)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, products.Close()) }()
	if err := fill(ctx, products, s.keys); err != nil {
		return r, err
	}
	mem, closeCache, err := s.openCache(ctx)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, closeCache()) }()

	v := newVersions(s.keys)
	repo := &source{Products: products}
	var seen counts
	c, err := way.open(repo, mem, strategies.WithObserver(&seen))
	if err != nil {
		return r, err
	}
	r = result{name: way.name, cached: way.cached}
	runtime.GC() // what earlier runs left behind is not charged to this one
	start := time.Now()
	r.timings, err = w.drive(ctx, c, v, done)
	if err = errors.Join(err, closeWithin(ctx, c)); err != nil {
		return r, err
	}
	r.elapsed = time.Since(start)
	r.misses, r.coalesced = seen.misses.Load(), seen.coalesced.Load()
	r.rowsRead, r.rowsWritten = repo.rowsRead.Load(), repo.rowsWritten.Load()
	r.transactions = repo.transactions.Load()
	r.wrongRows, err = v.wrongRows(ctx, products)
	return r, err
}

// fill puts the products 1 to n, in their first version, into the database.
func fill(ctx context.Context, products *Products, n int) error {
	const batch = 1000
	for first := 1; first <= n; first += batch {
		var some []Product
		for id := first; id <= n && id < first+batch; id++ {
			some = append(some, productAt(int64(id), 1))
		}
		if err := products.SaveMany(ctx, some); err != nil {
			return fmt.Errorf("fill the database: %w", err)
		}
	}
	return nil
}

// closeWithin closes the catalogue even if ctx has been cancelled: what was acknowledged is still to be written.
func closeWithin(ctx context.Context, c catalogue) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closing)
	defer cancel()
	if err := c.close(ctx); err != nil {
		return fmt.Errorf("close: %w", err)
	}
	return nil
}

// counts is the Observer of one run. It counts misses rather than hits: they are rarer, so counting costs less.
type counts struct {
	misses    atomic.Int64
	coalesced atomic.Int64
}

// Observe counts e.
func (c *counts) Observe(_ context.Context, e tarn.Event) {
	switch e.Kind {
	case tarn.EventMiss:
		c.misses.Add(int64(e.N))
	case tarn.EventCoalesced:
		c.coalesced.Add(int64(e.N))
	default:
	}
}
