package journaltest

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

// faults are what can be wrong with a reference.
type faults struct {
	unordered, keepsRemoved, keepsOld, putsFirst, aliases, ignoresContext, racy bool
	wrongEpoch, changesEpoch, forgetsSeq, seqFalls, ownSeq, lateEpoch           bool
	locksReplay, goesOn, ignoresReplayContext, skipsUnreadable, dropsUnreadable bool
	replaysTwice, appendsEarly, unlocked, usableClosed, miscounts, dropsKinds   bool
	truncates, closesOnce                                                       bool
}

// reference is a place that keeps its journal in memory, as simply as can be.
type reference struct {
	faults

	mu       sync.Mutex // protects all below
	records  map[uint64][]byte
	seq      uint64
	epoch    uint64
	open     bool
	replayed bool
}

func newReference(f faults) *reference {
	r := &reference{faults: f, records: map[uint64][]byte{}, epoch: rand.Uint64N(1<<63-1) + 1}
	if f.wrongEpoch {
		r.epoch = 1
	}
	return r
}

func (p *reference) Open() (journal.Journal, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open && !p.unlocked {
		return nil, journal.ErrLocked
	}
	if p.open, p.replayed = true, false; p.changesEpoch {
		p.epoch++
	}
	return &referenceJournal{reference: p, aliased: map[uint64]journal.Record{}}, nil
}

func (p *reference) Damage(seq uint64) error {
	p.records[seq][5] ^= 1
	return nil
}

type referenceJournal struct {
	*reference
	closed   bool
	aliased  map[uint64]journal.Record
	replays  int
	replayed int
}

func (j *referenceJournal) Epoch() uint64 {
	if j.lateEpoch && j.replays == 0 {
		return 0
	}
	return j.epoch
}

func (j *referenceJournal) Replay(ctx context.Context, each func(journal.Record) error) (journal.Position, error) {
	j.mu.Lock()
	p := journal.Position{Epoch: j.epoch, Seq: j.seq}
	seqs := slices.Sorted(maps.Keys(j.records))
	closed, again := j.closed && !j.usableClosed, j.replays > 0
	j.replays++
	j.mu.Unlock()
	if closed {
		return p, tarn.ErrClosed
	}
	if again && !j.replaysTwice {
		return p, errors.New("replayed")
	}
	if j.unordered && len(seqs) > 1 {
		seqs[0], seqs[1] = seqs[1], seqs[0]
	}
	if j.locksReplay {
		j.mu.Lock()
		defer j.mu.Unlock()
	}
	var first error
	for _, seq := range seqs {
		if err := ctx.Err(); err != nil && !j.ignoresReplayContext {
			return p, err
		}
		if err := j.handOut(seq, each); err != nil {
			if !j.goesOn {
				return p, err
			}
			first = errors.Join(first, err)
		}
	}
	return p, first
}

func (j *referenceJournal) handOut(seq uint64, each func(journal.Record) error) error {
	if !j.locksReplay {
		j.mu.Lock()
	}
	data := j.records[seq]
	if !j.locksReplay {
		j.mu.Unlock()
	}
	rec, err := journal.Parse(data, 0, seq)
	if r, ok := j.aliased[seq]; ok {
		rec = r
	}
	if err == nil {
		err = each(rec)
	}
	if errors.Is(err, journal.ErrUnreadable) {
		switch {
		case j.skipsUnreadable:
			return nil
		case j.dropsUnreadable:
			delete(j.records, seq)
		}
		return &journal.DamageError{Seq: seq, Err: err}
	}
	j.replayed++
	return err
}

func (j *referenceJournal) Append(ctx context.Context, c journal.Change) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case ctx.Err() != nil && !j.ignoresContext:
		return ctx.Err()
	case j.closed && !j.usableClosed:
		return tarn.ErrClosed
	case j.replays == 0 && !j.appendsEarly:
		return errors.New("not replayed")
	}
	if j.racy { // it changes a copy, which it then puts in the place of what is there
		j.records = maps.Clone(j.records)
		mine := j.records
		defer func() { j.records = mine }()
		defer j.pause()
	}
	if j.putsFirst {
		j.put(c)
		j.remove(c)
	} else {
		j.remove(c)
		j.put(c)
	}
	if !j.forgetsSeq && (j.seqFalls && c.Seq > 0 || c.Seq > j.seq) {
		j.seq = c.Seq
	}
	return nil
}

// pause lets others append.
func (j *referenceJournal) pause() {
	j.mu.Unlock()
	time.Sleep(time.Microsecond)
	j.mu.Lock()
}

func (j *referenceJournal) remove(c journal.Change) {
	for _, seq := range c.Remove {
		if !j.keepsRemoved {
			delete(j.records, seq)
		}
	}
}

func (j *referenceJournal) put(c journal.Change) {
	for _, r := range c.Put {
		if _, there := j.records[r.Seq]; there && j.keepsOld || r.Kind > journal.Batch && j.dropsKinds {
			continue
		}
		if j.truncates {
			r.Value = r.Value[:min(len(r.Value), 64_000)]
		}
		j.records[r.Seq] = r.Append(nil, 0)
		if j.aliases {
			kept := r
			kept.Key = append([]byte(nil), r.Key...)
			j.records[r.Seq] = kept.Append(nil, 0)
			j.alias(r)
		}
		if !j.ownSeq {
			j.seq = max(j.seq, r.Seq)
		}
	}
}

// alias keeps the caller's slices, and what is in them at Close.
func (j *referenceJournal) alias(r journal.Record) { j.aliased[r.Seq] = r }

func (j *referenceJournal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.closed {
		if j.closesOnce {
			return errors.New("closed")
		}
		return nil
	}
	for seq, r := range j.aliased {
		j.records[seq] = r.Append(nil, 0)
	}
	j.closed, j.open = true, false
	return nil
}

func (j *referenceJournal) Stats() journal.Stats {
	s := journal.Stats{Records: len(j.records), Replayed: uint64(j.replayed)}
	if j.miscounts {
		s.Records++
	}
	return s
}

func TestReference(t *testing.T) {
	Run(t, func(testing.TB) Place { return newReference(faults{}) })
}

// TestBroken shows that the suite catches what it is there for: each broken reference fails the row named.
func TestBroken(t *testing.T) {
	tests := []struct {
		faults faults
		row    string
	}{
		{faults{unordered: true}, "records come in the order of their numbers"},
		{faults{dropsKinds: true}, "records come back as they were"},
		{faults{truncates: true}, "records come back as they were"},
		{faults{keepsRemoved: true}, "what is removed is gone"},
		{faults{keepsOld: true}, "a record replaces that of its number"},
		{faults{putsFirst: true}, "a change removes first"},
		{faults{aliases: true}, "nothing is kept of what is given"},
		{faults{racy: true}, "many goroutines append"},
		{faults{ignoresContext: true}, "a context that has ended"},
		{faults{keepsOld: true}, "random changes"},
		{faults{wrongEpoch: true}, "an epoch of its own"},
		{faults{changesEpoch: true}, "an epoch of its own"},
		{faults{lateEpoch: true}, "the epoch is known at once"},
		{faults{forgetsSeq: true}, "numbers that were told"},
		{faults{seqFalls: true}, "numbers that were told"},
		{faults{ownSeq: true}, "numbers that were told"},
		{faults{locksReplay: true}, "a replay while appends go on"},
		{faults{goesOn: true}, "an error ends the replay"},
		{faults{ignoresReplayContext: true}, "a context ends the replay"},
		{faults{skipsUnreadable: true}, "what each cannot read"},
		{faults{dropsUnreadable: true}, "what each cannot read"},
		{faults{skipsUnreadable: true}, "a damaged record"},
		{faults{replaysTwice: true}, "one replay"},
		{faults{appendsEarly: true}, "no append before the replay"},
		{faults{unlocked: true}, "one has it at a time"},
		{faults{usableClosed: true}, "a closed journal"},
		{faults{closesOnce: true}, "a closed journal"},
		{faults{miscounts: true}, "it tells how many records it has"},
	}
	caught := map[string]bool{"an empty change": true} // which nothing above gets wrong
	for _, tt := range tests {
		t.Run(tt.row, func(t *testing.T) {
			if tt.faults.locksReplay {
				patience = 200 * time.Millisecond
				defer func() { patience = time.Minute }()
			}
			i := slices.IndexFunc(rows(), func(r row) bool { return r.name == tt.row })
			if i < 0 {
				t.Fatal("there is no such row")
			}
			if err := rows()[i].attempt(func() Place { return newReference(tt.faults) }); err == nil {
				t.Errorf("it passed with %+v", tt.faults)
			}
			caught[tt.row] = true
		})
	}
	for _, r := range rows() {
		if !caught[r.name] {
			t.Errorf("nothing shows that the row %q can fail", r.name)
		}
	}
}
