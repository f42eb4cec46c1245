package snapshot

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Save writes a snapshot of what the store has to w. The store is in use meanwhile: what is written to it while Save
// runs may be in the snapshot or not. It must be a [tarn.Scanner] and a [tarn.Clocker], as store/memory is.
//
// Save needs memory for one block, which is 64 KB and an entry, whatever the store has. It returns the error of w, of
// the store or of ctx, wrapped; what w has got by then is no snapshot.
func (f *Format[K, V]) Save(ctx context.Context, w io.Writer, store tarn.Store[K, V]) (Result, error) {
	p, err := partsOf("save", store)
	switch {
	case err != nil:
		return Result{}, err
	case p.scanner == nil:
		return Result{}, fmt.Errorf("snapshot: save: the store is no tarn.Scanner: %w", errors.ErrUnsupported)
	}
	res, err := f.save(ctx, w, p)
	if err != nil {
		return res, fmt.Errorf("snapshot: save: %w", err)
	}
	return res, nil
}

func (f *Format[K, V]) save(ctx context.Context, to io.Writer, p parts[K, V]) (res Result, err error) {
	w := newWriter(to)
	start := p.clock.Now()
	head := binary.BigEndian.AppendUint64(f.head.append(nil), uint64(time.Now().UnixNano()))
	if err := w.write(head); err != nil {
		return res, err
	}
	if err := w.seal(); err != nil {
		return res, err
	}
	var block, key []byte
	entries, failed := p.scanner.Scan(ctx)
	for k, e := range entries {
		if e.Expires.Passed(p.clock.Now()) {
			res.Expired++
			continue
		}
		if key, err = f.keys.Append(key[:0], k); err != nil || len(key) > maxKey {
			res.Skipped++
			continue
		}
		before := len(block)
		if block, err = f.appendEntry(block, key, e, start); err != nil {
			block = block[:before]
			res.Skipped++
			continue
		}
		res.Entries++
		if len(block) >= blockSize {
			if err := w.block(block); err != nil {
				return res, err
			}
			block = block[:0]
		}
	}
	if err := failed(); err != nil {
		return res, err
	}
	if len(block) > 0 {
		if err := w.block(block); err != nil {
			return res, err
		}
	}
	return res, w.end(res.Entries)
}

// appendEntry appends an entry whose deadlines count from start.
func (f *Format[K, V]) appendEntry(dst, key []byte, e tarn.Entry[V], start ttl.Time) ([]byte, error) {
	at := len(dst)
	dst = appendBytes(append(dst, 0), key)
	if e.Negative {
		dst[at] |= flagNegative
	}
	if e.Rescued {
		dst[at] |= flagRescued
	}
	if e.Fresh != 0 && e.Fresh != ttl.End {
		dst[at] |= flagFresh
		dst = binary.AppendUvarint(dst, uint64(max(e.Fresh.Sub(start), 0)))
	}
	if e.Expires != 0 && e.Expires != ttl.End {
		dst[at] |= flagExpires
		dst = binary.AppendUvarint(dst, uint64(max(e.Expires.Sub(start), 0)))
	}
	if e.Tags != nil {
		dst[at] |= flagTagged
		dst = appendTags(dst, e.Tags)
	}
	if e.Negative {
		return dst, nil
	}
	value, err := f.values.Append(nil, e.Value, key)
	if err != nil {
		return dst, err
	}
	return appendBytes(dst, value), nil
}
