package storetest

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/guard"
	"github.com/tarncache/tarn/ttl"
)

var errLengths = errors.New("reference: slices of two lengths")

// reference is the smallest store that offers everything. The broken ones are made from it.
type reference struct {
	clock  ttl.Clock
	tokens guard.Tokens

	// What breaks it; zero in the reference itself.
	slow          time.Duration // by how much it is behind its clock
	anyContext    bool          // it does not ask whether a context is over
	worksClosed   bool          // it does not ask whether it is closed
	changesUntold bool          // its leases and holds are not told of changes
	sweepsNothing bool          // it returns what has expired
	keepsTagged   bool          // it returns what was invalidated

	mu     sync.Mutex // protects the following
	slots  map[string]*slot
	tags   map[string]tarn.Stamp // when each was invalidated last
	moment tarn.Stamp            // how many invalidations there were, and one
	closed bool
}

type slot struct {
	entry   entry
	found   bool
	version int
	guard   guard.Record
}

func newReference() *reference {
	return &reference{clock: ttl.NewClock(), slots: make(map[string]*slot), tags: make(map[string]tarn.Stamp), moment: 1}
}

func (r *reference) now() ttl.Time { return r.clock.Now().Add(-r.slow) }

// begin locks the store for an operation that ctx must allow.
func (r *reference) begin(ctx context.Context) error {
	r.mu.Lock()
	if r.closed && !r.worksClosed {
		r.mu.Unlock()
		return tarn.ErrClosed
	}
	if err := ctx.Err(); err != nil && !r.anyContext {
		r.mu.Unlock()
		return err
	}
	return nil
}

// at returns the slot of key, after what has expired is gone. The lock is held.
func (r *reference) at(key string) *slot {
	s := r.slots[key]
	if s == nil {
		s = new(slot)
		r.slots[key] = s
	}
	now := r.now()
	if s.found && s.entry.Expires.Passed(now) && !r.sweepsNothing {
		s.entry, s.found = entry{}, false
	}
	if s.found && r.invalidated(s.entry.Tags) && !r.keepsTagged {
		s.entry, s.found = entry{}, false
	}
	s.entry.Stale = s.found && s.entry.Fresh.Passed(now)
	return s
}

// invalidated reports whether one of the tags was invalidated after their stamp. The lock is held.
func (r *reference) invalidated(tags *tarn.Tags) bool {
	for _, name := range tags.Names() {
		if r.tags[name] > tags.Stamp() {
			return true
		}
	}
	return false
}

// storable reports whether what was loaded may be stored, by its tags. The lock is held.
func (r *reference) storable(tags *tarn.Tags) bool {
	return tags == nil || tags.Stamp() != 0 && !r.invalidated(tags)
}

func (r *reference) Stamp(context.Context) (tarn.Stamp, error) {
	if err := r.begin(context.Background()); err != nil {
		return 0, err
	}
	defer r.mu.Unlock()
	return r.moment, nil
}

func (r *reference) InvalidateTags(ctx context.Context, tags ...string) error {
	if err := tarn.CheckTags(tags...); err != nil {
		return err
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	r.moment++
	for _, name := range tags {
		r.tags[name] = r.moment
	}
	return nil
}

func (r *reference) put(s *slot, e entry) {
	if e.Tags != nil && e.Tags.Stamp() == 0 {
		e.Tags = e.Tags.Restamped(r.moment)
	}
	s.entry, s.found = e, true
	s.version++
	if !r.changesUntold {
		s.guard.Change()
	}
}

func (r *reference) drop(s *slot) {
	s.entry, s.found = entry{}, false
	s.version++
	if !r.changesUntold {
		s.guard.Change()
	}
}

func (r *reference) Get(_ context.Context, key string) (entry, bool, error) {
	if err := r.begin(context.Background()); err != nil {
		return entry{}, false, err
	}
	defer r.mu.Unlock()
	s := r.at(key)
	return s.entry, s.found, nil
}

func (r *reference) Set(ctx context.Context, key string, e entry) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	return r.setLocked(key, e)
}

func (r *reference) setLocked(key string, e entry) error {
	s := r.at(key)
	if s.guard.Held(r.now()) {
		return tarn.ErrHeld
	}
	r.put(s, e)
	return nil
}

func (r *reference) Delete(ctx context.Context, key string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	r.drop(r.at(key))
	return nil
}

func (r *reference) GetMany(_ context.Context, keys []string, into []tarn.Lookup[string]) error {
	if len(keys) != len(into) {
		return errLengths
	}
	if err := r.begin(context.Background()); err != nil {
		return err
	}
	defer r.mu.Unlock()
	for i, key := range keys {
		s := r.at(key)
		into[i] = tarn.Lookup[string]{Entry: s.entry, Found: s.found}
	}
	return nil
}

func (r *reference) SetMany(ctx context.Context, keys []string, entries []entry) error {
	if len(keys) != len(entries) {
		return errLengths
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	errs, failed := make(tarn.IndexError, len(keys)), false
	for i, key := range keys {
		errs[i] = r.setLocked(key, entries[i])
		failed = failed || errs[i] != nil
	}
	if failed {
		return errs
	}
	return nil
}

func (r *reference) DeleteMany(ctx context.Context, keys []string) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	for _, key := range keys {
		r.drop(r.at(key))
	}
	return nil
}

func (r *reference) Add(ctx context.Context, key string, e entry) (bool, error) {
	if err := r.begin(ctx); err != nil {
		return false, err
	}
	defer r.mu.Unlock()
	s := r.at(key)
	if s.found || s.guard.Held(r.now()) {
		return false, nil
	}
	r.put(s, e)
	return true, nil
}

func (r *reference) Touch(ctx context.Context, key string, expires ttl.Time) (bool, error) {
	if err := r.begin(ctx); err != nil {
		return false, err
	}
	defer r.mu.Unlock()
	s := r.at(key)
	if !s.found {
		return false, nil
	}
	e := s.entry
	e.Expires = expires
	r.put(s, e)
	return true, nil
}

func (r *reference) Compute(
	ctx context.Context, key string, f func(entry, bool) (entry, tarn.ComputeOp),
) (entry, bool, error) {
	for {
		if err := r.begin(ctx); err != nil {
			return entry{}, false, err
		}
		s := r.at(key)
		old, found, version, held := s.entry, s.found, s.version, s.guard.Held(r.now())
		r.mu.Unlock()
		if held {
			return entry{}, false, tarn.ErrHeld
		}
		e, op := f(old, found)
		if err := r.begin(ctx); err != nil {
			return entry{}, false, err
		}
		if s = r.at(key); s.version == version && s.found == found {
			switch op {
			case tarn.ComputeStore:
				r.put(s, e)
			case tarn.ComputeDelete:
				r.drop(s)
			}
			s = r.at(key)
			defer r.mu.Unlock()
			return s.entry, s.found, nil
		}
		r.mu.Unlock()
	}
}

func (r *reference) Clear(ctx context.Context) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	for _, s := range r.slots {
		r.drop(s)
	}
	return nil
}

func (r *reference) entries() map[string]entry {
	found := make(map[string]entry)
	for key := range r.slots {
		if s := r.at(key); s.found {
			found[key] = s.entry
		}
	}
	return found
}

func (r *reference) Count(ctx context.Context) (int, error) {
	if err := r.begin(ctx); err != nil {
		return 0, err
	}
	defer r.mu.Unlock()
	return len(r.entries()), nil
}

func (r *reference) Scan(ctx context.Context) (iter.Seq2[string, entry], func() error) {
	err := r.begin(ctx)
	if err != nil {
		return func(func(string, entry) bool) {}, func() error { return err }
	}
	defer r.mu.Unlock()
	found := r.entries()
	return func(yield func(string, entry) bool) {
		for key, e := range found {
			if !yield(key, e) {
				return
			}
		}
	}, func() error { return nil }
}

func (r *reference) Hit(key string) (string, bool) {
	if r.begin(context.Background()) != nil {
		return "", false
	}
	defer r.mu.Unlock()
	s := r.at(key)
	if !s.found || s.entry.Negative || s.entry.Stale {
		return "", false
	}
	return s.entry.Value, true
}

func (r *reference) Clock() ttl.Clock { return r.clock }

func (r *reference) Lease(
	ctx context.Context, keys []string, terms tarn.LeaseTerms, into []tarn.Lease[string],
) error {
	if len(keys) != len(into) {
		return errLengths
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	now := r.now()
	for i, key := range keys {
		s := r.at(key)
		into[i] = tarn.Lease[string]{State: tarn.Hit, Entry: s.entry, Found: s.found}
		if !s.found || terms.Refresh {
			into[i].State, into[i].Token = s.guard.Lease(r.tokens.Next(), now, now.Add(terms.Life))
			if terms.Stamp {
				into[i].Stamp = r.moment
			}
		}
	}
	return nil
}

func (r *reference) Fill(ctx context.Context, fills []tarn.Fill[string, string]) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	for i := range fills {
		f := &fills[i]
		s := r.at(f.Key)
		if !s.guard.EndLease(f.Token, r.now()) {
			f.Stored = false
			continue
		}
		if f.Stored = f.Store && r.storable(f.Entry.Tags) && !r.invalidated(f.Over); f.Stored {
			r.put(s, f.Entry)
		} else if f.Store {
			r.drop(s)
		}
	}
	return nil
}

func (r *reference) Stands(ctx context.Context, keys []string, tokens []tarn.Token, into []bool) error {
	if len(keys) != len(into) || len(keys) != len(tokens) {
		return errLengths
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	for i, key := range keys {
		into[i] = r.at(key).guard.Stands(tokens[i], r.now())
	}
	return nil
}

func (r *reference) Hold(ctx context.Context, keys []string, life time.Duration, tokens []tarn.Token) error {
	if len(keys) != len(tokens) {
		return errLengths
	}
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	now := r.now()
	before := make([]guard.Record, len(keys))
	for i, key := range keys {
		s := r.at(key)
		s.guard.Held(now)
		before[i] = s.guard
		tokens[i] = r.tokens.Next()
		if !s.guard.Hold(tokens[i], now, now.Add(life)) {
			for j := range i {
				r.at(keys[j]).guard = before[j]
			}
			return tarn.ErrTooManyHolds
		}
	}
	for _, key := range keys {
		s := r.at(key)
		s.entry, s.found = entry{}, false
		s.version++
	}
	return nil
}

func (r *reference) Settle(ctx context.Context, settlements []tarn.Settlement[string, string]) error {
	if err := r.begin(ctx); err != nil {
		return err
	}
	defer r.mu.Unlock()
	for i := range settlements {
		st := &settlements[i]
		s := r.at(st.Key)
		verdict := s.guard.Settle(st.Token, r.now())
		st.Stored = verdict == guard.Store && st.Store && r.storable(st.Entry.Tags)
		s.entry, s.found = entry{}, false
		s.version++
		if st.Stored {
			s.entry, s.found = st.Entry, true
		}
	}
	return nil
}

func (r *reference) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return nil
}
