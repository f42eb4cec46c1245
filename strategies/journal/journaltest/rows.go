package journaltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

func rows() []row {
	var all []row
	all = append(all, recordRows...)
	all = append(all, positionRows...)
	all = append(all, replayRows...)
	return append(all, lifeRows...)
}

var recordRows = []row{
	{"records come back as they were", "Replay hands out the kind, key, value and note that were put, whatever their bytes, " +
		"and kinds that are unknown", func(x *trial) error {
		want := []journal.Record{
			{Seq: 1, Kind: journal.Save}, {Seq: 2, Kind: journal.Delete, Key: []byte{0}},
			{Seq: 3, Kind: journal.Dead, Key: []byte("a\x00b"), Value: []byte{0xff}, Note: []byte("n")},
			{Seq: 4, Kind: 200, Value: bytes.Repeat([]byte("long"), 50_000)}, {Seq: 1 << 62, Kind: journal.Delta},
			{Seq: math.MaxInt64, Kind: journal.Batch, Key: bytes.Repeat([]byte("k"), 3000)},
		}
		return all(x.begin(want...), x.holds(want...), x.holds(want...))
	}},
	{"records come in the order of their numbers", "Replay goes by number, whatever the order in which they were put",
		func(x *trial) error {
			return all(x.begin(save(300), save(2)), x.put(save(70_000)), x.put(save(1), save(299)),
				x.holds(save(1), save(2), save(299), save(300), save(70_000)))
		}},
	{"what is removed is gone", "a removed record is gone, and it alone; one that is not there is passed over", func(x *trial) error {
		return all(x.begin(saves(1, 5)...), x.remove(2, 4, 77), x.holds(save(1), save(3), save(5)),
			x.remove(2), x.remove(5, 5, 1, 3), x.holds())
	}},
	{"a record replaces that of its number", "a record with the number of another replaces it", func(x *trial) error {
		longer, shorter := save(2), save(3)
		longer.Value, shorter.Value = bytes.Repeat([]byte("x"), 9000), nil
		return all(x.begin(saves(1, 4)...), x.put(longer, shorter), x.holds(save(1), longer, shorter, save(4)))
	}},
	{"a change removes first", "a change that removes a number and puts it leaves it there", func(x *trial) error {
		other := save(1)
		other.Value = []byte("other")
		return all(x.begin(saves(1, 2)...), x.append(journal.Change{Remove: []uint64{1, 2}, Put: []journal.Record{other}}),
			x.holds(other))
	}},
	{"an empty change", "a change of nothing is carried out", func(x *trial) error {
		return all(x.begin(), x.append(journal.Change{}), x.holds())
	}},
	{"nothing is kept of what is given", "after Append has returned, its caller may use all slices again", func(x *trial) error {
		r := clone(save(1))
		change := journal.Change{Put: []journal.Record{r}}
		err := all(x.begin(), x.append(change))
		for _, part := range [][]byte{r.Key, r.Value, r.Note} {
			clear(part)
		}
		change.Put[0] = save(9)
		return all(err, x.put(save(2)), x.holds(save(1), save(2)))
	}},
	{"many goroutines append", "any number of goroutines may call Append at once", func(x *trial) error {
		if err := x.begin(); err != nil {
			return err
		}
		const callers, each = 8, 20
		errs := make([]error, callers)
		var callersDone sync.WaitGroup
		for c := range callers {
			callersDone.Go(func() {
				for i := range each {
					seq := uint64(c*each + i + 1)
					errs[c] = errors.Join(errs[c], x.put(save(seq), save(seq+callers*each)))
				}
			})
		}
		callersDone.Wait()
		return all(errors.Join(errs...), x.holds(saves(1, 2*callers*each)...))
	}},
	{"a context that has ended", "with a context that has ended, Append returns its error and changes nothing", func(x *trial) error {
		ended, cancel := context.WithCancel(x.ctx)
		cancel()
		if err := x.begin(saves(1, 2)...); err != nil {
			return err
		}
		err := x.j.Append(ended, journal.Change{Remove: []uint64{1}, Put: []journal.Record{save(3)}, Seq: 9})
		if err := fails("Append", err, context.Canceled); err != nil {
			return err
		}
		got, p, err := x.restart()
		return all(err, same(got, saves(1, 2)), is("Position.Seq", p.Seq, 2))
	}},
	{"random changes", "whatever the changes are, what is kept is what a map would keep", func(x *trial) error {
		if err := x.begin(); err != nil {
			return err
		}
		model, random, seq := map[uint64]journal.Record{}, rand.New(rand.NewPCG(1, 2)), uint64(0)
		for i := range 200 {
			var change journal.Change
			for range random.IntN(6) {
				change.Remove = append(change.Remove, 1+random.Uint64N(seq+1))
			}
			for range random.IntN(6) {
				r := save(seq + 1)
				if r.Value = bytes.Repeat([]byte{byte(i)}, random.IntN(3000)); random.IntN(5) == 0 {
					r.Seq = 1 + random.Uint64N(seq+1)
				}
				seq = max(seq, r.Seq)
				change.Put = append(change.Put, r)
			}
			for _, gone := range change.Remove {
				delete(model, gone)
			}
			for _, r := range change.Put {
				model[r.Seq] = r
			}
			if err := x.append(change); err != nil {
				return err
			}
			if i%50 == 49 {
				if err := x.holds(byNumber(model)...); err != nil {
					return fmt.Errorf("after %d changes: %w", i+1, err)
				}
			}
		}
		return nil
	}},
}

var positionRows = []row{
	{"an epoch of its own", "the epoch is not zero, fits a signed 64-bit column, stays, and is another in another journal",
		func(x *trial) error {
			_, p, err := x.start()
			if err != nil {
				return err
			}
			if p.Epoch == 0 || p.Epoch > math.MaxInt64 {
				return fmt.Errorf("Position.Epoch is %d", p.Epoch)
			}
			if err := all(is("Epoch", x.j.Epoch(), p.Epoch), x.put(save(1))); err != nil {
				return err
			}
			_, again, err := x.restart()
			if err := all(err, is("the second Position.Epoch", again.Epoch, p.Epoch), x.close()); err != nil {
				return err
			}
			x.place = x.newPlace()
			_, other, err := x.start()
			if err == nil && other.Epoch == p.Epoch {
				return errors.New("two journals have one epoch")
			}
			return err
		}},
	{"the epoch is known at once", "Epoch answers before Replay, which hands out records that need it", func(x *trial) error {
		if err := all(x.begin(save(1)), x.close(), x.open()); err != nil {
			return err
		}
		before := x.j.Epoch()
		_, p, err := x.replay()
		return all(err, is("Epoch before Replay", before, p.Epoch))
	}},
	{"numbers that were told", "Position.Seq is the greatest number of any change, and never falls", func(x *trial) error {
		steps := []struct {
			change journal.Change
			want   uint64
		}{
			{journal.Change{}, 0},
			{journal.Change{Seq: 3}, 3},
			{journal.Change{Put: []journal.Record{save(5)}}, 5},
			{journal.Change{Put: []journal.Record{save(6)}, Seq: 1 << 45}, 1 << 45},
			{journal.Change{Put: []journal.Record{save(7)}, Seq: 7}, 1 << 45},
			{journal.Change{Remove: []uint64{5, 6, 7}, Seq: 7}, 1 << 45},
		}
		if _, _, err := x.start(); err != nil {
			return err
		}
		for _, step := range steps {
			if err := x.append(step.change); err != nil {
				return err
			}
			_, p, err := x.restart()
			if err := all(err, is("Position.Seq", p.Seq, step.want)); err != nil {
				return err
			}
		}
		return nil
	}},
}

var replayRows = []row{
	{"a replay while appends go on", "each may call Append; what was there when Replay began is handed out all the same",
		func(x *trial) error {
			const n = 3000
			if err := all(x.begin(saves(1, n)...), x.close(), x.open()); err != nil {
				return err
			}
			next := uint64(1)
			_, err := x.j.Replay(x.ctx, func(rec journal.Record) error {
				if rec.Seq > n {
					return nil // what is put meanwhile may come too
				}
				if !equal(rec, save(next)) {
					return fmt.Errorf("record %d came, want %d", rec.Seq, next)
				}
				next++
				if rec.Seq%10 != 0 {
					return nil
				}
				return x.append(journal.Change{Remove: []uint64{rec.Seq}, Put: []journal.Record{save(n + rec.Seq)}})
			})
			if err := all(err, is("the number after the last record", next, n+1)); err != nil {
				return err
			}
			want := map[uint64]journal.Record{}
			for _, r := range saves(1, n) {
				if r.Seq%10 == 0 {
					r = save(n + r.Seq)
				}
				want[r.Seq] = r
			}
			return x.holds(byNumber(want)...)
		}},
	{"an error ends the replay", "an error of each ends Replay and is returned, and nothing is changed", func(x *trial) error {
		if err := all(x.begin(saves(1, 5)...), x.close(), x.open()); err != nil {
			return err
		}
		stop, calls := errors.New("stop"), 0
		_, err := x.j.Replay(x.ctx, func(journal.Record) error {
			if calls++; calls == 3 {
				return stop
			}
			return nil
		})
		return all(fails("Replay", err, stop), is("calls", calls, 3), x.holds(saves(1, 5)...))
	}},
	{"a context ends the replay", "Replay returns the context's error soon after it has ended", func(x *trial) error {
		if err := all(x.begin(saves(1, 5)...), x.close(), x.open()); err != nil {
			return err
		}
		ctx, cancel := context.WithCancel(x.ctx)
		defer cancel()
		calls := 0
		_, err := x.j.Replay(ctx, func(journal.Record) error { calls++; cancel(); return nil })
		return all(fails("Replay", err, context.Canceled), is("calls", calls, 1))
	}},
	{"what each cannot read", "an error of each that is ErrUnreadable is a damaged record's: it is named, and stays", func(x *trial) error {
		if err := all(x.begin(saves(1, 5)...), x.close(), x.open()); err != nil {
			return err
		}
		_, err := x.j.Replay(x.ctx, func(rec journal.Record) error {
			if rec.Seq == 3 {
				return fmt.Errorf("of another time: %w", journal.ErrUnreadable)
			}
			return nil
		})
		return all(damaged(err, 3), x.holds(saves(1, 5)...))
	}},
	{"a damaged record", "a record that cannot be read ends Replay, is named, and stays; those before it are handed out",
		func(x *trial) error {
			d, ok := x.place.(Damager)
			if !ok {
				return nil
			}
			if err := all(x.begin(saves(1, 5)...), x.close(), d.Damage(3)); err != nil {
				return err
			}
			for range 2 {
				got, _, err := x.start()
				if err := all(damaged(err, 3), same(got, saves(1, 2)), x.close()); err != nil {
					return err
				}
			}
			return nil
		}},
	{"one replay", "a journal is replayed once, so that no two strategies share it", func(x *trial) error {
		if err := x.begin(save(1)); err != nil {
			return err
		}
		if got, _, err := x.replay(); err == nil || len(got) > 0 {
			return fmt.Errorf("a second Replay handed out %d records, and returned %v", len(got), err)
		}
		return x.holds(save(1))
	}},
	{"no append before the replay", "Append before Replay is refused: it could give a number a second time", func(x *trial) error {
		if err := x.open(); err != nil {
			return err
		}
		if err := x.put(save(1)); err == nil {
			return errors.New("an Append before Replay returned no error")
		}
		return x.holds()
	}},
}

func damaged(err error, seq uint64) error {
	var damage *journal.DamageError
	if !errors.As(err, &damage) || !errors.Is(err, journal.ErrUnreadable) {
		return fmt.Errorf("on Replay: got error %v, want a DamageError", err)
	}
	return is("DamageError.Seq", damage.Seq, seq)
}

var lifeRows = []row{
	{"one has it at a time", "a journal that is open is locked, until it is closed", func(x *trial) error {
		if err := x.begin(save(1)); err != nil {
			return err
		}
		if j, err := x.place.Open(); err == nil {
			x.opened = append(x.opened, j)
			return errors.New("it could be opened twice")
		} else if err := fails("Open", err, journal.ErrLocked); err != nil {
			return err
		}
		return all(x.put(save(2)), x.holds(saves(1, 2)...))
	}},
	{"a closed journal", "after Close, Append and Replay are refused, and Close is harmless", func(x *trial) error {
		if err := all(x.begin(save(1)), x.close()); err != nil {
			return err
		}
		return all(fails("Append", x.put(save(2)), tarn.ErrClosed), x.close(), x.open(), x.close(),
			func() error { _, _, err := x.replay(); return fails("Replay", err, tarn.ErrClosed) }(), x.holds(save(1)))
	}},
	{"it tells how many records it has", "Stats.Records, if there are any Stats, is how many records there are", func(x *trial) error {
		if err := x.begin(saves(1, 9)...); err != nil {
			return err
		}
		s, ok := x.j.(journal.Stater)
		if !ok {
			return nil
		}
		again := save(3)
		again.Value = nil
		if err := all(is("Records", s.Stats().Records, 9), x.remove(2, 20), x.put(again),
			is("Records", s.Stats().Records, 8)); err != nil {
			return err
		}
		_, _, err := x.restart()
		s = x.j.(journal.Stater)
		return all(err, is("Records", s.Stats().Records, 8), is("Replayed", s.Stats().Replayed, 8))
	}},
}
