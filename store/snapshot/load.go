package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/payload"
	"github.com/tarncache/tarn/ttl"
)

// Load adds the entries of a snapshot to a store. What the store has already stays, and so does what is held while it is
// written. The store must be a [tarn.Adder] and a [tarn.Clocker], as store/memory is, and used by itself: one that processes
// share, or a tiered one, is refused with an error that is [errors.ErrUnsupported], and the near store of a tiered one must
// not be given, which Load cannot see.
//
// A snapshot is loaded whole or not at all: it is read twice, and nothing is added before it is known to be one of this
// Format, and undamaged; otherwise the error is [ErrForeign], [ErrVersion] or [ErrDamaged]. If r is no [io.Seeker], or
// cannot seek, as a pipe, what it has is kept in a temporary file meanwhile. The memory that Load needs does not grow with
// the snapshot.
//
// Load before you serve. Of a key that the store does not have, Load cannot tell that it was written at the source, or
// invalidated, while the snapshot was read: it adds the old entry, and a write that was acknowledged meanwhile is undone.
//
// Entries have the tags that they had, as of when Load begins: what is invalidated from then on reaches them, and what was
// invalidated between Save and Load does not. Into a store that is no [tarn.Tagger], entries with tags are not loaded.
//
// An entry lives for what it had left when the snapshot was saved, less the time since then by the wall clock; if that
// was set back meanwhile, as if no time had passed. If ctx ends, or the store fails, Load returns that error, and what
// was added until then stays.
func (f *Format[K, V]) Load(ctx context.Context, r io.Reader, store tarn.Store[K, V]) (Result, error) {
	p, err := partsOf("load", store)
	switch {
	case err != nil:
		return Result{}, err
	case p.adder == nil:
		return Result{}, fmt.Errorf("snapshot: load: the store is no tarn.Adder: %w", errors.ErrUnsupported)
	case shared(store):
		return Result{}, fmt.Errorf("snapshot: load: the store is shared, so a snapshot may be older than what others wrote: %w",
			errors.ErrUnsupported)
	}
	if err := canceled(ctx, "load"); err != nil {
		return Result{}, err
	}
	res, err := f.load(ctx, r, p)
	if err != nil {
		return res, fmt.Errorf("snapshot: load: %w", err)
	}
	return res, nil
}

// shared reports whether other processes use what the store has.
func shared(store any) bool {
	s, ok := tarn.As[tarn.Sharer](store)
	return ok && s.Shared()
}

func (f *Format[K, V]) load(ctx context.Context, r io.Reader, p parts[K, V]) (res Result, err error) {
	var tags tagReader
	if p.tagger != nil {
		if tags.stamp, err = p.tagger.Stamp(ctx); err != nil {
			return res, err
		}
	}
	twice, start, ok := seeker(r)
	if !ok {
		file, err := keep(r)
		if file != nil {
			defer func() { _ = file.Close() }()
		}
		if err != nil {
			return res, err
		}
		twice = file
	}
	if _, err := f.read(ctx, twice, &tags, func([]byte, tarn.Entry[V], time.Duration) error { return nil }); err != nil {
		return res, err
	}
	if _, err := twice.Seek(start, io.SeekStart); err != nil {
		return res, err
	}
	now := p.clock.Now()
	_, err = f.read(ctx, twice, &tags, func(key []byte, e tarn.Entry[V], ago time.Duration) error {
		return f.add(ctx, p, key, f.revive(e, now, ago), now, &res)
	})
	return res, err
}

// seeker returns r as one that can be read twice, and where it begins, if it can: that of a pipe has a Seek that fails.
func seeker(r io.Reader) (twice io.ReadSeeker, start int64, ok bool) {
	if twice, ok = r.(io.ReadSeeker); !ok {
		return nil, 0, false
	}
	start, err := twice.Seek(0, io.SeekCurrent)
	if err != nil {
		return nil, 0, false
	}
	return twice, start, true
}

// keep writes what r has to a temporary file that nobody else finds.
func keep(r io.Reader) (*os.File, error) {
	file, err := os.CreateTemp("", "tarn-snapshot-")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		_ = file.Close()
		return nil, err
	}
	if _, err := io.Copy(file, r); err != nil {
		return file, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return file, err
}

// revive gives an entry, whose deadlines count from when it was saved, those it has now.
func (f *Format[K, V]) revive(e tarn.Entry[V], now ttl.Time, ago time.Duration) tarn.Entry[V] {
	saved := now.Add(-ago)
	if e.Fresh != 0 {
		e.Fresh = saved.Add(time.Duration(e.Fresh))
	}
	if e.Expires != 0 {
		e.Expires = saved.Add(time.Duration(e.Expires))
	}
	if f.stale && (e.Fresh == 0 || e.Fresh > now) {
		e.Fresh = now
	}
	return e
}

func (f *Format[K, V]) add(
	ctx context.Context, p parts[K, V], bytes []byte, e tarn.Entry[V], now ttl.Time, res *Result,
) error {
	key, err := f.keys.Parse(string(bytes))
	if err != nil {
		return errEntry // which the first reading has ruled out
	}
	if f.stale && e.Negative || e.Tags != nil && p.tagger == nil {
		res.Skipped++
		return nil
	}
	if e.Expires.Passed(now) {
		res.Expired++
		return nil
	}
	added, err := p.adder.Add(ctx, key, e)
	switch {
	case errors.Is(err, tarn.ErrTooHeavy):
		added = false
	case err != nil:
		return err
	}
	if added {
		res.Entries++
	} else {
		res.Skipped++
	}
	return nil
}

// read reads a snapshot, whole, and calls each for every entry. Deadlines are durations from when it was saved, which is
// ago, and at least 1 where there is one.
func (f *Format[K, V]) read(
	ctx context.Context, from io.Reader, tags *tagReader, each func(key []byte, e tarn.Entry[V], ago time.Duration) error,
) (entries uint64, err error) {
	r := newReader(from)
	saved, err := f.readHead(r)
	if err != nil {
		return 0, err
	}
	ago := max(time.Since(time.Unix(0, saved)), 0)
	for {
		if err := ctx.Err(); err != nil {
			return entries, err
		}
		block, err := r.next(1 + maxKey + maxTags + f.values.Largest() + 4*binary.MaxVarintLen64)
		if err != nil {
			return entries, err
		}
		if block == nil {
			break
		}
		for len(block) > 0 {
			key, e, rest, err := f.cutEntry(block, tags)
			if err != nil {
				return entries, err
			}
			if err := each(key, e, ago); err != nil {
				return entries, err
			}
			block = rest
			entries++
		}
	}
	n, err := r.end()
	if err == nil && n != entries {
		err = errCount
	}
	return entries, err
}

// readHead returns when the snapshot was saved.
func (f *Format[K, V]) readHead(r *reader) (saved int64, err error) {
	begin := make([]byte, len(magic)+1)
	if err := r.read(begin); err != nil {
		if errors.Is(err, ErrDamaged) {
			err = ErrForeign // too short to be one
		}
		return 0, err
	}
	switch {
	case string(begin[:len(magic)]) != magic:
		return 0, ErrForeign
	case begin[len(magic)] > version:
		return 0, fmt.Errorf("%w: %d, and this one reads %d", ErrVersion, begin[len(magic)], version)
	case begin[len(magic)] < version:
		return 0, ErrForeign
	}
	var is head
	for _, into := range is.fields() {
		n, err := r.uvarint(maxHead)
		if err != nil {
			return 0, err
		}
		field := make([]byte, n)
		if err := r.read(field); err != nil {
			return 0, err
		}
		*into = string(field)
	}
	var at [8]byte
	if err := r.read(at[:]); err != nil {
		return 0, err
	}
	if err := r.check(); err != nil {
		return 0, err
	}
	if err := is.foreign(f.head); err != nil {
		return 0, err
	}
	return int64(min(binary.BigEndian.Uint64(at[:]), math.MaxInt64)), nil
}

// cutEntry takes the first entry from a block. Its deadlines are durations.
func (f *Format[K, V]) cutEntry(
	b []byte, tags *tagReader,
) (key []byte, e tarn.Entry[V], rest []byte, err error) {
	flags := b[0]
	if flags&^flagsKnown != 0 {
		return nil, e, nil, errEntry
	}
	key, b, ok := cutBytes(b[1:], maxKey)
	if !ok {
		return nil, e, nil, errEntry
	}
	if _, err := f.keys.Parse(string(key)); err != nil {
		return nil, e, nil, errEntry
	}
	e.Negative, e.Rescued = flags&flagNegative != 0, flags&flagRescued != 0
	for _, d := range []struct {
		flag byte
		into *ttl.Time
	}{{flagFresh, &e.Fresh}, {flagExpires, &e.Expires}} {
		if flags&d.flag == 0 {
			continue
		}
		n, size := binary.Uvarint(b)
		if size <= 0 || n > math.MaxInt64 {
			return nil, e, nil, errEntry
		}
		*d.into, b = ttl.Time(max(n, 1)), b[size:]
	}
	if flags&flagTagged != 0 {
		if e.Tags, b, ok = tags.cut(b); !ok {
			return nil, e, nil, errEntry
		}
	}
	if e.Negative {
		return key, e, b, nil
	}
	value, rest, ok := cutBytes(b, f.values.Largest())
	if !ok {
		return nil, e, nil, errEntry
	}
	parts, ok := payload.Cut(value)
	if !ok {
		return nil, e, nil, errEntry
	}
	e.Value, err = f.values.Decode(parts, key)
	return key, e, rest, err
}
