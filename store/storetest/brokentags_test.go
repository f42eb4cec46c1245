package storetest

import (
	"context"
	"iter"
	"strings"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// stamped returns an entry with other tags of the same names.
func stamped(e entry, stamp tarn.Stamp) entry {
	if e.Tags != nil {
		e.Tags, _ = tarn.NewTags(stamp, e.Tags.Names()...)
	}
	return e
}

// known returns the entries that are stored, whether or not they were invalidated.
func (p *patched) known() (entries []entry) {
	p.slots(func(_ string, s *slot) {
		if s.found {
			entries = append(entries, s.entry)
		}
	})
	return entries
}

func (p *patched) moment() (moment tarn.Stamp) {
	p.locked(func() { moment = p.r.moment })
	return moment
}

// raw does f with the store as if nothing were ever invalidated.
func (p *patched) raw(f func()) {
	p.locked(func() { p.r.keepsTagged = true })
	f()
	p.locked(func() { p.r.keepsTagged = false })
}

var brokenTags = []broken{
	{"drops tags", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			e.Tags = nil
			return p.r.Set(ctx, key, e)
		}
	}, `
		Tagger/tags come back
		Tagger/InvalidateTags removes what has the tag
		Tagger/an entry is stored after an invalidation
		Tagger/the last tags count
		Tagger/tags are any strings
		Tagger/tags that nobody has
		Tagger/Stamp says what was before
		Tagger/Set with an older stamp
		Tagger/negative entries have tags
		Tagger/lives and tags
		Tagger/Clear and tags
		Tagger/Sets and invalidated tags
		Store/random operations`},
	{"an invalidation does nothing", func(p *patched) {
		p.invalidate = func(_ context.Context, tags ...string) error { return tarn.CheckTags(tags...) }
	}, `
		Tagger/InvalidateTags removes what has the tag
		Tagger/an invalidation during Compute
		Tagger/GetMany of what was invalidated
		Tagger/Hit of what was invalidated
		Tagger/Add of what was invalidated
		Tagger/Touch of what was invalidated
		Tagger/Compute of what was invalidated
		Tagger/Scan of what was invalidated
		Tagger/Lease of what was invalidated
		Tagger/Lease that refreshes of what was invalidated
		Tagger/InvalidateTags against Fill
		Tagger/reads and invalidated tags`},
	{"an invalidation clears the store", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			if err := tarn.CheckTags(tags...); err != nil {
				return err
			}
			return p.r.Clear(ctx)
		}
	}, `
		Tagger/InvalidateTags removes what has the tag
		Tagger/the last tags count
		Tagger/tags that nobody has
		Tagger/Fill after another invalidation
		Tagger/Settle after another invalidation
		Tagger/negative entries have tags`},
	{"what was invalidated is removed once, and what is loading is not", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			if err := tarn.CheckTags(tags...); err != nil {
				return err
			}
			if err := ctx.Err(); err != nil {
				return err
			}
			p.slots(func(_ string, s *slot) {
				for _, tag := range tags {
					for _, name := range s.entry.Tags.Names() {
						if name == tag && s.found {
							p.r.drop(s)
						}
					}
				}
			})
			return nil
		}
	}, `
		Tagger/Set with an older stamp
		Tagger/SetMany with an older stamp
		Tagger/Add with an older stamp
		Tagger/Fill after an invalidation
		Tagger/Settle after an invalidation
		Tagger/Fill after the last of a tag has left
		Tagger/Settle after the last of a tag has left
		Tagger/InvalidateTags against Fill
		Tagger/reads and invalidated tags
		Store/random operations`},
	{"only the first tag is invalidated", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			return p.r.InvalidateTags(ctx, tags[:min(len(tags), 1)]...)
		}
	}, `
		Tagger/InvalidateTags removes what has the tag
		Tagger/tags that make no sense`},
	{"only the first of its tags removes an entry", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if e.Tags != nil {
				e.Tags, _ = tarn.NewTags(e.Tags.Stamp(), e.Tags.Names()[0])
			}
			return p.r.Set(ctx, key, e)
		}
	}, `
		Tagger/tags come back
		Tagger/InvalidateTags removes what has the tag
		Tagger/tags are any strings
		Tagger/GetMany keeps tags
		Tagger/Lease keeps tags
		Tagger/Scan keeps tags`},
	{"tags end at a zero byte", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			for i := range tags {
				if at := strings.IndexByte(tags[i], 0); at > 0 {
					tags[i] = tags[i][:at]
				}
			}
			return p.r.InvalidateTags(ctx, tags...)
		}
	}, `
		Tagger/tags are any strings`},
	{"tags are not checked", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			if len(tags) == 0 {
				return tarn.ErrTags
			}
			_ = p.r.InvalidateTags(ctx, tags[0])
			return tarn.CheckTags(tags...)
		}
	}, `
		Tagger/tags that make no sense`},
	{"an invalidation in any context", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			return p.r.InvalidateTags(context.WithoutCancel(ctx), tags...)
		}
	}, `
		Tagger/InvalidateTags and a context that is over`},
	{"an invalidated tag is so for ever", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			err := p.r.InvalidateTags(ctx, tags...)
			if err == nil {
				p.locked(func() {
					for _, tag := range tags {
						p.r.tags[tag] = 1 << 60
					}
				})
			}
			return err
		}
	}, `
		Tagger/an entry is stored after an invalidation
		Tagger/SetMany with an older stamp
		Tagger/Add with an older stamp
		Tagger/tags that nobody has
		Tagger/Stamp says what was before
		Tagger/Sets and invalidated tags`},
	{"an unknown tag is not remembered", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			var known []string
			for _, e := range p.known() {
				for _, tag := range tags {
					for _, name := range e.Tags.Names() {
						if name == tag {
							known = append(known, tag)
						}
					}
				}
			}
			if err := tarn.CheckTags(tags...); err != nil || len(known) == 0 {
				return err
			}
			return p.r.InvalidateTags(ctx, known...)
		}
	}, `
		Tagger/SetMany with an older stamp
		Tagger/Add with an older stamp
		Tagger/Fill after an invalidation
		Tagger/Settle after an invalidation`},
	{"a record goes with the last entry", func(p *patched) {
		p.delete = func(ctx context.Context, key string) error {
			p.slot(key, func(s *slot) { clear(p.r.tags) })
			return p.r.Delete(ctx, key)
		}
	}, `
		Tagger/Fill after the last of a tag has left
		Tagger/Settle after the last of a tag has left`},
	{"no tag is known after Clear", func(p *patched) {
		p.clear = func(ctx context.Context) error {
			err := p.r.Clear(ctx)
			p.locked(func() { p.r.tags = map[string]tarn.Stamp{"x": 1 << 60} })
			return err
		}
	}, `
		Tagger/Clear and tags`},
	{"any invalidation refuses what is loading", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				if e := &fills[i].Entry; e.Tags.Stamp() != 0 && e.Tags.Stamp() < p.moment() {
					fills[i].Store = false
				}
			}
			return p.r.Fill(ctx, fills)
		}
		p.settle = func(ctx context.Context, settlements []settlement) error {
			for i := range settlements {
				if e := &settlements[i].Entry; e.Tags.Stamp() != 0 && e.Tags.Stamp() < p.moment() {
					settlements[i].Store = false
				}
			}
			return p.r.Settle(ctx, settlements)
		}
	}, `
		Tagger/Fill after another invalidation
		Tagger/Settle after another invalidation`},
	{"a Fill does not look at what it replaces", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				fills[i].Over = nil
			}
			return p.r.Fill(ctx, fills)
		}
	}, `
		Tagger/Fill over what was invalidated`},
	{"a Fill looks at no more than the first tag of what it replaces", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				if over := fills[i].Over; over != nil {
					fills[i].Over, _ = tarn.NewTags(over.Stamp(), over.Names()[0])
				}
			}
			return p.r.Fill(ctx, fills)
		}
	}, `
		Tagger/Fill over what was invalidated`},
	{"what a Fill replaces is invalidated by anything", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				if over := fills[i].Over; over != nil && over.Stamp() < p.moment() {
					fills[i].Store = false
				}
			}
			return p.r.Fill(ctx, fills)
		}
	}, `
		Tagger/Fill over what stands`},
	{"what is loaded is stamped when it is stored", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				fills[i].Entry = stamped(fills[i].Entry, p.moment())
			}
			return p.r.Fill(ctx, fills)
		}
		p.settle = func(ctx context.Context, settlements []settlement) error {
			for i := range settlements {
				settlements[i].Entry = stamped(settlements[i].Entry, p.moment())
			}
			return p.r.Settle(ctx, settlements)
		}
	}, `
		Tagger/Fill after an invalidation
		Tagger/Fill without a stamp
		Tagger/Settle after an invalidation
		Tagger/Settle without a stamp
		Tagger/InvalidateTags against Fill`},
	{"what is loaded has no tags", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				fills[i].Entry.Tags = nil
			}
			return p.r.Fill(ctx, fills)
		}
		p.settle = func(ctx context.Context, settlements []settlement) error {
			for i := range settlements {
				settlements[i].Entry.Tags = nil
			}
			return p.r.Settle(ctx, settlements)
		}
	}, `
		Tagger/Fill stores tags
		Tagger/Settle stores tags
		Tagger/a refresh keeps tags
		Tagger/reads and invalidated tags`},
	{"leases are not stamped", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			terms.Stamp = false
			return p.r.Lease(ctx, keys, terms, into)
		}
	}, `
		Tagger/stamps of leases
		Tagger/Fill stores tags`},
	{"leases are stamped too late", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			err := p.r.Lease(ctx, keys, terms, into)
			for i := range into {
				if into[i].Stamp != 0 {
					into[i].Stamp++
				}
			}
			return err
		}
	}, `
		Tagger/stamps of leases
		Tagger/Fill after an invalidation`},
	{"a stamp is zero", func(p *patched) {
		p.stamp = func(ctx context.Context) (tarn.Stamp, error) {
			stamp, err := p.r.Stamp(ctx)
			return stamp - 1, err
		}
	}, `
		Tagger/Stamp says what was before`},
	{"stamps go back", func(p *patched) {
		p.stamp = func(ctx context.Context) (tarn.Stamp, error) {
			stamp, err := p.r.Stamp(ctx)
			return 1000 - stamp, err
		}
	}, `
		Tagger/Stamp says what was before
		Tagger/Set with an older stamp`},
	{"GetMany drops tags", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			err := p.r.GetMany(ctx, keys, into)
			for i := range into {
				into[i].Entry.Tags = nil
			}
			return err
		}
	}, `
		Tagger/GetMany keeps tags
		Store/random operations`},
	{"GetMany finds what was invalidated", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) (err error) {
			p.raw(func() { err = p.r.GetMany(ctx, keys, into) })
			return err
		}
	}, `
		Tagger/GetMany of what was invalidated`},
	{"Hit answers what was invalidated", func(p *patched) {
		p.hit = func(key string) (value string, ok bool) {
			p.raw(func() { value, ok = p.r.Hit(key) })
			return value, ok
		}
	}, `
		Tagger/Hit of what was invalidated`},
	{"what was invalidated is in the way of Add", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (added bool, err error) {
			p.raw(func() { added, err = p.r.Add(ctx, key, e) })
			return added, err
		}
	}, `
		Tagger/Add of what was invalidated`},
	{"Touch of what was invalidated", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (touched bool, err error) {
			p.raw(func() { touched, err = p.r.Touch(ctx, key, expires) })
			return touched, err
		}
	}, `
		Tagger/Touch of what was invalidated`},
	{"Touch stamps anew", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			touched, err := p.r.Touch(ctx, key, expires)
			p.slot(key, func(s *slot) { s.entry = stamped(s.entry, p.r.moment) })
			return touched, err
		}
	}, `
		Tagger/Touch keeps tags`},
	{"Compute writes whatever was invalidated meanwhile", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			return computeOnce(p, ctx, key, f)
		}
	}, `
		Tagger/an invalidation during Compute, and other tags`},
	{"Compute sees what was invalidated", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (e entry, found bool, err error) {
			p.raw(func() { e, found, err = p.r.Compute(ctx, key, f) })
			return e, found, err
		}
	}, `
		Tagger/Compute of what was invalidated`},
	{"Compute stamps anew", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			return p.r.Compute(ctx, key, func(old entry, found bool) (entry, tarn.ComputeOp) {
				e, op := f(old, found)
				return stamped(e, 0), op
			})
		}
	}, `
		Tagger/Compute keeps tags`},
	{"Compute does not look again", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			old, found, err := p.r.Get(ctx, key)
			if err == nil {
				err = ctx.Err()
			}
			held := false
			p.slot(key, func(s *slot) { held = s.guard.Held(p.r.now()) })
			if held {
				err = tarn.ErrHeld
			}
			if err != nil {
				return entry{}, false, err
			}
			switch e, op := f(old, found); op {
			case tarn.ComputeStore:
				e = stamped(e, 0)
				return e, true, p.r.Set(ctx, key, e)
			case tarn.ComputeDelete:
				return entry{}, false, p.r.Delete(ctx, key)
			}
			return old, found, nil
		}
	}, `
		Tagger/an invalidation during Compute`},
	{"Scan drops tags", func(p *patched) {
		p.scan = func(ctx context.Context) (iter.Seq2[string, entry], func() error) {
			seq, end := p.r.Scan(ctx)
			return func(yield func(string, entry) bool) {
				seq(func(key string, e entry) bool { e.Tags = nil; return yield(key, e) })
			}, end
		}
	}, `
		Tagger/Scan keeps tags`},
	{"Scan names what was invalidated", func(p *patched) {
		p.scan = func(ctx context.Context) (seq iter.Seq2[string, entry], end func() error) {
			p.raw(func() { seq, end = p.r.Scan(ctx) })
			return seq, end
		}
	}, `
		Tagger/Scan of what was invalidated`},
	{"a Lease finds what was invalidated", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) (err error) {
			p.raw(func() { err = p.r.Lease(ctx, keys, terms, into) })
			return err
		}
	}, `
		Tagger/Lease of what was invalidated
		Tagger/Lease that refreshes of what was invalidated`},
	{"a Lease drops tags", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			err := p.r.Lease(ctx, keys, terms, into)
			for i := range into {
				into[i].Entry.Tags = nil
			}
			return err
		}
	}, `
		Tagger/Lease keeps tags
		Tagger/a refresh keeps tags`},
	{"a late invalidation", func(p *patched) {
		p.invalidate = func(ctx context.Context, tags ...string) error {
			if err := tarn.CheckTags(tags...); err != nil {
				return err
			}
			tags = append([]string(nil), tags...)
			time.AfterFunc(10*time.Nanosecond, func() { _ = p.r.InvalidateTags(context.WithoutCancel(ctx), tags...) })
			return ctx.Err()
		}
	}, `
		Tagger/reads and invalidated tags
		Tagger/Sets and invalidated tags
		Tagger/InvalidateTags against Fill`},
}
