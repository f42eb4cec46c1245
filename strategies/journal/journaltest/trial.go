package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tarncache/tarn/strategies/journal"
)

// trial is one row run in one place.
type trial struct {
	ctx      context.Context
	newPlace func() Place
	place    Place
	opened   []journal.Journal
	j        journal.Journal // the one that is open
}

// open opens the journal, and no more.
func (x *trial) open() error {
	j, err := x.place.Open()
	if err != nil {
		return fmt.Errorf("on Open: %w", err)
	}
	x.j, x.opened = j, append(x.opened, j)
	return nil
}

// start opens the journal and replays it.
func (x *trial) start() ([]journal.Record, journal.Position, error) {
	if err := x.open(); err != nil {
		return nil, journal.Position{}, err
	}
	return x.replay()
}

func (x *trial) replay() (all []journal.Record, p journal.Position, err error) {
	p, err = x.j.Replay(x.ctx, func(rec journal.Record) error {
		all = append(all, clone(rec))
		return nil
	})
	if err != nil {
		return all, p, fmt.Errorf("on Replay: %w", err)
	}
	return all, p, nil
}

func (x *trial) close() error {
	if err := x.j.Close(); err != nil {
		return fmt.Errorf("on Close: %w", err)
	}
	return nil
}

// restart closes the journal, opens it again and replays it.
func (x *trial) restart() ([]journal.Record, journal.Position, error) {
	if err := x.close(); err != nil {
		return nil, journal.Position{}, err
	}
	return x.start()
}

func (x *trial) append(change journal.Change) error {
	if err := x.j.Append(x.ctx, change); err != nil {
		return fmt.Errorf("on Append: %w", err)
	}
	return nil
}

func (x *trial) put(records ...journal.Record) error { return x.append(journal.Change{Put: records}) }

func (x *trial) remove(seqs ...uint64) error { return x.append(journal.Change{Remove: seqs}) }

// begin starts an empty journal and puts records.
func (x *trial) begin(records ...journal.Record) error {
	if _, _, err := x.start(); err != nil {
		return err
	}
	return x.put(records...)
}

// holds restarts the journal and compares what it has.
func (x *trial) holds(want ...journal.Record) error {
	got, _, err := x.restart()
	if err != nil {
		return err
	}
	return same(got, want)
}

func same(got, want []journal.Record) error {
	if len(got) != len(want) {
		return fmt.Errorf("the journal has the records %v, want %v", numbers(got), numbers(want))
	}
	for i := range got {
		if !equal(got[i], want[i]) {
			return fmt.Errorf("record %d of the journal, number %d, is not what was put as number %d",
				i, got[i].Seq, want[i].Seq)
		}
	}
	return nil
}

func numbers(records []journal.Record) (seqs []uint64) {
	for _, r := range records[:min(len(records), 20)] {
		seqs = append(seqs, r.Seq)
	}
	return seqs
}

func equal(a, b journal.Record) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) &&
		bytes.Equal(a.Note, b.Note)
}

func clone(r journal.Record) journal.Record {
	r.Key, r.Value, r.Note = bytes.Clone(r.Key), bytes.Clone(r.Value), bytes.Clone(r.Note)
	return r
}

// save is a record like those of write-back.
func save(seq uint64) journal.Record {
	return journal.Record{Seq: seq, Kind: journal.Save, Key: fmt.Appendf(nil, "key %d", seq%7),
		Value: fmt.Appendf(nil, "value %d", seq), Note: []byte{byte(seq)}}
}

func saves(from, to uint64) (records []journal.Record) {
	for seq := from; seq <= to; seq++ {
		records = append(records, save(seq))
	}
	return records
}

// byNumber returns the records of a map in their order.
func byNumber(records map[uint64]journal.Record) (all []journal.Record) {
	for _, seq := range slices.Sorted(maps.Keys(records)) {
		all = append(all, records[seq])
	}
	return all
}

// all returns the first error of steps that were done in order.
func all(steps ...error) error {
	for _, err := range steps {
		if err != nil {
			return err
		}
	}
	return nil
}

func fails(what string, err, want error) error {
	if !errors.Is(err, want) {
		return fmt.Errorf("%s: got error %v, want %v", what, err, want)
	}
	return nil
}

func is[T comparable](what string, got, want T) error {
	if got != want {
		return fmt.Errorf("%s: got %v, want %v", what, got, want)
	}
	return nil
}
