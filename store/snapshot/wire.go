package snapshot

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"github.com/cespare/xxhash/v2"

	"github.com/tarncache/tarn"
)

// A snapshot is a head and blocks:
//
//	8 bytes            "tarnsnap"
//	1 byte             version
//	4 × uvarint, bytes name, type of keys, type of values, IDs of codec and layers
//	8 bytes            when it was saved, by the wall clock, in nanoseconds since 1970, the highest byte first
//	8 bytes            checksum
//	blocks             uvarint, which is not 0, as many bytes of whole entries, and a checksum
//	1 byte             0
//	uvarint            number of entries
//	8 bytes            checksum
//
// Each checksum is the xxhash64 of everything before it, so that no block can be missing, moved or another's.
//
// An entry is
//
//	1 byte             flags
//	uvarint, bytes     key
//	uvarint            if flagFresh: how long it is fresh, in nanoseconds from when the snapshot was saved
//	uvarint            if flagExpires: how long it lives
//	uvarint            if flagTagged: how many tags it has, and for each
//	uvarint, bytes     its name
//	uvarint, bytes     unless flagNegative: the payload of the value

const (
	magic   = "tarnsnap"
	version = 1

	blockSize = 64 << 10 // bytes from which on a block is full
	maxKey    = 1 << 20
	maxHead   = 64 << 10
	maxTags   = binary.MaxVarintLen64 + tarn.MaxTags*(binary.MaxVarintLen64+tarn.MaxTagLength) // bytes
)

const (
	flagNegative = 1 << iota
	flagFresh
	flagExpires
	flagRescued
	flagTagged
	flagsKnown = flagNegative | flagFresh | flagExpires | flagRescued | flagTagged
)

// head says what a snapshot is of.
type head struct{ name, keys, values, codec string }

func (h *head) fields() [4]*string { return [...]*string{&h.name, &h.keys, &h.values, &h.codec} }

// append appends a head up to the time.
func (h *head) append(dst []byte) []byte {
	dst = append(dst, magic...)
	dst = append(dst, version)
	for _, field := range h.fields() {
		dst = appendBytes(dst, []byte(*field))
	}
	return dst
}

// foreign returns an error that says what of a head is not as it should be, or nil.
func (h *head) foreign(want head) error {
	switch {
	case h.name != want.name:
		return fmt.Errorf("%w: its name is %.200q, not %q", ErrForeign, h.name, want.name)
	case h.keys != want.keys:
		return fmt.Errorf("%w: its keys are %.200q, not %q", ErrForeign, h.keys, want.keys)
	case h.values != want.values:
		return fmt.Errorf("%w: its values are %.200q, not %q", ErrForeign, h.values, want.values)
	case h.codec != want.codec:
		return fmt.Errorf("%w: it has another codec, or other layers", ErrForeign)
	}
	return nil
}

func appendBytes(dst, b []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(b)))
	return append(dst, b...)
}

// writer writes a snapshot and sums it up.
type writer struct {
	to  *bufio.Writer
	sum xxhash.Digest
}

func newWriter(to io.Writer) *writer {
	w := &writer{to: bufio.NewWriterSize(to, blockSize)}
	w.sum.Reset()
	return w
}

func (w *writer) write(b []byte) error {
	_, _ = w.sum.Write(b)
	_, err := w.to.Write(b)
	return err
}

// seal writes the checksum of everything before it.
func (w *writer) seal() error {
	return w.write(binary.BigEndian.AppendUint64(nil, w.sum.Sum64()))
}

// block writes one block.
func (w *writer) block(b []byte) error {
	if err := w.write(binary.AppendUvarint(nil, uint64(len(b)))); err != nil {
		return err
	}
	if err := w.write(b); err != nil {
		return err
	}
	return w.seal()
}

// end writes what follows the last block.
func (w *writer) end(entries int) error {
	if err := w.write(binary.AppendUvarint([]byte{0}, uint64(entries))); err != nil {
		return err
	}
	if err := w.seal(); err != nil {
		return err
	}
	return w.to.Flush()
}

// reader reads a snapshot and checks it. What is missing at the end is ErrDamaged.
type reader struct {
	from  *bufio.Reader
	sum   xxhash.Digest
	block []byte
	one   []byte
}

func newReader(from io.Reader) *reader {
	r := &reader{from: bufio.NewReaderSize(from, blockSize)}
	r.sum.Reset()
	return r
}

func (r *reader) readByte() (byte, error) {
	r.one = append(r.one[:0], 0)
	err := r.read(r.one)
	return r.one[0], err
}

func (r *reader) read(into []byte) error {
	if _, err := io.ReadFull(r.from, into); err != nil {
		return damaged(err)
	}
	_, _ = r.sum.Write(into)
	return nil
}

// damaged tells an end that comes too early from a failure to read.
func damaged(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return fmt.Errorf("%w: it ends too early", ErrDamaged)
	}
	return err
}

// uvarint reads a number of at most limit.
func (r *reader) uvarint(limit uint64) (n uint64, err error) {
	for shift := uint(0); shift < 64; shift += 7 {
		b, err := r.readByte()
		if err != nil {
			return 0, err
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			if n > limit || shift == 63 && b > 1 {
				return 0, errTooLarge
			}
			return n, nil
		}
	}
	return 0, errTooLarge
}

var (
	errTooLarge = fmt.Errorf("%w: a length is too large", ErrDamaged)
	errChecksum = fmt.Errorf("%w: a checksum is wrong", ErrDamaged)
	errLonger   = fmt.Errorf("%w: something follows its end", ErrDamaged)
	errEntry    = fmt.Errorf("%w: an entry is none", ErrDamaged)
	errCount    = fmt.Errorf("%w: entries are missing", ErrDamaged)
)

// check reads a checksum and compares it with that of everything before.
func (r *reader) check() error {
	want := r.sum.Sum64()
	var b [8]byte
	if err := r.read(b[:]); err != nil {
		return err
	}
	if binary.BigEndian.Uint64(b[:]) != want {
		return errChecksum
	}
	return nil
}

// next returns the next block, valid until the one after it, or nil after the last.
func (r *reader) next(largest int) ([]byte, error) {
	n, err := r.uvarint(uint64(blockSize + largest))
	if err != nil || n == 0 {
		return nil, err
	}
	if uint64(cap(r.block)) < n {
		r.block = nil
		// It grows with what is there, not with what a length says.
		if r.block, err = io.ReadAll(io.LimitReader(r.from, int64(n))); err != nil {
			return nil, err
		}
		if uint64(len(r.block)) != n {
			return nil, damaged(io.EOF)
		}
		_, _ = r.sum.Write(r.block)
	} else {
		r.block = r.block[:n]
		if err := r.read(r.block); err != nil {
			return nil, err
		}
	}
	return r.block, r.check()
}

// end reads what follows the last block and returns the number of entries.
func (r *reader) end() (uint64, error) {
	n, err := r.uvarint(math.MaxInt64)
	if err != nil {
		return 0, err
	}
	if err := r.check(); err != nil {
		return 0, err
	}
	switch _, err := r.from.ReadByte(); err {
	case io.EOF:
		return n, nil
	case nil:
		return 0, errLonger
	default:
		return 0, err
	}
}

// cutBytes takes bytes of at most limit from b.
func cutBytes(b []byte, limit int) (field, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) || n > uint64(limit) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n], b[n:], true
}
