package strategies

import (
	"context"
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// record makes durable what a batch is, in the place of the records of its deltas, and gives it its name. Where that
// failed and nobody knows how, it is done again under the same name.
//
// What the append takes along are the removals of batches that were confirmed before: these are settled now.
func (a *Accumulator[K, V, D]) record(b *deltaBatch[K, V, D]) error {
	if b.recorded {
		return nil
	}
	leaving := a.log.leaving()
	if err := a.recordNow(b); err != nil {
		return fmt.Errorf("strategies: accumulate: record a batch: %w", bare(err))
	}
	b.recorded, b.records, b.each = true, nil, nil
	for _, seq := range a.log.left(leaving) {
		a.unsettled.end(seq)
	}
	return nil
}

func (a *Accumulator[K, V, D]) recordNow(b *deltaBatch[K, V, D]) error {
	if b.buffered {
		return a.log.sync(a.writing)
	}
	rec, err := a.log.batch(b.Deltas)
	if err != nil {
		return err
	}
	x := &commit{}
	if b.Seq == 0 {
		x.put, x.replace = []journal.Record{rec}, b.records
	} else {
		rec.Seq = b.Seq
		x.renew, x.remove = []journal.Record{rec}, b.records
	}
	var joined bool
	a.naming(func() { joined, err = a.log.commit(a.writing, x) }, x.put, b)
	b.buffered = joined && a.log.every > 0
	if named := x.put != nil && b.Seq != 0; named && !b.buffered && errors.Is(err, tarn.ErrTooHeavy) {
		a.unsettled.end(b.Seq) // nothing has that name, and nothing will
		b.Seq = 0
	}
	return err
}

// naming calls commit, which numbers the records of new batches. Until they have their numbers, no number from here on is
// settled.
func (a *Accumulator[K, V, D]) naming(commit func(), put []journal.Record, batches ...*deltaBatch[K, V, D]) {
	from := a.log.last() + 1
	a.unsettled.add(from)
	commit()
	for i := range put {
		if put[i].Seq != 0 {
			batches[i].Seq = put[i].Seq
			a.unsettled.add(put[i].Seq)
		}
	}
	a.unsettled.end(from)
}

// settle says that a batch is not sent again. With a journal that is so once its record is gone.
func (a *Accumulator[K, V, D]) settle(b *deltaBatch[K, V, D]) {
	if a.log != nil {
		a.log.confirmed(b.Seq)
		return
	}
	a.unsettled.end(b.Seq)
}

// nameHalves gives names to the two batches that take the place of one.
func (a *Accumulator[K, V, D]) nameHalves(b, first, second *deltaBatch[K, V, D]) error {
	if a.log != nil {
		return a.recordHalves(b, first, second)
	}
	first.Seq, second.Seq = a.unsettled.begin(), a.unsettled.begin()
	a.unsettled.end(b.Seq)
	return nil
}

// recordHalves makes durable that two batches take the place of one. If it is not known whether they do, the one is
// recorded anew, in their place, before it is sent again.
func (a *Accumulator[K, V, D]) recordHalves(b, first, second *deltaBatch[K, V, D]) error {
	x := &commit{replace: []uint64{b.Seq}}
	for _, half := range [...]*deltaBatch[K, V, D]{first, second} {
		rec, err := a.log.batch(half.Deltas)
		if err != nil {
			return err
		}
		x.put = append(x.put, rec)
	}
	var joined bool
	var err error
	a.naming(func() { joined, err = a.log.commit(a.writing, x) }, x.put, first, second)
	if joined && a.log.every > 0 {
		first.buffered, second.buffered, err = true, true, nil
	}
	if err != nil {
		if joined {
			b.recorded, b.records = false, []uint64{first.Seq, second.Seq}
			a.unsettled.end(first.Seq)
			a.unsettled.end(second.Seq)
		}
		return fmt.Errorf("strategies: accumulate: record a batch: %w", bare(err))
	}
	first.recorded, second.recorded = !first.buffered, !second.buffered
	a.log.mu.Lock()
	a.log.removing = append(a.log.removing, b.Seq)
	a.log.mu.Unlock()
	return nil
}

// openLog opens the journal, and takes in what is there.
func (a *Accumulator[K, V, D]) openLog() error {
	log, err := newDeltaLog(&a.config, a.journalFailed)
	if err != nil {
		return err
	}
	a.log, a.epoch = log, a.config.Journal.Epoch()
	var batches []*deltaBatch[K, V, D]
	at, err := a.config.Journal.Replay(context.Background(), func(rec journal.Record) error {
		a.replayed.Add(1)
		switch rec.Kind {
		case journal.Delta:
			return a.replayDelta(rec)
		case journal.Batch:
			b, err := a.replayBatch(rec)
			batches = append(batches, b)
			return err
		default:
			return fmt.Errorf("the journal is another strategy's: it has a record of kind %d", rec.Kind)
		}
	})
	if err != nil {
		return fmt.Errorf("replay: %w", bare(err))
	}
	ctx, cancel := context.WithTimeout(a.writing, defaultStartTimeout)
	defer cancel()
	if err := log.begin(ctx, at.Seq); err != nil {
		return fmt.Errorf("begin: %w", bare(err))
	}
	for _, b := range batches {
		a.resume(b)
	}
	if n := a.replayed.Load(); n > 0 {
		a.tellContained(tarn.Event{Kind: tarn.EventReplayed, N: int(n)})
	}
	return nil
}

// replayDelta takes in a delta that is in no batch. The bounds held when it was added, so it is not asked about them.
func (a *Accumulator[K, V, D]) replayDelta(rec journal.Record) error {
	d, err := a.log.decode(rec.Key, rec.Value)
	if err != nil {
		return err
	}
	t := &a.table
	s := t.shard(d.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.at(d.Key)
	next, size, err := t.merged(k, d.Key, d.Delta)
	if err != nil {
		s.tidy(k)
		return fmt.Errorf("%w: merge: %w", journal.ErrUnreadable, err)
	}
	keys := int64(1)
	if k.placed() {
		keys = 0
	}
	t.bounds.give(-keys, k.nextSize-size)
	t.put(s, k, next, size)
	k.records = append(k.records, rec.Seq)
	return nil
}

// replayBatch takes in a batch. A key that an earlier one has as well was confirmed there: otherwise it would not
// have come into a later one.
func (a *Accumulator[K, V, D]) replayBatch(rec journal.Record) (*deltaBatch[K, V, D], error) {
	deltas, err := a.log.unbatch(rec.Value)
	if err != nil {
		return nil, err
	}
	b := &deltaBatch[K, V, D]{recorded: true}
	b.Epoch, b.Seq = a.epoch, rec.Seq
	a.unsettled.add(rec.Seq)
	t := &a.table
	for _, d := range deltas {
		s := t.shard(d.Key)
		s.mu.Lock()
		k := s.at(d.Key)
		size := t.sizeOf(d.Key, d.Delta)
		keys := int64(0)
		if !k.placed() {
			keys = 1
			t.count.Add(1)
		}
		t.bounds.give(-keys, k.sentSize-size)
		k.sent, k.sentDelta, k.sentSize, k.sentSince = b, d.Delta, size, t.now()
		b.keys, b.Deltas = append(b.keys, k), append(b.Deltas, d)
		s.mu.Unlock()
	}
	return b, nil
}

// resume has a batch of the journal be sent again, without the keys that are in a later one.
func (a *Accumulator[K, V, D]) resume(b *deltaBatch[K, V, D]) {
	left := *b
	left.keys, left.Deltas = nil, nil
	for i, k := range b.keys {
		if k.sent == b {
			left.keys, left.Deltas = append(left.keys, k), append(left.Deltas, b.Deltas[i])
		}
	}
	*b = left
	if len(b.keys) == 0 {
		a.settle(b)
		return
	}
	a.table.restUntil(b, nil, 0)
}

// journalFailed tells of an append that failed.
func (a *Accumulator[K, V, D]) journalFailed(err error, records int) {
	a.tellContained(tarn.Event{Kind: tarn.EventJournalFailed, N: max(records, 1), Err: err})
}

// closeLog appends what the journal has yet to learn, within a time of its own: without, a Close that has none left
// would lose what SyncEvery has not brought there yet.
func (a *Accumulator[K, V, D]) closeLog(ctx context.Context) error {
	if a.log == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.settleTimeout)
	defer cancel()
	return a.log.close(ctx)
}
