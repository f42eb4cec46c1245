package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	workers = 8
	skew    = 1.1 // the exponent of Zipf's law: a few products are wanted all the time, most of them hardly ever
)

// operation is one read or one write of a product.
type operation struct {
	id    int64
	write bool
}

// workload is what each worker does, in order. It is made before the clock starts, and every run gets the same.
type workload [workers][]operation

func newWorkload(s settings) *workload {
	random := rand.New(rand.NewPCG(s.seed, 0))
	zipf := rand.NewZipf(random, skew, 1, uint64(s.keys-1))
	var w workload
	for i := range s.ops {
		op := operation{id: int64(zipf.Uint64()) + 1, write: random.Float64() >= s.reads}
		w[i%workers] = append(w[i%workers], op)
	}
	return &w
}

// timings is what driving a workload showed.
type timings struct {
	latencies  []time.Duration // of each operation, in ascending order
	reads      int
	writes     int
	staleReads int
}

// percentile returns the least latency that the share p of the operations, from 0 to 1, did not exceed.
func (t timings) percentile(p float64) time.Duration {
	rank := int(math.Ceil(p * float64(len(t.latencies))))
	return t.latencies[max(rank-1, 0)]
}

// drive runs the workload and ends with the first error. It adds to done as it goes.
func (w *workload) drive(ctx context.Context, c catalogue, v versions, done *atomic.Int64) (timings, error) {
	var each [workers]timings
	group, ctx := errgroup.WithContext(ctx)
	for i, ops := range w {
		group.Go(func() (err error) {
			each[i], err = driveOne(ctx, ops, c, v, done)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return timings{}, err
	}
	var all timings
	for _, t := range each {
		all.latencies = append(all.latencies, t.latencies...)
		all.reads += t.reads
		all.writes += t.writes
		all.staleReads += t.staleReads
	}
	slices.Sort(all.latencies)
	return all, nil
}

// driveOne is one worker. Its latencies have their place beforehand, so noting one costs two looks at the clock.
func driveOne(
	ctx context.Context, ops []operation, c catalogue, v versions, done *atomic.Int64,
) (timings, error) {
	const stride = 128 // how often a worker looks up from its work
	t := timings{latencies: make([]time.Duration, len(ops))}
	for i, op := range ops {
		if i%stride == stride-1 {
			done.Add(stride)
			if ctx.Err() != nil {
				return t, context.Cause(ctx)
			}
		}
		if err := t.run(ctx, op, c, v, &t.latencies[i]); err != nil {
			return t, err
		}
	}
	return t, nil
}

// run runs one operation. Only the call of the catalogue is timed, not the wait for others that write the product.
func (t *timings) run(ctx context.Context, op operation, c catalogue, v versions, latency *time.Duration) error {
	if op.write {
		t.writes++
		err := v.write(op.id, func(p Product) error {
			start := time.Now()
			err := c.write(ctx, p)
			*latency = time.Since(start)
			return err
		})
		if err != nil {
			return fmt.Errorf("write: %w", err)
		}
		return nil
	}
	t.reads++
	stale, err := v.read(op.id, func() (Product, error) {
		start := time.Now()
		p, err := c.read(ctx, op.id)
		*latency = time.Since(start)
		return p, err
	})
	if err != nil {
		return fmt.Errorf("read: %w", err)
	}
	if stale {
		t.staleReads++
	}
	return nil
}
