package storetest

import (
	"context"
	"iter"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

type (
	fill       = tarn.Fill[string, string]
	settlement = tarn.Settlement[string, string]
	lookup     = tarn.Lookup[string]
	lease      = tarn.Lease[string]
)

// patched is a reference store some of whose methods were replaced.
type patched struct {
	r *reference

	get        func(ctx context.Context, key string) (entry, bool, error)
	set        func(ctx context.Context, key string, e entry) error
	delete     func(ctx context.Context, key string) error
	getMany    func(ctx context.Context, keys []string, into []lookup) error
	setMany    func(ctx context.Context, keys []string, entries []entry) error
	deleteMany func(ctx context.Context, keys []string) error
	add        func(ctx context.Context, key string, e entry) (bool, error)
	touch      func(ctx context.Context, key string, expires ttl.Time) (bool, error)
	compute    func(ctx context.Context, key string, f computing) (entry, bool, error)
	clear      func(ctx context.Context) error
	count      func(ctx context.Context) (int, error)
	scan       func(ctx context.Context) (iter.Seq2[string, entry], func() error)
	hit        func(key string) (string, bool)
	clock      func() ttl.Clock
	lease      func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error
	fill       func(ctx context.Context, fills []fill) error
	stands     func(ctx context.Context, keys []string, tokens []tarn.Token, into []bool) error
	hold       func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error
	settle     func(ctx context.Context, settlements []settlement) error
	stamp      func(ctx context.Context) (tarn.Stamp, error)
	invalidate func(ctx context.Context, tags ...string) error
	close      func() error
}

func newPatched(patch func(p *patched)) *patched {
	r := newReference()
	p := &patched{
		r: r, get: r.Get, set: r.Set, delete: r.Delete, getMany: r.GetMany, setMany: r.SetMany,
		deleteMany: r.DeleteMany, add: r.Add, touch: r.Touch, compute: r.Compute, clear: r.Clear, count: r.Count,
		scan: r.Scan, hit: r.Hit, clock: r.Clock, lease: r.Lease, fill: r.Fill, stands: r.Stands, hold: r.Hold,
		settle: r.Settle, stamp: r.Stamp, invalidate: r.InvalidateTags, close: r.Close,
	}
	patch(p)
	return p
}

// slot does f to the slot of key, under the lock.
func (p *patched) slot(key string, f func(s *slot)) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	f(p.r.at(key))
}

// locked does f under the lock.
func (p *patched) locked(f func()) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	f()
}

// slots does f to every slot, under the lock.
func (p *patched) slots(f func(key string, s *slot)) {
	p.r.mu.Lock()
	defer p.r.mu.Unlock()
	for key := range p.r.slots {
		f(key, p.r.at(key))
	}
}

func (p *patched) Get(ctx context.Context, key string) (entry, bool, error) { return p.get(ctx, key) }
func (p *patched) Set(ctx context.Context, key string, e entry) error       { return p.set(ctx, key, e) }
func (p *patched) Delete(ctx context.Context, key string) error             { return p.delete(ctx, key) }

func (p *patched) GetMany(ctx context.Context, keys []string, into []lookup) error {
	return p.getMany(ctx, keys, into)
}

func (p *patched) SetMany(ctx context.Context, keys []string, entries []entry) error {
	return p.setMany(ctx, keys, entries)
}

func (p *patched) DeleteMany(ctx context.Context, keys []string) error {
	return p.deleteMany(ctx, keys)
}

func (p *patched) Add(ctx context.Context, key string, e entry) (bool, error) {
	return p.add(ctx, key, e)
}

func (p *patched) Touch(ctx context.Context, key string, expires ttl.Time) (bool, error) {
	return p.touch(ctx, key, expires)
}

func (p *patched) Compute(ctx context.Context, key string, f computing) (entry, bool, error) {
	return p.compute(ctx, key, f)
}

func (p *patched) Clear(ctx context.Context) error        { return p.clear(ctx) }
func (p *patched) Count(ctx context.Context) (int, error) { return p.count(ctx) }

func (p *patched) Scan(ctx context.Context) (iter.Seq2[string, entry], func() error) {
	return p.scan(ctx)
}

func (p *patched) Hit(key string) (string, bool) { return p.hit(key) }

func (p *patched) Clock() ttl.Clock { return p.clock() }

func (p *patched) Lease(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
	return p.lease(ctx, keys, terms, into)
}

func (p *patched) Fill(ctx context.Context, fills []fill) error { return p.fill(ctx, fills) }

func (p *patched) Stands(ctx context.Context, keys []string, tokens []tarn.Token, into []bool) error {
	return p.stands(ctx, keys, tokens, into)
}

func (p *patched) Hold(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
	return p.hold(ctx, keys, life, tokens)
}

func (p *patched) Settle(ctx context.Context, settlements []settlement) error {
	return p.settle(ctx, settlements)
}

func (p *patched) Stamp(ctx context.Context) (tarn.Stamp, error) { return p.stamp(ctx) }

func (p *patched) InvalidateTags(ctx context.Context, tags ...string) error {
	return p.invalidate(ctx, tags...)
}

func (p *patched) Close() error { return p.close() }
