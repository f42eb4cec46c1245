package strategies

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/tarncache/tarn/internal/keybytes"
	"github.com/tarncache/tarn/internal/payload"
	"github.com/tarncache/tarn/strategies/journal"
)

// deltaLog is the journal of an [Accumulator]. It has a record for each delta that was added and is in no batch yet, of
// which many of one key are made one now and then, and with SyncEvery at once; and one for each batch, which tells all that is in it and
// replaces the records of its deltas in the same append. So after a crash a batch is again what it was, and what it has
// is nowhere else.
type deltaLog[K comparable, D any] struct {
	*committer
	keys   keybytes.Form[K]
	deltas *payload.Form[D]
	limit  int // of a record's size

	mu       sync.Mutex      // protects all below
	removing []uint64        // batches that are confirmed, but the removal of whose record may not be durable
	removed  int             // how many were among these and are not any more
	full     <-chan struct{} // closed once there may be room again; nil: there was room last
	fullTill time.Time       // when to try anyhow
}

// newEpoch returns a random epoch.
func newEpoch() uint64 { return 1 + rand.Uint64N(1<<63-1) } // fits a signed column

const (
	maxLoggedDelta = 1 << 29 // bytes
	rewriteAt      = 64      // so many records of one key are made one
	fullPause      = time.Second
)

func newDeltaLog[K comparable, D any](
	config *AccumulateConfig[K, D], failed func(err error, records int),
) (log *deltaLog[K, D], err error) {
	defer func() {
		if r := recover(); r != nil { // a field of the config that makes no sense
			err = fmt.Errorf("%v", r)
		}
	}()
	log = &deltaLog[K, D]{
		committer: newCommitter(config.Journal, config.SyncEvery, failed),
		limit:     journal.Limit(config.Journal),
		keys: keybytes.New(keybytes.Options[K]{
			Append: config.AppendKey, Parse: config.ParseKey, Package: "strategies", Config: "AccumulateConfig",
		}),
		deltas: payload.New(payload.Options[D]{
			Codec: config.Codec, Layers: config.Layers, MaxValue: maxLoggedDelta, Bound: "accumulate",
			Package: "strategies", Config: "AccumulateConfig", Undecodable: journal.ErrUnreadable,
		}),
	}
	if !log.keys.Parses() {
		return nil, errors.New("AccumulateConfig.Journal needs AccumulateConfig.ParseKey")
	}
	return log, nil
}

// encode returns the bytes of a key and a delta. What panics, such as a codec, cannot encode it.
func (l *deltaLog[K, D]) encode(d Delta[K, D]) (key, delta []byte, err error) {
	defer func() {
		if panicked := recovered(recover()); panicked != nil {
			err = panicked
		}
	}()
	if key, err = l.keys.Append(nil, d.Key); err != nil {
		return nil, nil, err
	}
	delta, err = l.deltas.Append(nil, d.Delta, key)
	return key, delta, err
}

// decode undoes encode. An error is ErrUnreadable.
func (l *deltaLog[K, D]) decode(key, delta []byte) (d Delta[K, D], err error) {
	defer func() {
		if panicked := recovered(recover()); panicked != nil {
			err = fmt.Errorf("%w: %w", journal.ErrUnreadable, panicked)
		}
	}()
	if d.Key, err = l.keys.Parse(string(key)); err != nil {
		return d, fmt.Errorf("%w: key: %w", journal.ErrUnreadable, bare(err))
	}
	if d.Key != d.Key {
		return d, fmt.Errorf("%w: its key does not equal itself", journal.ErrUnreadable)
	}
	parts, ok := payload.Cut(delta)
	if !ok {
		return d, fmt.Errorf("%w: delta", journal.ErrUnreadable)
	}
	d.Delta, err = l.deltas.Decode(parts, key)
	return d, err
}

// record returns the record of a delta. One that no journal has room for is refused here.
func (l *deltaLog[K, D]) record(d Delta[K, D]) (journal.Record, error) {
	key, delta, err := l.encode(d)
	if err != nil {
		return journal.Record{}, err
	}
	rec := journal.Record{Kind: journal.Delta, Key: key, Value: delta}
	return rec, fits(rec, l.limit)
}

// batch returns the record of a batch: of each delta its key and what it is, each behind its length as an unsigned varint.
func (l *deltaLog[K, D]) batch(deltas []Delta[K, D]) (journal.Record, error) {
	var value []byte
	for _, d := range deltas {
		key, delta, err := l.encode(d)
		if err != nil {
			return journal.Record{}, err
		}
		value = append(binary.AppendUvarint(value, uint64(len(key))), key...)
		value = append(binary.AppendUvarint(value, uint64(len(delta))), delta...)
	}
	rec := journal.Record{Kind: journal.Batch, Value: value}
	return rec, fits(rec, l.limit+spareRecord)
}

// unbatch undoes batch.
func (l *deltaLog[K, D]) unbatch(value []byte) (deltas []Delta[K, D], err error) {
	for len(value) > 0 {
		var parts [2][]byte
		for i := range parts {
			n, size := binary.Uvarint(value)
			if size <= 0 || n > uint64(len(value)-size) {
				return nil, fmt.Errorf("%w: batch", journal.ErrUnreadable)
			}
			parts[i], value = value[size:size+int(n)], value[size+int(n):]
		}
		d, err := l.decode(parts[0], parts[1])
		if err != nil {
			return nil, err
		}
		deltas = append(deltas, d)
	}
	return deltas, nil
}

// last returns the last number given.
func (l *deltaLog[K, D]) last() uint64 {
	l.committer.mu.Lock()
	defer l.committer.mu.Unlock()
	return l.seq
}

// commit brings something into the journal, and returns when it is durable.
func (l *deltaLog[K, D]) commit(ctx context.Context, x *commit) (joined bool, err error) {
	group, err := l.join(x)
	switch {
	case err != nil:
		return false, err
	case group == nil:
		return true, l.sync(ctx)
	}
	select {
	case <-group.done:
		return true, x.err
	case <-ctx.Done():
		return true, ctx.Err()
	}
}

// confirmed says that a batch is at the source, and its record is to go.
func (l *deltaLog[K, D]) confirmed(seq uint64) {
	l.remove(seq)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.removing = append(l.removing, seq)
}

// leaving returns how many batches were confirmed so far.
func (l *deltaLog[K, D]) leaving() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.removed + len(l.removing)
}

// left returns those among the first n of all that were confirmed whose removal was not known to be durable until now.
func (l *deltaLog[K, D]) left(n int) []uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n = max(n-l.removed, 0) // others may have been faster
	gone := l.removing[:n:n]
	l.removing = l.removing[n:]
	l.removed += n
	return gone
}
