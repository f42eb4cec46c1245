package fence

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/tarncache/tarn"
)

// try tries the statements of the operations, unless that was done already.
func (w *Writer[K, V]) try(ctx context.Context, ops []tarn.Op[K, V]) error {
	if w.config.Untried || w.triedSave.Load() && w.triedDelete.Load() {
		return nil
	}
	sample, untried := ops[0], false
	for _, op := range ops {
		if op.Delete {
			untried = untried || !w.triedDelete.Load()
		} else {
			untried = untried || !w.triedSave.Load()
			sample = op // which has a value
		}
	}
	if !untried {
		return nil
	}
	done, err := w.trial(ctx, sample)
	if err != nil {
		return err
	}
	if done {
		w.triedDelete.Store(true)
		w.triedSave.CompareAndSwap(false, !sample.Delete)
	}
	return nil
}

// steps are the writes of a trial: saves and deletes of two epochs, of which some come late and some twice.
var steps = []struct {
	deletes bool
	epoch   int // 0 or 1
	seq     uint64
}{
	{false, 0, 2}, {false, 0, 1}, {false, 0, 2}, // a save, an earlier one, the same again
	{true, 0, 1}, {true, 0, 3}, {true, 0, 3}, {true, 0, 1}, // earlier delete, later one, the same again, the earlier
	{false, 0, 2}, {false, 1, 1}, // a save from before the delete; one of a new journal
	{true, 0, 1}, {true, 1, 1}, // deletes of one journal after the other
	{false, 0, 1},
}

// trial writes the steps to the row of one operation, and rolls back. If the operation is a delete, there is no value
// to save. Its verdict is the error; done is false if there is none, since the row cannot be saved at all: the batch
// will tell why.
func (w *Writer[K, V]) trial(ctx context.Context, op tarn.Op[K, V]) (done bool, err error) {
	b, err := w.begin(ctx, nil)
	if err != nil {
		return false, err
	}
	defer b.end()
	epochs := [2]uint64{}
	epochs[0] = 1 + rand.Uint64N(1<<62)
	epochs[1] = epochs[0] + 1
	valueless := op.Delete
	var has version // what the row has to say; at first, of another epoch or nothing
	for _, s := range steps {
		if valueless && !s.deletes {
			continue
		}
		op.Delete, op.Epoch, op.Seq = s.deletes, epochs[s.epoch], s.seq
		later := int64(op.Epoch) != has.epoch || int64(op.Seq) > has.seq
		if later {
			has = version{int64(op.Epoch), int64(op.Seq), true}
		}
		err := b.step(ctx, op, later, has)
		if err != nil && !op.Delete && !errors.Is(err, ErrUnfenced) && ctx.Err() == nil {
			return false, nil
		}
		if err != nil {
			return false, fmt.Errorf("fence: trial: %w", &opError{op.Delete, err})
		}
	}
	return true, nil
}

// step writes one operation of a trial and compares what it did with what a fence does.
func (b *batch[K, V]) step(ctx context.Context, op tarn.Op[K, V], later bool, has version) error {
	changed, err := b.run(ctx, op)
	if err != nil {
		return err
	}
	if changed && !later {
		return fmt.Errorf("%w: it does not refuse an older or repeated write", ErrUnfenced)
	}
	v, err := b.version(ctx, op.Key)
	switch {
	case err != nil:
		return err
	case !v.found && op.Delete:
		return fmt.Errorf("%w: it leaves no tombstone", ErrUnfenced)
	case v != has:
		return fmt.Errorf("%w: the row does not tell the epoch and sequence of the write", ErrUnfenced)
	}
	return nil
}
