package crash

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/tarncache/tarn/strategies/journal"
)

// Breaks are ways in which a journal, or what uses it, could lose writes, by name; the empty one none. Nothing that they
// break knows of it.
var Breaks = map[string]func(j journal.Journal) journal.Journal{
	"": func(j journal.Journal) journal.Journal { return j },

	// Writes are acknowledged before they are durable.
	"acknowledged before the append": func(j journal.Journal) journal.Journal { return &early{Journal: j} },

	// Nothing is ever durable.
	"nothing is appended": func(j journal.Journal) journal.Journal { return nowhere{j} },

	// A record goes before the source has what it stands for.
	"removed before the source has it": func(j journal.Journal) journal.Journal { return hasty{j} },

	// Of two removals, the later one is durable first.
	"removals out of order": func(j journal.Journal) journal.Journal { return &unordered{Journal: j} },

	// Nothing is ever removed: what the source has had long since is written over what is newer.
	"nothing is removed": func(j journal.Journal) journal.Journal { return keepsAll{j} },

	// Numbers begin anew with each start.
	"numbers begin at 1": func(j journal.Journal) journal.Journal { return forgetful{j} },

	// What the journal has is not looked at.
	"no replay": func(j journal.Journal) journal.Journal { return unread{j} },

	// The replay tells the records in a wrong order.
	"replayed backwards": func(j journal.Journal) journal.Journal { return backwards{j} },

	// A batch of deltas is sent before the journal has it.
	"batches are not kept": func(j journal.Journal) journal.Journal { return noBatches{j} },
}

type early struct {
	journal.Journal
	mu sync.Mutex // held while something is appended; in the order of the calls, more or less
}

func (e *early) Append(_ context.Context, change journal.Change) error {
	change = clone(change)
	go func() {
		time.Sleep(30 * time.Millisecond)
		e.mu.Lock()
		defer e.mu.Unlock()
		_ = e.Journal.Append(context.Background(), change)
	}()
	return nil
}

type nowhere struct{ journal.Journal }

func (nowhere) Append(context.Context, journal.Change) error { return nil }

type hasty struct{ journal.Journal }

func (h hasty) Append(ctx context.Context, change journal.Change) error {
	if err := h.Journal.Append(ctx, change); err != nil {
		return err
	}
	forget := journal.Change{Seq: change.Seq}
	for _, r := range change.Put {
		forget.Remove = append(forget.Remove, r.Seq)
	}
	return h.Journal.Append(ctx, forget)
}

type unordered struct {
	journal.Journal
	mu   sync.Mutex // protects kept
	kept []uint64
}

func (u *unordered) Append(ctx context.Context, change journal.Change) error {
	u.mu.Lock()
	var now []uint64
	for _, seq := range change.Remove {
		if seq%4 == 0 {
			u.kept = append(u.kept, seq)
		} else {
			now = append(now, seq)
		}
	}
	if n := len(u.kept) - 200; n > 0 {
		now, u.kept = append(now, u.kept[:n]...), u.kept[n:]
	}
	u.mu.Unlock()
	change.Remove = now
	return u.Journal.Append(ctx, change)
}

type keepsAll struct{ journal.Journal }

func (k keepsAll) Append(ctx context.Context, change journal.Change) error {
	change.Remove = nil
	return k.Journal.Append(ctx, change)
}

type forgetful struct{ journal.Journal }

func (f forgetful) Replay(ctx context.Context, each func(journal.Record) error) (journal.Position, error) {
	at, err := f.Journal.Replay(ctx, each)
	at.Seq = 0
	return at, err
}

type unread struct{ journal.Journal }

func (u unread) Replay(ctx context.Context, _ func(journal.Record) error) (journal.Position, error) {
	return u.Journal.Replay(ctx, func(journal.Record) error { return nil })
}

type backwards struct{ journal.Journal }

func (b backwards) Replay(ctx context.Context, each func(journal.Record) error) (journal.Position, error) {
	var all []journal.Record
	at, err := b.Journal.Replay(ctx, func(r journal.Record) error {
		all = append(all, cloneRecord(r))
		return nil
	})
	if err != nil {
		return at, err
	}
	slices.Reverse(all)
	for _, r := range all {
		if err := each(r); err != nil {
			return at, err
		}
	}
	return at, nil
}

type noBatches struct{ journal.Journal }

func (n noBatches) Append(ctx context.Context, change journal.Change) error {
	if slices.ContainsFunc(change.Put, func(r journal.Record) bool { return r.Kind == journal.Batch }) {
		change = journal.Change{Seq: change.Seq} // the deltas stay, and are sent in another batch
	}
	return n.Journal.Append(ctx, change)
}

func clone(c journal.Change) journal.Change {
	c.Remove, c.Put = slices.Clone(c.Remove), slices.Clone(c.Put)
	for i := range c.Put {
		c.Put[i] = cloneRecord(c.Put[i])
	}
	return c
}

func cloneRecord(r journal.Record) journal.Record {
	r.Key, r.Value, r.Note = slices.Clone(r.Key), slices.Clone(r.Value), slices.Clone(r.Note)
	return r
}
