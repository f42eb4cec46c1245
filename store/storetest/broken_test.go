package storetest

import (
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/guard"
	"github.com/tarncache/tarn/ttl"
)

// broken is a store with one fault.
type broken struct {
	name   string
	patch  func(p *patched)
	caught string // the rows that guard against it, one a line; the suite may well fail others too
}

var brokenStores = concatBroken(
	brokenBasics, brokenTime, brokenContexts, brokenBatches, brokenAdds, brokenTouches, brokenComputes, brokenScans,
	brokenHits, brokenLeases, brokenHolds, brokenTaints, brokenTags, brokenCloses,
)

func concatBroken(tables ...[]broken) (all []broken) {
	for _, t := range tables {
		all = append(all, t...)
	}
	return all
}

// pause lets every other goroutine run.
func pause() { time.Sleep(time.Nanosecond) }

var errBroken = errors.New("broken")

var brokenBasics = []broken{
	{"forgets deletes", func(p *patched) {
		p.delete = func(context.Context, string) error { return nil }
	}, `
		Store/Delete removes its key alone
		Store/Delete of what is not there
		Leaser/Delete voids a lease
		Holder/Delete during a hold
		Store/random operations`},
	{"deletes what begins alike", func(p *patched) {
		p.delete = func(ctx context.Context, key string) error {
			p.slots(func(k string, s *slot) {
				if strings.HasPrefix(k, key) {
					p.r.drop(s)
				}
			})
			return nil
		}
	}, `
		Store/Delete removes its key alone
		Store/keys are any strings
		Leaser/a change that its context forbids voids no lease`},
	{"an error for deleting what is not there", func(p *patched) {
		p.delete = func(ctx context.Context, key string) error {
			if _, found, _ := p.r.Get(ctx, key); !found {
				return tarn.ErrNotFound
			}
			return p.r.Delete(ctx, key)
		}
	}, `
		Scanner/Scan while the store changes
		Store/Delete of what is not there
		Scanner/Count counts entries`},
	{"an error for what is not found", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			if !found && err == nil {
				err = tarn.ErrNotFound
			}
			return e, found, err
		}
	}, `
		Store/a new store is empty
		Store/Get returns what Set stored`},
	{"not found for an error", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, _ := p.r.Get(ctx, key)
			return e, found, nil
		}
	}, `
		Closer/Get after Close
		Closer/Get of what is not there after Close`},
	{"keeps the first value", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			_, _ = p.r.Add(ctx, key, e)
			return nil
		}
	}, `
		Store/Set replaces the whole entry`},
	{"keeps the old deadlines", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if old, found, _ := p.r.Get(ctx, key); found {
				e.Fresh, e.Expires = max(e.Fresh, old.Fresh), max(e.Expires, old.Expires)
			}
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/Set replaces the whole entry
		Store/negative entries
		Store/goroutines with one key
		Store/a later Set moves the deadline`},
	{"takes an empty value for none", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			return e, found && e.Value != "", err
		}
	}, `
		Store/Set replaces the whole entry
		Store/values are any strings
		Computer/Compute of a negative entry`},
	{"a marker for absence", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			return e, found && e.Value != "null", err
		}
	}, `
		Store/values are any strings`},
	{"keys end at a zero byte", func(p *patched) {
		cut := func(key string) string { key, _, _ = strings.Cut(key, "\x00"); return key }
		p.set = func(ctx context.Context, key string, e entry) error { return p.r.Set(ctx, cut(key), e) }
		p.get = func(ctx context.Context, key string) (entry, bool, error) { return p.r.Get(ctx, cut(key)) }
	}, `
		Store/keys are any strings`},
	{"forgets that an entry is negative", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			e.Negative = false
			return p.r.Set(ctx, key, e)
		}
	}, `
		Toucher/Touch of a negative entry
		BatchStore/GetMany returns whole entries
		Scanner/Scan names every entry once`},
	{"holds 5,000 entries", func(p *patched) {
		n := 0
		p.set = func(ctx context.Context, key string, e entry) error {
			p.locked(func() {
				if n++; n%5000 == 0 {
					clear(p.r.slots)
				}
			})
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/room for 10,000 entries
		Store/many expire at once`},
	{"loses a write that races with another", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			before := make(map[string]entry)
			p.slots(func(k string, s *slot) {
				if s.found {
					before[k] = s.entry
				}
			})
			pause()
			for k, was := range before {
				p.slot(k, func(s *slot) { s.entry, s.found = was, true })
			}
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/goroutines with keys of their own`},
	{"goes back now and then", func(p *patched) {
		n, old := 0, make(map[string]entry)
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			p.r.mu.Lock()
			defer p.r.mu.Unlock()
			if n++; n%50 == 0 {
				return old[key], true, nil
			} else if n%10 == 0 {
				old[key] = e
			}
			return e, found, err
		}
	}, `
		Store/a reader does not go back`},
	{"writes an entry in two steps", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			half := e
			half.Fresh, half.Expires = 0, 0
			p.slot(key, func(s *slot) {
				if s.found {
					half.Fresh, half.Expires = s.entry.Fresh, s.entry.Expires
				}
			})
			_ = p.r.Set(ctx, key, half)
			pause()
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/goroutines with one key`},
}

var brokenTime = []broken{
	{"an hour late", func(p *patched) { p.r.slow = time.Hour }, `
		Store/an expired entry is gone
		Store/Stale after Fresh
		Toucher/Touch prolongs a life
		Toucher/Touch shortens a life`},
	{"a nanosecond late", func(p *patched) { p.r.slow = 1 }, `
		Store/expiry to the nanosecond
		Store/Stale to the nanosecond
		BatchStore/GetMany and expiry
		Adder/Add at the nanosecond of expiry
		Toucher/Touch at the nanosecond of expiry
		Computer/Compute at the nanosecond of expiry
		Scanner/Scan and expiry
		Leaser/an expired entry is a miss to Lease`},
	{"a nanosecond early", func(p *patched) { p.r.slow = -1 }, `
		Store/expiry to the nanosecond
		Scanner/Scan and expiry`},
	{"returns expired entries", func(p *patched) { p.r.sweepsNothing = true }, `
		Store/an expired entry is gone
		Store/expiry to the nanosecond
		BatchStore/GetMany and expiry
		Adder/Add after expiry
		Toucher/Touch does not resurrect
		Computer/Compute at the nanosecond of expiry
		Scanner/Scan and expiry
		Leaser/an expired entry is a miss to Lease`},
	{"loses what lives when much expires", func(p *patched) {
		var last ttl.Time
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			p.locked(func() {
				expired, now := 0, p.r.now()
				if now == last {
					return
				}
				last = now
				for _, s := range p.r.slots {
					if s.found && s.entry.Expires.Passed(now) {
						expired++
					}
				}
				if expired > 1000 {
					clear(p.r.slots)
				}
			})
			return p.r.Get(ctx, key)
		}
	}, `
		Store/many expire at once`},
	{"whole seconds", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if rest := e.Expires % ttl.Time(time.Second); rest != 0 {
				e.Expires = e.Expires - rest + ttl.Time(time.Second)
			}
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/deadlines come back
		Store/expiry to the nanosecond`},
	{"no Stale", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			e.Stale = false
			return e, found, err
		}
	}, `
		Store/Set ignores Stale
		Store/Stale after Fresh
		Adder/Add leaves what is there`},
	{"Stale as it was set", func(p *patched) {
		stale := make(map[string]bool)
		p.set = func(ctx context.Context, key string, e entry) error {
			p.slot(key, func(*slot) { stale[key] = e.Stale })
			return p.r.Set(ctx, key, e)
		}
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			p.slot(key, func(*slot) { e.Stale = e.Stale || stale[key] })
			return e, found, err
		}
	}, `
		Store/Set ignores Stale`},
	{"loses Fresh", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			e.Fresh = 0
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/deadlines come back
		Computer/Compute that keeps
		Store/Set ignores Stale`},
	{"ignores a Set that has expired", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if e.Expires.Passed(p.r.now()) {
				return nil
			}
			return p.r.Set(ctx, key, e)
		}
	}, `
		Store/Set with an Expires that has passed
		Leaser/a Set that expires at once voids a lease`},
	{"a timer that was not stopped", func(p *patched) {
		timers := make(map[string][]ttl.Time)
		p.set = func(ctx context.Context, key string, e entry) error {
			if e.Expires > 0 {
				p.slot(key, func(*slot) { timers[key] = append(timers[key], e.Expires) })
			}
			return p.r.Set(ctx, key, e)
		}
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			p.slot(key, func(s *slot) {
				for _, at := range timers[key] {
					if at.Passed(p.r.now()) {
						s.found = false
					}
				}
			})
			return p.r.Get(ctx, key)
		}
	}, `
		Store/an expired entry is gone
		Adder/Add after expiry
		Toucher/Touch prolongs a life`},
	{"no clock", func(p *patched) {
		p.clock = func() ttl.Clock { return ttl.Clock{} }
	}, `
		Clocker/the clock goes on
		Clocker/the clock is near the wall's`},
}

var brokenContexts = []broken{
	{"ignores contexts that are over", func(p *patched) { p.r.anyContext = true }, `
		Store/Set with a context that is over
		Store/Set of a new key with a context that is over
		Store/Delete with a context that is over
		BatchStore/SetMany with a context that is over
		BatchStore/DeleteMany with a context that is over
		Adder/Add with a context that is over
		Toucher/Touch with a context that is over
		Computer/Compute that stores with a context that is over
		Computer/Compute that deletes with a context that is over
		Clearer/Clear with a context that is over
		Leaser/Lease with a context that is over
		Leaser/Fill with a context that is over
		Leaser/a change that its context forbids voids no lease
		Holder/a hold with a context that fails holds nothing
		Holder/Hold with a context that is over
		Holder/Settle with a context that is over`},
	{"refuses hits when a context is over", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			if err := ctx.Err(); err != nil {
				return entry{}, false, err
			}
			return p.r.Get(ctx, key)
		}
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return p.r.GetMany(ctx, keys, into)
		}
	}, `
		Store/a hit needs no live context
		BatchStore/GetMany hits need no live context`},
	{"invalidates first and asks the context then", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if ctx.Err() != nil {
				p.slot(key, func(s *slot) { s.guard.Change() })
			}
			return p.r.Set(ctx, key, e)
		}
		p.delete = func(ctx context.Context, key string) error {
			if ctx.Err() != nil {
				p.slot(key, func(s *slot) { s.guard.Change() })
			}
			return p.r.Delete(ctx, key)
		}
	}, `
		Leaser/a change that its context forbids voids no lease
		Holder/what is refused taints nothing`},
}

// most is all of a slice but its last item.
func most[T any](s []T) []T { return s[:max(0, len(s)-1)] }

var brokenBatches = []broken{
	{"GetMany loses the last item", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			return errors.Join(p.r.GetMany(ctx, keys, into), p.r.GetMany(ctx, most(keys), most(into)),
				func() error {
					if len(into) > 1 {
						into[len(into)-1] = lookup{}
					}
					return nil
				}())
		}
	}, `
		BatchStore/GetMany hits need no live context
		BatchStore/GetMany goes by index
		BatchStore/GetMany of many keys`},
	{"GetMany in order of keys", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			sorted := slices.Clone(keys)
			slices.Sort(sorted)
			return p.r.GetMany(ctx, sorted, into)
		}
	}, `
		BatchStore/GetMany goes by index
		BatchStore/GetMany of many keys`},
	{"GetMany leaves what was in the slice", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			got := make([]lookup, len(into))
			err := p.r.GetMany(ctx, keys, got)
			for i, l := range got {
				if l.Found {
					into[i] = l
				}
			}
			return err
		}
	}, `
		BatchStore/GetMany goes by index
		Holder/GetMany of a held key
		BatchStore/GetMany and expiry`},
	{"GetMany returns values alone", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			err := p.r.GetMany(ctx, keys, into)
			for i := range into {
				into[i].Entry = entry{Value: into[i].Entry.Value}
			}
			return err
		}
	}, `
		BatchStore/GetMany returns whole entries`},
	{"GetMany of a hundred at most", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			err := p.r.GetMany(ctx, keys, into)
			clear(into[min(100, len(into)):])
			return err
		}
	}, `
		BatchStore/GetMany of many keys`},
	{"GetMany keeps the slice of results", func(p *patched) {
		var kept []lookup
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			p.locked(func() { kept = into })
			return p.r.GetMany(ctx, keys, into)
		}
		p.set = func(ctx context.Context, key string, e entry) error {
			p.locked(func() {
				if len(kept) > 0 {
					kept[0].Entry = e
				}
			})
			return p.r.Set(ctx, key, e)
		}
	}, `
		BatchStore/the caller's slices are the caller's`},
	{"SetMany loses the last item", func(p *patched) {
		p.setMany = func(ctx context.Context, keys []string, entries []entry) error {
			if len(keys) != len(entries) {
				return errLengths
			}
			return p.r.SetMany(ctx, most(keys), most(entries))
		}
	}, `
		BatchStore/SetMany sets every key
		BatchStore/SetMany of a key that comes twice
		BatchStore/a SetMany of which some are refused`},
	{"SetMany keeps the slices for later", func(p *patched) {
		later := func() {}
		p.setMany = func(_ context.Context, keys []string, entries []entry) error {
			later = func() { _ = p.r.SetMany(context.Background(), keys, entries) }
			return nil
		}
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			later()
			return p.r.GetMany(ctx, keys, into)
		}
	}, `
		BatchStore/the caller's slices are the caller's
		BatchStore/SetMany sets every key`},
	{"SetMany keeps the slice of entries", func(p *patched) {
		kept := make(map[string]*entry)
		p.setMany = func(ctx context.Context, keys []string, entries []entry) error {
			err := p.r.SetMany(ctx, keys, entries)
			for i, key := range keys {
				p.locked(func() { kept[key] = &entries[i] })
			}
			return err
		}
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			err := p.r.GetMany(ctx, keys, into)
			for i, key := range keys {
				p.locked(func() {
					if e := kept[key]; e != nil && into[i].Found {
						into[i].Entry = *e
					}
				})
			}
			return err
		}
	}, `
		BatchStore/batches of two lengths
		BatchStore/the caller's slices are the caller's`},
	{"SetMany stores values alone", func(p *patched) {
		p.setMany = func(ctx context.Context, keys []string, entries []entry) error {
			bare := make([]entry, len(entries))
			for i, e := range entries {
				bare[i].Value = e.Value
			}
			return p.r.SetMany(ctx, keys, bare)
		}
	}, `
		BatchStore/SetMany stores whole entries`},
	{"SetMany keeps the first of two", func(p *patched) {
		p.setMany = func(ctx context.Context, keys []string, entries []entry) error {
			keys, entries = slices.Clone(keys), slices.Clone(entries)
			slices.Reverse(keys)
			slices.Reverse(entries)
			err := p.r.SetMany(ctx, keys, entries)
			if byIndex, ok := err.(tarn.IndexError); ok {
				slices.Reverse(byIndex)
			}
			return err
		}
	}, `
		BatchStore/SetMany of a key that comes twice`},
	{"SetMany gives up at the first held key", func(p *patched) {
		p.setMany = func(ctx context.Context, keys []string, entries []entry) error {
			if len(keys) != len(entries) {
				return errLengths
			}
			for i, key := range keys {
				if err := p.r.Set(ctx, key, entries[i]); err != nil {
					return err
				}
			}
			return nil
		}
	}, `
		BatchStore/a SetMany of which some are refused`},
	{"DeleteMany loses the last item", func(p *patched) {
		p.deleteMany = func(ctx context.Context, keys []string) error { return p.r.DeleteMany(ctx, most(keys)) }
	}, `
		BatchStore/DeleteMany deletes every key
		BatchStore/DeleteMany of what is not there
		BatchStore/the caller's slices are the caller's`},
	{"DeleteMany wants each key once and there", func(p *patched) {
		p.deleteMany = func(ctx context.Context, keys []string) error {
			for _, key := range keys {
				if _, found, _ := p.r.Get(ctx, key); !found {
					return tarn.ErrNotFound
				}
				if err := p.r.Delete(ctx, key); err != nil {
					return err
				}
			}
			return nil
		}
	}, `
		BatchStore/DeleteMany of what is not there
		Leaser/DeleteMany voids a lease
		Leaser/DeleteMany of what is not there voids leases`},
	{"DeleteMany keeps the slice of keys", func(p *patched) {
		later := func() {}
		p.deleteMany = func(_ context.Context, keys []string) error {
			later = func() { _ = p.r.DeleteMany(context.Background(), keys) }
			return nil
		}
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			later()
			return p.r.Get(ctx, key)
		}
	}, `
		BatchStore/the caller's slices are the caller's`},
	{"DeleteMany removes values alone", func(p *patched) {
		p.deleteMany = func(ctx context.Context, keys []string) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			for _, key := range keys {
				p.slot(key, func(s *slot) { s.entry, s.found = entry{}, false })
			}
			return nil
		}
	}, `
		Leaser/DeleteMany voids a lease
		Leaser/DeleteMany of what is not there voids leases
		Holder/DeleteMany during a hold`},
	{"panics at slices of two lengths", func(p *patched) {
		p.getMany = func(ctx context.Context, keys []string, into []lookup) error {
			return p.r.GetMany(ctx, keys, into[:len(keys)])
		}
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			return p.r.Lease(ctx, keys, terms, into[:len(keys)])
		}
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			return p.r.Hold(ctx, keys, life, tokens[:len(keys)])
		}
	}, `
		Holder/holds of nothing, and of two lengths
		BatchStore/batches of two lengths
		Leaser/leases of nothing, and of two lengths`},
	{"an error for an empty batch", func(p *patched) {
		p.deleteMany = func(ctx context.Context, keys []string) error {
			if len(keys) == 0 {
				return errBroken
			}
			return p.r.DeleteMany(ctx, keys)
		}
		p.fill = func(ctx context.Context, fills []fill) error {
			if len(fills) == 0 {
				return errBroken
			}
			return p.r.Fill(ctx, fills)
		}
		p.settle = func(ctx context.Context, settlements []settlement) error {
			if len(settlements) == 0 {
				return errBroken
			}
			return p.r.Settle(ctx, settlements)
		}
	}, `
		BatchStore/empty batches
		Holder/holds of nothing, and of two lengths
		Leaser/leases of nothing, and of two lengths`},
}

var brokenAdds = []broken{
	{"Add that overwrites", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (bool, error) {
			_, found, _ := p.r.Get(ctx, key)
			if err := p.r.Set(ctx, key, e); errors.Is(err, tarn.ErrHeld) {
				return false, nil
			} else if err != nil {
				return false, err
			}
			return !found, nil
		}
	}, `
		Adder/one Add of many wins
		Adder/Add after expiry
		Adder/Add leaves what is there`},
	{"Add that stores nothing", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (bool, error) {
			_, found, _ := p.r.Get(ctx, key)
			return !found, ctx.Err()
		}
	}, `
		Adder/Add sets what is not there
		Adder/one Add of many wins
		Leaser/Add voids a lease`},
	{"Add in two steps", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (bool, error) {
			if _, found, _ := p.r.Get(ctx, key); found {
				return false, nil
			}
			pause()
			err := p.r.Set(ctx, key, e)
			return err == nil, err
		}
	}, `
		Adder/one Add of many wins`},
	{"Add over a negative entry", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (bool, error) {
			if old, found, _ := p.r.Get(ctx, key); found && old.Negative {
				return true, p.r.Set(ctx, key, e)
			}
			return p.r.Add(ctx, key, e)
		}
	}, `
		Adder/Add leaves what is there`},
	{"Add that lasts for ever", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (bool, error) {
			e.Expires = 0
			return p.r.Add(ctx, key, e)
		}
	}, `
		Adder/Add sets what is not there
		Adder/Add of an entry that has expired`},
	{"Add over a hold", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (added bool, err error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			p.slot(key, func(s *slot) {
				if added = !s.found; added {
					p.r.put(s, e)
				}
			})
			return added, nil
		}
	}, `
		Holder/Add of a held key`},
	{"Add taints a hold", func(p *patched) {
		p.add = func(ctx context.Context, key string, e entry) (bool, error) {
			added, err := p.r.Add(ctx, key, e)
			if err == nil && !added {
				p.slot(key, func(s *slot) { s.guard.Change() })
			}
			return added, err
		}
	}, `
		Holder/Add of a held key`},
}

var brokenTouches = []broken{
	{"Touch that resurrects", func(p *patched) {
		old := make(map[string]entry)
		p.set = func(ctx context.Context, key string, e entry) error {
			err := p.r.Set(ctx, key, e)
			if err == nil {
				p.slot(key, func(*slot) { old[key] = e })
			}
			return err
		}
		p.delete = func(ctx context.Context, key string) error {
			err := p.r.Delete(ctx, key)
			if err == nil {
				p.slot(key, func(*slot) { delete(old, key) })
			}
			return err
		}
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			if err := ctx.Err(); err != nil {
				return false, err
			}
			touched := false
			p.slot(key, func(s *slot) {
				var e entry
				if e, touched = old[key]; touched {
					e.Expires = expires
					old[key] = e
					p.r.put(s, e)
				}
			})
			return touched, nil
		}
	}, `
		Toucher/Touch does not resurrect
		Toucher/Touch at the nanosecond of expiry`},
	{"Touch that creates", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			touched, err := p.r.Touch(ctx, key, expires)
			if err == nil && !touched {
				p.slot(key, func(s *slot) {
					if !s.guard.Held(p.r.now()) {
						p.r.put(s, until("", expires))
					}
				})
			}
			return touched, err
		}
	}, `
		Toucher/Touch of what is not there
		Toucher/Touch does not resurrect
		Toucher/Touch into the past`},
	{"Touch that prolongs only", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			if e, found, _ := p.r.Get(ctx, key); found && expires != 0 && (e.Expires == 0 || e.Expires > expires) {
				return true, ctx.Err()
			}
			return p.r.Touch(ctx, key, expires)
		}
	}, `
		Toucher/Touch moves a deadline
		Toucher/Touch shortens a life
		Toucher/Touch into the past`},
	{"Touch that shortens only", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			if e, found, _ := p.r.Get(ctx, key); found && e.Expires != 0 && (expires == 0 || expires > e.Expires) {
				return true, ctx.Err()
			}
			return p.r.Touch(ctx, key, expires)
		}
	}, `
		Toucher/Touch moves a deadline
		Toucher/Touch of a negative entry
		Toucher/Touch prolongs a life`},
	{"Touch that makes fresh for ever", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			touched, err := p.r.Touch(ctx, key, expires)
			if touched {
				p.slot(key, func(s *slot) { s.entry.Fresh, s.entry.Negative = 0, false })
			}
			return touched, err
		}
	}, `
		Toucher/Touch moves a deadline
		Toucher/Touch of a negative entry`},
	{"Touch taints a hold", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (bool, error) {
			touched, err := p.r.Touch(ctx, key, expires)
			if err == nil {
				p.slot(key, func(s *slot) { s.guard.Change() })
			}
			return touched, err
		}
	}, `
		Holder/Touch of a held key`},
}

// computeOnce is a Compute that writes whatever has happened meanwhile.
func computeOnce(p *patched, ctx context.Context, key string, f computing) (entry, bool, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, false, err
	}
	old, found, err := p.r.Get(ctx, key)
	if err != nil {
		return entry{}, false, err
	}
	held := false
	p.slot(key, func(s *slot) { held = s.guard.Held(p.r.now()) })
	if held {
		return entry{}, false, tarn.ErrHeld
	}
	e, op := f(old, found)
	p.slot(key, func(s *slot) {
		switch op {
		case tarn.ComputeStore:
			p.r.put(s, e)
		case tarn.ComputeDelete:
			p.r.drop(s)
		}
	})
	return p.r.Get(ctx, key)
}

var brokenComputes = []broken{
	{"Compute that is not atomic", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			return computeOnce(p, ctx, key, func(old entry, found bool) (entry, tarn.ComputeOp) {
				defer pause()
				return f(old, found)
			})
		}
	}, `
		Computer/many Computes of one key
		Computer/Compute sees a change made meanwhile
		Computer/a hold during a Compute`},
	{"Compute under a lock", func(p *patched) {
		lock := make(chan struct{}, 1)
		locked := func(ctx context.Context, f func()) error {
			select {
			case lock <- struct{}{}:
			case <-ctx.Done():
				return ctx.Err()
			}
			defer func() { <-lock }()
			f()
			return nil
		}
		p.compute = func(ctx context.Context, key string, f computing) (e entry, found bool, err error) {
			err = locked(ctx, func() { e, found, err = p.r.Compute(ctx, key, f) })
			return e, found, err
		}
		p.get = func(ctx context.Context, key string) (e entry, found bool, err error) {
			err = locked(ctx, func() { e, found, err = p.r.Get(ctx, key) })
			return e, found, err
		}
	}, `
		Computer/Compute's function may use the store`},
	{"Compute that keeps is a store", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			return p.r.Compute(ctx, key, func(old entry, found bool) (entry, tarn.ComputeOp) {
				e, op := f(old, found)
				if op == tarn.ComputeKeep {
					op = tarn.ComputeStore
				}
				return e, op
			})
		}
	}, `
		Computer/Compute that keeps`},
	{"Compute that never deletes", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			return p.r.Compute(ctx, key, func(old entry, found bool) (entry, tarn.ComputeOp) {
				e, op := f(old, found)
				if op == tarn.ComputeDelete {
					op = tarn.ComputeKeep
				}
				return e, op
			})
		}
	}, `
		Computer/Compute that deletes
		Leaser/Compute that deletes voids a lease`},
	{"Compute returns what was", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (was entry, had bool, err error) {
			_, _, err = p.r.Compute(ctx, key, func(old entry, found bool) (entry, tarn.ComputeOp) {
				was, had = old, found
				return f(old, found)
			})
			return was, had, err
		}
	}, `
		Computer/Compute that stores
		Computer/Compute that deletes
		Computer/Compute of a negative entry`},
	{"Compute returns what it was told to store", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (told entry, found bool, err error) {
			e, found, err := p.r.Compute(ctx, key, func(old entry, had bool) (e entry, op tarn.ComputeOp) {
				e, op = f(old, had)
				told, found = e, op == tarn.ComputeStore
				return e, op
			})
			if told.Expires == 0 {
				return e, found, err
			}
			return told, true, err
		}
	}, `
		Computer/Compute to an entry that has expired
		Computer/Compute at the nanosecond of expiry`},
	{"Compute takes a negative entry for none", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			return p.r.Compute(ctx, key, func(old entry, found bool) (entry, tarn.ComputeOp) {
				return f(old, found && !old.Negative)
			})
		}
	}, `
		Computer/Compute of a negative entry`},
	{"Compute keeps a held key without an error", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			e, found, err := p.r.Compute(ctx, key, f)
			if errors.Is(err, tarn.ErrHeld) {
				if _, op := f(entry{}, false); op == tarn.ComputeKeep {
					err = nil
				}
			}
			return e, found, err
		}
	}, `
		Holder/Compute of a held key`},
}

var brokenScans = []broken{
	{"Clear that forgets some", func(p *patched) {
		p.clear = func(ctx context.Context) error {
			kept := make(map[string]entry)
			p.slots(func(key string, s *slot) {
				if s.found && strings.HasSuffix(key, "0") {
					kept[key] = s.entry
				}
			})
			err := p.r.Clear(ctx)
			for key, e := range kept {
				_ = p.r.Set(ctx, key, e)
			}
			return err
		}
	}, `
		Clearer/Clear removes everything
		Leaser/Clear against Fill`},
	{"Clear of an empty store is an error", func(p *patched) {
		p.clear = func(ctx context.Context) error {
			if n, err := p.r.Count(ctx); err == nil && n == 0 {
				return errBroken
			}
			return p.r.Clear(ctx)
		}
	}, `
		Clearer/Clear of an empty store
		Leaser/Clear of what is not there voids leases
		Holder/Clear during a hold`},
	{"Clear removes values alone", func(p *patched) {
		p.clear = func(ctx context.Context) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p.slots(func(_ string, s *slot) { s.entry, s.found = entry{}, false })
			return nil
		}
	}, `
		Leaser/Clear voids a lease
		Leaser/Clear of what is not there voids leases
		Holder/Clear during a hold`},
	{"Clear drops holds", func(p *patched) {
		p.clear = func(ctx context.Context) error {
			if err := p.r.Clear(ctx); err != nil {
				return err
			}
			p.slots(func(_ string, s *slot) { s.guard = guard.Record{} })
			return nil
		}
	}, `
		Holder/Clear during a hold`},
	{"Clear leaves the count", func(p *patched) {
		kept := 0
		p.clear = func(ctx context.Context) error {
			kept, _ = p.r.Count(ctx)
			return p.r.Clear(ctx)
		}
		p.count = func(ctx context.Context) (int, error) {
			n, err := p.r.Count(ctx)
			return n + kept, err
		}
	}, `
		Clearer/Clear and Count`},
	{"Count counts every key it ever met", func(p *patched) {
		p.count = func(ctx context.Context) (int, error) {
			_, err := p.r.Count(ctx)
			p.r.mu.Lock()
			defer p.r.mu.Unlock()
			return len(p.r.slots), err
		}
	}, `
		Clearer/Clear and Count
		Scanner/Count counts entries
		Scanner/leases and holds are no entries`},
	{"Scan loses one", func(p *patched) {
		p.scan = func(ctx context.Context) (iter.Seq2[string, entry], func() error) {
			seq, end := p.r.Scan(ctx)
			return func(yield func(string, entry) bool) {
				first := true
				for key, e := range seq {
					if !first && !yield(key, e) {
						return
					}
					first = false
				}
			}, end
		}
	}, `
		Scanner/leases and holds are no entries
		Scanner/Scan names every entry once
		Scanner/Scan and expiry`},
	{"Scan names what has expired", func(p *patched) {
		p.scan = func(ctx context.Context) (iter.Seq2[string, entry], func() error) {
			p.locked(func() { p.r.sweepsNothing = true })
			defer p.locked(func() { p.r.sweepsNothing = false })
			return p.r.Scan(ctx)
		}
	}, `
		Scanner/Scan and expiry`},
	{"Scan that was left is an error", func(p *patched) {
		p.scan = func(ctx context.Context) (iter.Seq2[string, entry], func() error) {
			seq, end := p.r.Scan(ctx)
			left := false
			return func(yield func(string, entry) bool) {
					for key, e := range seq {
						if left = !yield(key, e); left {
							return
						}
					}
				}, func() error {
					if left {
						return errBroken
					}
					return end()
				}
		}
	}, `
		Scanner/Scan can be left`},
	{"Scan comes back to what changed", func(p *patched) {
		p.scan = func(ctx context.Context) (iter.Seq2[string, entry], func() error) {
			seq, end := p.r.Scan(ctx)
			return func(yield func(string, entry) bool) {
				seen := make(map[string]string)
				for key, e := range seq {
					if seen[key] = e.Value; !yield(key, e) {
						return
					}
				}
				again, _ := p.r.Scan(ctx)
				for key, e := range again {
					if was, ok := seen[key]; ok && was != e.Value && !yield(key, e) {
						return
					}
				}
			}, end
		}
	}, `
		Scanner/Scan while the store changes`},
}

func brokenFill(stored func(p *patched, s *slot, f *fill) bool) func(p *patched) {
	return func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			if err := p.r.begin(ctx); err != nil {
				return err
			}
			defer p.r.mu.Unlock()
			for i := range fills {
				s := p.r.at(fills[i].Key)
				if fills[i].Stored = stored(p, s, &fills[i]); fills[i].Stored {
					p.r.put(s, fills[i].Entry)
				}
			}
			return nil
		}
	}
}

// brokenLease changes the answers of Lease.
func brokenLease(change func(p *patched, key string, terms tarn.LeaseTerms, l *lease)) func(p *patched) {
	return func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			if err := p.r.Lease(ctx, keys, terms, into); err != nil {
				return err
			}
			for i, key := range keys {
				change(p, key, terms, &into[i])
			}
			return nil
		}
	}
}

// brokenHit is Hit with another idea of which slots it answers from. It removes nothing that has expired.
func brokenHit(answers func(s *slot, now ttl.Time) bool) func(p *patched) {
	return func(p *patched) {
		p.hit = func(key string) (value string, ok bool) {
			p.locked(func() {
				s := p.r.slots[key]
				if ok = !p.r.closed && s != nil && answers(s, p.r.now()); ok {
					value = s.entry.Value
				}
			})
			return value, ok
		}
	}
}

// copiedHit answers from copies that Hit itself makes, a pause after it has read.
func copiedHit(p *patched) (copies *sync.Map) {
	copies = new(sync.Map)
	p.hit = func(key string) (string, bool) {
		if value, ok := copies.Load(key); ok {
			return value.(string), true
		}
		value, ok := p.r.Hit(key)
		if ok {
			pause()
			copies.Store(key, value)
		}
		return value, ok
	}
	return copies
}

var brokenHits = []broken{
	{"Hit never answers", brokenHit(func(*slot, ttl.Time) bool { return false }), `
		Hitter/Hit answers`},
	{"Hit of nothing", func(p *patched) {
		p.hit = func(key string) (string, bool) {
			e, _, err := p.r.Get(context.Background(), key)
			return e.Value, err == nil
		}
	}, `
		Hitter/Hit of what is not there
		Hitter/Hit of a negative entry
		Hitter/Hit and leases
		Hitter/Hit of a held key
		Store/random operations`},
	{"Hit of what has expired", brokenHit(func(s *slot, now ttl.Time) bool {
		return s.found && !s.entry.Negative && !s.entry.Fresh.Passed(now)
	}), `
		Hitter/Hit of what has expired
		Hitter/Hit and expiry to the nanosecond
		Hitter/Hit after Touch
		Store/random operations`},
	{"Hit of what expired a nanosecond ago", brokenHit(func(s *slot, now ttl.Time) bool {
		return s.found && !s.entry.Negative && !s.entry.Fresh.Passed(now) && !s.entry.Expires.Passed(now-1)
	}), `
		Hitter/Hit and expiry to the nanosecond`},
	{"Hit of what is stale", brokenHit(func(s *slot, now ttl.Time) bool {
		return s.found && !s.entry.Negative && !s.entry.Expires.Passed(now)
	}), `
		Hitter/Hit of what is stale
		Hitter/Hit and Fresh to the nanosecond
		Store/random operations`},
	{"Hit of what was fresh a nanosecond ago", brokenHit(func(s *slot, now ttl.Time) bool {
		return s.found && !s.entry.Negative && !s.entry.Fresh.Passed(now-1) && !s.entry.Expires.Passed(now)
	}), `
		Hitter/Hit and Fresh to the nanosecond`},
	{"Hit of a negative entry", brokenHit(func(s *slot, now ttl.Time) bool {
		return s.found && !s.entry.Fresh.Passed(now) && !s.entry.Expires.Passed(now)
	}), `
		Hitter/Hit of a negative entry
		Store/random operations`},
	{"Hit of another key", func(p *patched) {
		p.hit = func(key string) (value string, ok bool) {
			p.slots(func(k string, s *slot) {
				if len(k) == len(key) && s.found && !s.entry.Negative && !s.entry.Stale {
					value, ok = s.entry.Value, true
				}
			})
			return value, ok
		}
	}, `
		Hitter/Hit of any key
		Hitter/Hit of what is not there
		Store/random operations`},
	{"Hit of what a hold took away", func(p *patched) {
		before := make(map[string]entry)
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			for _, key := range keys {
				p.slot(key, func(s *slot) {
					if s.found {
						before[key] = s.entry
					}
				})
			}
			return p.r.Hold(ctx, keys, life, tokens)
		}
		p.hit = func(key string) (value string, ok bool) {
			p.slot(key, func(s *slot) {
				if e, kept := before[key]; kept && s.guard.Held(p.r.now()) {
					value, ok = e.Value, true
				}
			})
			if ok {
				return value, true
			}
			return p.r.Hit(key)
		}
	}, `
		Hitter/Hit of a held key
		Hitter/Hit after Hold
		Hitter/Hits and holds
		Store/random operations`},
	{"Hit of a copy that nothing drops", func(p *patched) { copiedHit(p) }, `
		Hitter/Hit after Set
		Hitter/Hit after Set of a new key
		Hitter/Hit after Delete
		Hitter/Hit after SetMany
		Hitter/Hit after DeleteMany
		Hitter/Hit after Add
		Hitter/Hit after Touch
		Hitter/Hit after Compute that stores
		Hitter/Hit after Compute that deletes
		Hitter/Hit after Clear
		Hitter/Hit after Hold
		Hitter/Hit after Close
		Hitter/Hit of what has expired
		Hitter/Hit of what is stale
		Hitter/Hit and leases
		Hitter/Hit of a held key
		Hitter/Hits and deletes
		Hitter/Hits and holds
		Store/random operations`},
	{"Hit of a copy that was made too late", func(p *patched) {
		copies := copiedHit(p)
		p.set = func(ctx context.Context, key string, e entry) error {
			copies.Delete(key)
			return p.r.Set(ctx, key, e)
		}
		p.delete = func(ctx context.Context, key string) error {
			copies.Delete(key)
			return p.r.Delete(ctx, key)
		}
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			for _, key := range keys {
				copies.Delete(key)
			}
			return p.r.Hold(ctx, keys, life, tokens)
		}
	}, `
		Hitter/Hits and deletes
		Hitter/Hits and holds`},
}

var brokenLeases = []broken{
	{"changes void no leases", func(p *patched) { p.r.changesUntold = true }, `
		Leaser/Set voids a lease
		Leaser/Set of a new key voids a lease
		Leaser/Delete voids a lease
		Leaser/SetMany voids a lease
		Leaser/DeleteMany voids a lease
		Leaser/Add voids a lease
		Leaser/Touch voids a lease
		Leaser/Compute that stores voids a lease
		Leaser/Compute that deletes voids a lease
		Leaser/Clear voids a lease
		Leaser/Delete of what is not there voids a lease
		Leaser/DeleteMany of what is not there voids leases
		Leaser/Clear of what is not there voids leases
		Leaser/a Set that expires at once voids a lease
		Holder/Delete during a hold
		Holder/DeleteMany during a hold
		Holder/Clear during a hold`},
	{"fills without checking the lease", brokenFill(func(p *patched, s *slot, f *fill) bool {
		s.guard.EndLease(f.Token, p.r.now())
		return f.Store
	}), `
		Leaser/Set voids a lease
		Leaser/Delete voids a lease
		Leaser/Hold voids a lease
		Leaser/a lease fills once
		Leaser/no Fill under another's token
		Leaser/a lease runs out
		Leaser/Delete against Fill
		Leaser/Clear against Fill
		Leaser/reads and invalidations
		Holder/reads and held writes
		Store/random operations`},
	{"fills under any lease", brokenFill(func(p *patched, s *slot, f *fill) bool {
		leased := s.guard.Leased(p.r.now())
		if leased {
			s.guard.Change()
		}
		return leased && f.Store
	}), `
		Leaser/no old Fill under a new lease
		Leaser/no Fill under another's token`},
	{"fills what has no lease", brokenFill(func(p *patched, s *slot, f *fill) bool {
		if !s.found && !s.guard.Leased(p.r.now()) && !s.guard.Held(p.r.now()) {
			return f.Store
		}
		return s.guard.EndLease(f.Token, p.r.now()) && f.Store
	}), `
		Leaser/a lease fills once
		Leaser/a lease is given back
		Leaser/a lease runs out`},
	{"a Fill leaves the lease", brokenFill(func(p *patched, s *slot, f *fill) bool {
		return s.guard.Stands(f.Token, p.r.now()) && f.Store
	}), `
		Leaser/a miss grants a lease
		Leaser/a lease is given back
		Leaser/a refresh given back`},
	{"a Fill without Store stores", brokenFill(func(p *patched, s *slot, f *fill) bool {
		return s.guard.EndLease(f.Token, p.r.now())
	}), `
		Scanner/leases and holds are no entries
		Leaser/a miss grants a lease
		Leaser/Fill stores what was loaded`},
	{"a lease given back takes the entry away", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for _, f := range fills {
				p.slot(f.Key, func(s *slot) {
					if !f.Store && s.guard.Stands(f.Token, p.r.now()) {
						s.found = false
					}
				})
			}
			return p.r.Fill(ctx, fills)
		}
	}, `
		Leaser/a refresh given back`},
	{"a Fill under another's token ends the lease", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			if err := p.r.Fill(ctx, fills); err != nil {
				return err
			}
			for _, f := range fills {
				p.slot(f.Key, func(s *slot) {
					if !s.guard.Held(p.r.now()) {
						s.guard.Change()
					}
				})
			}
			return nil
		}
	}, `
		Leaser/no old Fill under a new lease
		Leaser/no Fill under another's token`},
	{"a Fill stores values alone", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				fills[i].Entry = plain(fills[i].Entry.Value)
			}
			return p.r.Fill(ctx, fills)
		}
	}, `
		Leaser/Fill stores whole entries`},
	{"a Fill never says Stored", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			err := p.r.Fill(ctx, fills)
			for i := range fills {
				fills[i].Stored = false
			}
			return err
		}
	}, `
		Leaser/a refresh of what is not there
		Leaser/other keys void no lease
		Leaser/one lease to refresh`},
	{"Fill loses the last item", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			if len(fills) > 1 {
				fills = most(fills)
			}
			return p.r.Fill(ctx, fills)
		}
	}, `
		Leaser/leases of many keys
		Leaser/leases keep no slices
		Leaser/Fill stores whole entries`},
	{"Fill in two steps", func(p *patched) {
		p.fill = func(ctx context.Context, fills []fill) error {
			for i := range fills {
				f, stood := &fills[i], false
				p.slot(f.Key, func(s *slot) { stood = s.guard.EndLease(f.Token, p.r.now()) })
				pause()
				if f.Stored = stood && f.Store; f.Stored {
					p.slot(f.Key, func(s *slot) { p.r.put(s, f.Entry) })
				}
			}
			return nil
		}
	}, `
		Leaser/Delete against Fill
		Leaser/Clear against Fill
		Leaser/reads and invalidations`},
	{"Fill keeps the slice", func(p *patched) {
		kept := make(map[string]*fill)
		p.fill = func(ctx context.Context, fills []fill) error {
			err := p.r.Fill(ctx, fills)
			for i := range fills {
				p.locked(func() { kept[fills[i].Key] = &fills[i] })
			}
			return err
		}
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			p.locked(func() {
				if f := kept[key]; found && f != nil {
					e = f.Entry
				}
			})
			return e, found, err
		}
	}, `
		Leaser/leases keep no slices`},
	{"a lease that never expires", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			terms.Life = ttl.Forever
			return p.r.Lease(ctx, keys, terms, into)
		}
	}, `
		Leaser/a lease runs out
		Leaser/a lease runs out to the nanosecond
		Leaser/no old Fill under a new lease`},
	{"every lease under one token", brokenLease(func(p *patched, key string, _ tarn.LeaseTerms, l *lease) {
		if l.State != tarn.Granted {
			return
		}
		l.Token = tarn.Token{1}
		p.slot(key, func(s *slot) {
			s.guard.Change()
			s.guard.Lease(l.Token, p.r.now(), p.r.now().Add(time.Hour))
		})
	}), `
		Leaser/a miss grants a lease
		Leaser/no old Fill under a new lease`},
	{"a lease for everybody", brokenLease(func(p *patched, key string, terms tarn.LeaseTerms, l *lease) {
		if l.State != tarn.Leased {
			return
		}
		l.State, l.Token = tarn.Granted, p.r.tokens.Next()
		p.slot(key, func(s *slot) {
			s.guard.Change()
			s.guard.Lease(l.Token, p.r.now(), p.r.now().Add(terms.Life))
		})
	}), `
		Leaser/one lease among many
		Leaser/a refresh of what is not there
		Leaser/one lease to refresh`},
	{"a lease in two steps", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			free := make([]bool, len(keys))
			for i, key := range keys {
				p.slot(key, func(s *slot) { free[i] = !s.found && s.guard.Idle(p.r.now()) })
			}
			pause()
			for i, key := range keys {
				p.slot(key, func(s *slot) {
					if free[i] && !s.guard.Held(p.r.now()) {
						s.guard.Change()
					}
				})
			}
			return p.r.Lease(ctx, keys, terms, into)
		}
	}, `
		Leaser/one lease among many`},
	{"no token for those who wait", brokenLease(func(_ *patched, _ string, _ tarn.LeaseTerms, l *lease) {
		if l.State == tarn.Leased {
			l.Token = tarn.Token{}
		}
	}), `
		Leaser/one lease to refresh
		Leaser/one lease per key
		Leaser/leases by index`},
	{"a lease with every hit", brokenLease(func(p *patched, key string, terms tarn.LeaseTerms, l *lease) {
		if l.State == tarn.Hit {
			p.slot(key, func(s *slot) {
				l.State, l.Token = s.guard.Lease(p.r.tokens.Next(), p.r.now(), p.r.now().Add(terms.Life))
			})
		}
	}), `
		Leaser/one lease per key
		Leaser/a lease to refresh
		Leaser/a hit needs no lease`},
	{"no Refresh", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			terms.Refresh = false
			return p.r.Lease(ctx, keys, terms, into)
		}
	}, `
		Leaser/one lease to refresh
		Leaser/Compute that stores voids a lease
		Leaser/Hold voids a lease`},
	{"Refresh takes the entry away", brokenLease(func(p *patched, key string, terms tarn.LeaseTerms, l *lease) {
		if terms.Refresh && l.State == tarn.Granted {
			p.slot(key, func(s *slot) { s.entry, s.found = entry{}, false })
		}
	}), `
		Leaser/a refresh given back
		Leaser/a lease to refresh
		Leaser/Touch voids a lease`},
	{"a refresh whatever the lease", func(p *patched) {
		refreshes := make(map[tarn.Token]bool)
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			err := p.r.Lease(ctx, keys, terms, into)
			for i := range into {
				p.locked(func() { refreshes[into[i].Token] = refreshes[into[i].Token] || terms.Refresh && into[i].Found })
			}
			return err
		}
		brokenFill(func(p *patched, s *slot, f *fill) bool {
			return (s.guard.EndLease(f.Token, p.r.now()) || refreshes[f.Token]) && f.Store
		})(p)
	}, `
		Leaser/Compute that stores voids a lease
		Leaser/Hold voids a lease
		Leaser/Set voids a lease
		Leaser/a refresh does not bring back`},
	{"a lease that only a refresh gets", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			err := p.r.Lease(ctx, keys, terms, into)
			for i, key := range keys {
				if terms.Refresh && !into[i].Found && into[i].State == tarn.Granted {
					p.slot(key, func(s *slot) { s.guard.EndLease(into[i].Token, p.r.now()) })
				}
			}
			return err
		}
	}, `
		Leaser/a refresh of what is not there`},
	{"Lease loses the last item", func(p *patched) {
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			if len(keys) > 1 && len(keys) == len(into) {
				return p.r.Lease(ctx, most(keys), terms, most(into))
			}
			return p.r.Lease(ctx, keys, terms, into)
		}
	}, `
		Leaser/leases of many keys
		Leaser/leases keep no slices
		Leaser/leases by index`},
	{"Lease keeps the slice of keys", func(p *patched) {
		kept := make(map[tarn.Token]*string)
		p.lease = func(ctx context.Context, keys []string, terms tarn.LeaseTerms, into []lease) error {
			err := p.r.Lease(ctx, keys, terms, into)
			for i := range into {
				p.locked(func() { kept[into[i].Token] = &keys[i] })
			}
			return err
		}
		p.stands = func(ctx context.Context, keys []string, tokens []tarn.Token, into []bool) error {
			keys = slices.Clone(keys)
			for i, token := range tokens {
				p.locked(func() {
					if key := kept[token]; key != nil {
						keys[i] = *key
					}
				})
			}
			return p.r.Stands(ctx, keys, tokens, into)
		}
	}, `
		Leaser/leases keep no slices`},
	{"a Set voids the lease of another key", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			p.slot("a", func(s *slot) {
				if !s.guard.Held(p.r.now()) {
					s.guard.Change()
				}
			})
			return p.r.Set(ctx, key, e)
		}
	}, `
		Leaser/other keys void no lease
		Leaser/a change that its context forbids voids no lease`},
	{"reads void leases", func(p *patched) {
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			p.slot(key, func(s *slot) {
				if !s.guard.Held(p.r.now()) {
					s.guard.Change()
				}
			})
			return p.r.Get(ctx, key)
		}
	}, `
		Leaser/reading voids no lease
		Leaser/a lease to refresh
		Leaser/no old Fill under a new lease`},
	{"Delete voids only where something is stored", func(p *patched) {
		p.delete = func(ctx context.Context, key string) error {
			if _, found, _ := p.r.Get(ctx, key); !found {
				return ctx.Err()
			}
			return p.r.Delete(ctx, key)
		}
		p.deleteMany = func(ctx context.Context, keys []string) error {
			for _, key := range keys {
				if err := p.delete(ctx, key); err != nil {
					return err
				}
			}
			return nil
		}
		p.clear = func(ctx context.Context) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p.slots(func(_ string, s *slot) {
				if s.found {
					p.r.drop(s)
				}
			})
			return nil
		}
	}, `
		Leaser/Delete of what is not there voids a lease
		Leaser/DeleteMany of what is not there voids leases
		Leaser/Clear of what is not there voids leases`},
	{"Stands is always true", func(p *patched) {
		p.stands = func(_ context.Context, keys []string, _ []tarn.Token, into []bool) error {
			if len(keys) != len(into) {
				return errLengths
			}
			for i := range into {
				into[i] = true
			}
			return nil
		}
	}, `
		Leaser/Fill stores what was loaded
		Leaser/Delete voids a lease
		Leaser/a lease runs out
		Leaser/leases by index`},
	{"Stands is never true", func(p *patched) {
		p.stands = func(_ context.Context, keys []string, tokens []tarn.Token, into []bool) error {
			if len(keys) != len(into) || len(keys) != len(tokens) {
				return errLengths
			}
			clear(into)
			return nil
		}
	}, `
		Leaser/Fill stores what was loaded
		Leaser/one lease per key
		Leaser/leases by index`},
	{"Stands asks whether anybody has the lease", func(p *patched) {
		p.stands = func(_ context.Context, keys []string, tokens []tarn.Token, into []bool) error {
			for i, key := range keys {
				p.slot(key, func(s *slot) { into[i] = s.guard.Leased(p.r.now()) })
			}
			return nil
		}
	}, `
		Leaser/no old Fill under a new lease
		Leaser/no Fill under another's token`},
	{"a Set that expires at once tells nobody", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if e.Expires.Passed(p.r.now()) {
				p.slot(key, func(s *slot) { s.entry, s.found = entry{}, false })
				return nil
			}
			return p.r.Set(ctx, key, e)
		}
	}, `
		Leaser/a Set that expires at once voids a lease`},
}

// brokenSettle changes one settlement before the reference does it.
func brokenSettle(do func(p *patched, s *slot, st *settlement) (done bool)) func(p *patched) {
	return func(p *patched) {
		p.settle = func(ctx context.Context, settlements []settlement) error {
			for i := range settlements {
				done := false
				if err := ctx.Err(); err != nil {
					return err
				}
				p.slot(settlements[i].Key, func(s *slot) { done = do(p, s, &settlements[i]) })
				if done {
					continue
				}
				if err := p.r.Settle(ctx, settlements[i:i+1]); err != nil {
					return err
				}
			}
			return nil
		}
	}
}

// brokenHold changes a hold after the reference took it.
func brokenHold(change func(p *patched, s *slot, life time.Duration, token *tarn.Token)) func(p *patched) {
	return func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			if err := p.r.Hold(ctx, keys, life, tokens); err != nil {
				return err
			}
			for i, key := range keys {
				p.slot(key, func(s *slot) { change(p, s, life, &tokens[i]) })
			}
			return nil
		}
	}
}

var brokenHolds = []broken{
	{"a hold keeps the value readable", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			before := make(map[string]entry)
			for _, key := range keys {
				if e, found, _ := p.r.Get(ctx, key); found {
					before[key] = e
				}
			}
			err := p.r.Hold(ctx, keys, life, tokens)
			if err == nil {
				for key, e := range before {
					p.slot(key, func(s *slot) { s.entry, s.found = e, true })
				}
			}
			return err
		}
	}, `
		Holder/a hold takes the value away
		Holder/GetMany of a held key`},
	{"Set overwrites a hold", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			p.slot(key, func(s *slot) {
				s.guard = guard.Record{}
				p.r.put(s, e)
			})
			return nil
		}
	}, `
		Holder/a hold takes the value away
		Holder/a hold of what is not there
		Store/random operations`},
	{"a hold is a lock on what is there", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			there := make([]bool, len(keys))
			for i, key := range keys {
				_, there[i], _ = p.r.Get(ctx, key)
			}
			err := p.r.Hold(ctx, keys, life, tokens)
			for i, key := range keys {
				if err == nil && !there[i] {
					p.slot(key, func(s *slot) { s.guard = guard.Record{} })
				}
			}
			return err
		}
	}, `
		Holder/a hold of what is not there`},
	{"every hold under one token", brokenHold(func(p *patched, s *slot, life time.Duration, token *tarn.Token) {
		*token = tarn.Token{1}
	}), `
		Holder/tokens of holds
		Holder/reads and held writes`},
	{"a hold that never ends", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, _ time.Duration, tokens []tarn.Token) error {
			return p.r.Hold(ctx, keys, ttl.Forever, tokens)
		}
	}, `
		Holder/a hold ends with its life
		Holder/a hold after another's end is alone
		Holder/each hold has its own life`},
	{"a hold that ends a nanosecond early", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			return p.r.Hold(ctx, keys, life-1, tokens)
		}
	}, `
		Holder/a hold ends to the nanosecond`},
	{"the last hold's life for all", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			if len(keys) != len(tokens) {
				return errLengths
			}
			for _, key := range keys {
				p.slot(key, func(s *slot) { s.guard = guard.Record{} })
			}
			return p.r.Hold(ctx, keys, life, tokens)
		}
	}, `
		Holder/each hold has its own life
		Holder/two holds, settled in reverse
		Holder/a hold that ended meanwhile taints`},
	{"holds what it can when it fails", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			if len(keys) != len(tokens) {
				return errLengths
			}
			for i := range keys {
				if err := p.r.Hold(context.WithoutCancel(ctx), keys[i:i+1], life, tokens[i:i+1]); err != nil {
					return err
				}
			}
			return ctx.Err()
		}
	}, `
		Holder/a hold with a context that fails holds nothing
		Holder/too many holds`},
	{"Hold loses the last item", func(p *patched) {
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			if len(keys) > 1 && len(keys) == len(tokens) {
				return p.r.Hold(ctx, most(keys), life, most(tokens))
			}
			return p.r.Hold(ctx, keys, life, tokens)
		}
	}, `
		Holder/tokens of holds
		Leaser/Hold voids a lease
		Holder/holds keep no slices`},
	{"Settle loses the last item", func(p *patched) {
		p.settle = func(ctx context.Context, settlements []settlement) error {
			if len(settlements) > 1 {
				settlements = most(settlements)
			}
			return p.r.Settle(ctx, settlements)
		}
	}, `
		Holder/holds keep no slices
		Holder/settlements by index
		Holder/holds of many keys`},
	{"Settle keeps the slice", func(p *patched) {
		kept := make(map[string]*settlement)
		p.settle = func(ctx context.Context, settlements []settlement) error {
			err := p.r.Settle(ctx, settlements)
			for i := range settlements {
				p.locked(func() { kept[settlements[i].Key] = &settlements[i] })
			}
			return err
		}
		p.get = func(ctx context.Context, key string) (entry, bool, error) {
			e, found, err := p.r.Get(ctx, key)
			p.locked(func() {
				if st := kept[key]; found && st != nil {
					e = st.Entry
				}
			})
			return e, found, err
		}
	}, `
		Holder/holds keep no slices`},
	{"Settle stores nothing", brokenSettle(func(_ *patched, _ *slot, st *settlement) bool {
		st.Store = false
		return false
	}), `
		Holder/a hold after another's end is alone
		Holder/a hold of what is not there
		Holder/Settle stores`},
	{"Settle stores always", brokenSettle(func(_ *patched, _ *slot, st *settlement) bool {
		st.Store = true
		return false
	}), `
		Scanner/leases and holds are no entries
		Holder/Settle forgets
		Holder/settlements by index`},
	{"Settle stores values alone", brokenSettle(func(_ *patched, _ *slot, st *settlement) bool {
		st.Entry = plain(st.Entry.Value)
		return false
	}), `
		Holder/Settle stores
		Holder/Settle of an entry that has expired`},
	{"Settle leaves the hold", brokenSettle(func(p *patched, s *slot, st *settlement) bool {
		copied := s.guard
		if st.Stored = copied.Settle(st.Token, p.r.now()) == guard.Store && st.Store; st.Stored {
			s.entry, s.found = st.Entry, true
		}
		s.guard.Hold(st.Token, p.r.now(), p.r.now().Add(time.Hour))
		return true
	}), `
		Holder/Settle stores
		Holder/Settle forgets`},
	{"Settle leaves what stands when its hold is gone", brokenSettle(func(p *patched, s *slot, st *settlement) bool {
		if st.Stored = s.guard.Held(p.r.now()); st.Stored {
			st.Stored = false
			return false
		}
		return true
	}), `
		Holder/Settle of a hold that has ended
		Holder/Settle twice
		Holder/Settle under a token that never was
		Store/random operations`},
	{"Settle stores when its hold is gone", brokenSettle(func(p *patched, s *slot, st *settlement) bool {
		if s.guard.Held(p.r.now()) {
			return false
		}
		s.guard.Change()
		s.entry, s.found = st.Entry, st.Store
		st.Stored = st.Store
		return true
	}), `
		Holder/Settle of a hold that has ended
		Holder/Settle twice
		Holder/Settle under a token that never was`},
	{"Settle leaves a lease when its hold is gone", brokenSettle(func(p *patched, s *slot, st *settlement) bool {
		if s.guard.Held(p.r.now()) || !s.guard.Leased(p.r.now()) {
			return false
		}
		s.entry, s.found, st.Stored = entry{}, false, false
		return true
	}), `
		Holder/Settle of a hold that has ended voids a lease`},
	{"Settle removes others' holds", brokenSettle(func(p *patched, s *slot, st *settlement) bool {
		verdict := s.guard.Settle(st.Token, p.r.now())
		s.guard = guard.Record{}
		s.entry, s.found = entry{}, false
		if st.Stored = verdict == guard.Store && st.Store; st.Stored {
			s.entry, s.found = st.Entry, true
		}
		return true
	}), `
		Holder/two holds, settled in order
		Holder/two holds, settled in reverse
		Holder/two holds, settled by forgetting
		Holder/a chain of holds
		Holder/Settle of a hold that has ended, while another holds
		Store/random operations`},
	{"Settle in two steps", func(p *patched) {
		p.settle = func(ctx context.Context, settlements []settlement) error {
			for i := range settlements {
				st := &settlements[i]
				var verdict guard.Verdict
				p.slot(st.Key, func(s *slot) { verdict = s.guard.Settle(st.Token, p.r.now()) })
				pause()
				p.slot(st.Key, func(s *slot) {
					s.entry, s.found = st.Entry, verdict == guard.Store && st.Store
					st.Stored = s.found
				})
			}
			return nil
		}
	}, `
		Holder/holds and invalidations`},
	{"no lease is refused while a key is held", brokenLease(func(p *patched, key string, _ tarn.LeaseTerms, l *lease) {
		if l.State == tarn.Held {
			l.State, l.Token = tarn.Granted, p.r.tokens.Next()
		}
	}), `
		Holder/Lease of a held key`},
	{"a hold leaves the lease", func(p *patched) {
		held := make(map[tarn.Token]bool)
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			leases := make([]lease, len(keys))
			if ctx.Err() == nil && len(keys) == len(tokens) {
				_ = p.r.Lease(ctx, keys, tarn.LeaseTerms{Life: life}, leases)
			}
			err := p.r.Hold(ctx, keys, life, tokens)
			for _, l := range leases {
				if err == nil && l.State == tarn.Leased {
					p.slot("", func(*slot) { held[l.Token] = true })
				}
			}
			return err
		}
		brokenFill(func(p *patched, s *slot, f *fill) bool {
			return (s.guard.EndLease(f.Token, p.r.now()) || held[f.Token]) && f.Store
		})(p)
	}, `
		Holder/a Fill that was leased before a hold`},
	{"Touch of a held key is a touch", func(p *patched) {
		p.touch = func(ctx context.Context, key string, expires ttl.Time) (touched bool, err error) {
			touched, err = p.r.Touch(ctx, key, expires)
			if err == nil {
				p.slot(key, func(s *slot) { touched = touched || s.guard.Held(p.r.now()) })
			}
			return touched, err
		}
	}, `
		Holder/Touch of a held key`},
}

// storesAnyway is a store whose settles store under any hold of theirs that forgives says is good enough.
func storesAnyway(p *patched, forgives func(s *slot, st *settlement) bool) {
	mine := make(map[tarn.Token]bool)
	p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
		err := p.r.Hold(ctx, keys, life, tokens)
		if err == nil {
			for _, token := range tokens {
				p.slot("", func(*slot) { mine[token] = true })
			}
		}
		return err
	}
	p.settle = func(ctx context.Context, settlements []settlement) error {
		for i := range settlements {
			st := &settlements[i]
			forgiven := false
			p.slot(st.Key, func(s *slot) { forgiven = mine[st.Token] && s.guard.Held(p.r.now()) && forgives(s, st) })
			if err := p.r.Settle(ctx, settlements[i:i+1]); err != nil {
				return err
			}
			p.slot(st.Key, func(s *slot) {
				delete(mine, st.Token)
				if forgiven && st.Store && !s.guard.Held(p.r.now()) {
					s.entry, s.found, st.Stored = st.Entry, true, true
				}
			})
		}
		return nil
	}
}

var brokenTaints = []broken{
	{"no taint", func(p *patched) {
		storesAnyway(p, func(*slot, *settlement) bool { return true })
	}, `
		Holder/two holds, settled in order
		Holder/two holds, settled in reverse
		Holder/a chain of holds
		Holder/a hold that ended meanwhile taints
		Holder/Delete during a hold
		Holder/holds and invalidations
		Holder/reads and held writes
		Store/random operations`},
	{"Delete drops a hold", func(p *patched) {
		p.delete = func(ctx context.Context, key string) error {
			err := p.r.Delete(ctx, key)
			if err == nil {
				p.slot(key, func(s *slot) { s.guard = guard.Record{} })
			}
			return err
		}
		p.deleteMany = func(ctx context.Context, keys []string) error {
			for _, key := range keys {
				if err := p.delete(ctx, key); err != nil {
					return err
				}
			}
			return nil
		}
	}, `
		Holder/Delete during a hold
		Holder/DeleteMany during a hold
		Store/random operations`},
	{"taint for ever", func(p *patched) {
		tainted := make(map[string]bool)
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			for _, key := range keys {
				p.slot(key, func(s *slot) { tainted[key] = tainted[key] || s.guard.Held(p.r.now()) })
			}
			return p.r.Hold(ctx, keys, life, tokens)
		}
		brokenSettle(func(_ *patched, _ *slot, st *settlement) bool {
			st.Store = st.Store && !tainted[st.Key]
			return false
		})(p)
	}, `
		Holder/taint ends with the holds`},
	{"a hold that has ended is still in the way", func(p *patched) {
		holders := make(map[string]int)
		p.hold = func(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
			err := p.r.Hold(ctx, keys, life, tokens)
			if err == nil {
				for _, key := range keys {
					p.slot(key, func(*slot) { holders[key]++ })
				}
			}
			return err
		}
		brokenSettle(func(_ *patched, _ *slot, st *settlement) bool {
			st.Store = st.Store && holders[st.Key] <= 1
			holders[st.Key]--
			return false
		})(p)
	}, `
		Holder/a hold after another's end is alone
		Holder/taint ends with the holds`},
	{"a refused Set taints", func(p *patched) {
		p.set = func(ctx context.Context, key string, e entry) error {
			err := p.r.Set(ctx, key, e)
			if errors.Is(err, tarn.ErrHeld) {
				p.slot(key, func(s *slot) { s.guard.Change() })
			}
			return err
		}
	}, `
		Holder/what is refused taints nothing`},
	{"a Delete taints the hold of another key", func(p *patched) {
		p.delete = func(ctx context.Context, key string) error {
			err := p.r.Delete(ctx, key)
			if err == nil {
				p.slot("a", func(s *slot) { s.guard.Change() })
			}
			return err
		}
	}, `
		Leaser/other keys void no lease
		Holder/other keys taint nothing`},
	{"a Compute of a held key taints", func(p *patched) {
		p.compute = func(ctx context.Context, key string, f computing) (entry, bool, error) {
			e, found, err := p.r.Compute(ctx, key, f)
			if errors.Is(err, tarn.ErrHeld) {
				p.slot(key, func(s *slot) { s.guard.Change() })
			}
			return e, found, err
		}
	}, `
		Computer/a hold during a Compute
		Holder/Compute of a held key`},
}

var brokenCloses = []broken{
	{"works after Close", func(p *patched) { p.r.worksClosed = true }, `
		Closer/Get after Close
		Closer/Get of what is not there after Close
		Closer/GetMany after Close
		Closer/Compute that keeps after Close
		Closer/Count after Close
		Closer/Scan after Close
		Closer/Lease after Close
		Closer/Lease of a hit after Close
		Closer/Fill after Close
		Closer/Stands after Close
		Closer/Settle after Close
		Closer/Set after Close
		Closer/Delete after Close
		Closer/SetMany after Close
		Closer/DeleteMany after Close
		Closer/Add after Close
		Closer/Touch after Close
		Closer/Compute that stores after Close
		Closer/Compute that deletes after Close
		Closer/Clear after Close
		Closer/Hold after Close
		Hitter/Hit after Close
		Tagger/tags of a store that is closed`},
	{"Close twice is an error", func(p *patched) {
		closed := false
		p.close = func() error {
			if closed {
				return errBroken
			}
			closed = true
			return p.r.Close()
		}
	}, `
		Closer/Close twice`},
}
