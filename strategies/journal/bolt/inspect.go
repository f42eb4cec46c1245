package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/tarncache/tarn/strategies/journal"
)

var (
	errForeign = errors.New("it is not a journal")
	errMissing = errors.New("records are missing, or are there that should not be")
)

// inspection is what reading a whole file tells.
type inspection struct {
	state     state
	pageSize  int64
	usedPages int64 // of those that the file has
	damaged   int   // records that cannot be read
	found     state // the greatest number, the count and the sum of what is there
}

// inspect reads a whole file, before bbolt does, which takes a file for what it should be: it would end the program
// over some damaged ones, and show fewer records than there are for others. It changes nothing.
func inspect(f *os.File) (inspection, error) {
	info, err := f.Stat()
	if err != nil {
		return inspection{}, err
	}
	m, err := newestMeta(f, info.Size())
	if err != nil {
		return inspection{}, err
	}
	in := inspection{pageSize: m.pageSize}
	w := &walker{f: f, pageSize: m.pageSize, seen: make([]uint64, m.pages/64+1), pages: m.pages}
	if err := in.read(w, m); err != nil {
		return inspection{}, err
	}
	in.usedPages = w.used + 2
	return in, nil
}

func (in *inspection) read(w *walker, m meta) error {
	top, err := w.buckets(m.root)
	if err != nil {
		return err
	}
	about, ok := top[string(aboutBucket)]
	if !ok {
		return errForeign
	}
	if in.state, err = readAbout(w, about); err != nil {
		return err
	}
	records, ok := top[string(recordsBucket)]
	if !ok || len(top) != 2 {
		return errForeign
	}
	if err := w.bucket(records, in.record); err != nil {
		return err
	}
	// A damaged record adds what it cannot be asked for: then only their number tells whether one is missing.
	if in.found.seq > in.state.seq || in.found.count != in.state.count || in.damaged == 0 && in.found.sum != in.state.sum {
		return &journal.DamageError{Err: errMissing}
	}
	in.state.sum = in.found.sum
	return nil
}

// readAbout reads the format first, since nothing else has to be as it is here in another.
func readAbout(w *walker, about []byte) (state, error) {
	entries := make(map[string][]byte)
	err := w.bucket(about, func(flags uint32, key, value []byte) error {
		entries[string(key)] = bytes.Clone(value)
		return nil
	})
	if err != nil {
		return state{}, err
	}
	if version, n := binary.Uvarint(entries[string(formatKey)]); n <= 0 || version == 0 {
		return state{}, &journal.DamageError{Err: errState}
	} else if version > format {
		return state{}, fmt.Errorf("%w: the file has format %d, and this program knows %d",
			journal.ErrVersion, version, format)
	}
	s, err := parseState(entries[string(stateKey)])
	if err != nil {
		return state{}, &journal.DamageError{Err: err}
	}
	return s, nil
}

func (in *inspection) record(flags uint32, key, value []byte) error {
	if flags != 0 || len(key) != 8 {
		return &journal.DamageError{Err: errors.New("something among the records is none")}
	}
	seq := binary.BigEndian.Uint64(key)
	if _, err := journal.Parse(value, in.state.epoch, seq); errors.Is(err, journal.ErrUnreadable) {
		in.damaged++
	}
	in.found.seq = seq
	in.found.count++
	in.found.sum += mark(seq, journal.Checksum(value))
	return nil
}

// walker reads the pages of a file of bbolt: see page.go, meta.go and bucket.go in its internal/common.
type walker struct {
	f        io.ReaderAt
	pageSize int64
	pages    uint64   // so many there are
	seen     []uint64 // a bit for each that was read
	used     int64
	leaf     []byte // the leaf that is read; nothing needs it any more when the next one is
}

const (
	pageHeader    = 16
	elementHeader = 16
	bucketHeader  = 16

	branchPage = 0x01
	leafPage   = 0x02
	bucketFlag = 0x01

	deepest = 64 // more levels than a tree of 2^64 records has
)

func damagedPage(id uint64, what string) error {
	return &journal.DamageError{Err: fmt.Errorf("page %d of the file: %s", id, what)}
}

// buckets returns the top buckets.
func (w *walker) buckets(root uint64) (map[string][]byte, error) {
	top := make(map[string][]byte)
	err := w.tree(root, 0, nil, nil, func(flags uint32, key, value []byte) error {
		if flags != bucketFlag {
			return errForeign
		}
		top[string(key)] = bytes.Clone(value)
		return nil
	})
	return top, err
}

// bucket calls each for what is in a bucket, in the order of keys. value is what stands for it in its parent.
func (w *walker) bucket(value []byte, each func(flags uint32, key, value []byte) error) error {
	if len(value) < bucketHeader {
		return &journal.DamageError{Err: errors.New("a bucket of the file is too short")}
	}
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return w.tree(root, 0, nil, nil, each)
	}
	inline := page{data: value[bucketHeader:]}
	if len(inline.data) < pageHeader || inline.flags() != leafPage {
		return &journal.DamageError{Err: errors.New("a bucket of the file is too short")}
	}
	return inline.leaf(nil, nil, each)
}

// tree calls each for the leaf elements below a page. All keys have to be in [from, to), where nil is no bound.
func (w *walker) tree(id uint64, depth int, from, to []byte, each func(flags uint32, key, value []byte) error) error {
	if depth > deepest {
		return damagedPage(id, "too deep")
	}
	p, err := w.read(id)
	if err != nil {
		return err
	}
	if p.flags() == leafPage {
		return p.leaf(from, to, each)
	}
	if p.count() == 0 {
		return damagedPage(id, "a branch without leaves")
	}
	return p.branch(from, to, func(child uint64, from, to []byte) error {
		return w.tree(child, depth+1, from, to, each)
	})
}

func (w *walker) read(id uint64) (page, error) {
	var head [pageHeader]byte
	if id < 2 || id >= w.pages {
		return page{}, damagedPage(id, "there is no such page")
	}
	if _, err := w.f.ReadAt(head[:], int64(id)*w.pageSize); err != nil {
		return page{}, err
	}
	p := page{id: id, data: head[:]}
	switch {
	case binary.NativeEndian.Uint64(head[:]) != id:
		return page{}, damagedPage(id, "it says that it is another")
	case p.flags() != branchPage && p.flags() != leafPage:
		return page{}, damagedPage(id, "it is of another kind")
	case uint64(p.overflow()) >= w.pages-id:
		return page{}, damagedPage(id, "it is too long")
	}
	for i := id; i <= id+uint64(p.overflow()); i++ {
		if w.seen[i/64]&(1<<(i%64)) != 0 {
			return page{}, damagedPage(i, "it is used twice")
		}
		w.seen[i/64] |= 1 << (i % 64)
		w.used++
	}
	size := (int(p.overflow()) + 1) * int(w.pageSize)
	if p.flags() == leafPage {
		w.leaf = slices.Grow(w.leaf[:0], size)[:size]
		p.data = w.leaf
	} else {
		p.data = make([]byte, size)
	}
	_, err := w.f.ReadAt(p.data, int64(id)*w.pageSize)
	return p, err
}

// page is one page, or several that belong together.
type page struct {
	id   uint64
	data []byte
}

func (p page) flags() uint16    { return binary.NativeEndian.Uint16(p.data[8:]) }
func (p page) count() int       { return int(binary.NativeEndian.Uint16(p.data[10:])) }
func (p page) overflow() uint32 { return binary.NativeEndian.Uint32(p.data[12:]) }

func (p page) leaf(from, to []byte, each func(flags uint32, key, value []byte) error) error {
	var last []byte
	for i := range p.count() {
		head, err := p.element(i)
		if err != nil {
			return err
		}
		at := func(field int) uint32 { return binary.NativeEndian.Uint32(head[field*4:]) }
		key, value, err := p.slices(i, at(1), at(2), at(3))
		if err != nil {
			return err
		}
		if !ordered(from, key, to) || i > 0 && bytes.Compare(last, key) >= 0 {
			return damagedPage(p.id, "its keys are in no order")
		}
		last = key
		if err := each(at(0), key, value); err != nil {
			return err
		}
	}
	return nil
}

func (p page) branch(from, to []byte, each func(child uint64, from, to []byte) error) error {
	var last []byte
	var child uint64
	for i := range p.count() {
		head, err := p.element(i)
		if err != nil {
			return err
		}
		key, _, err := p.slices(i, binary.NativeEndian.Uint32(head), binary.NativeEndian.Uint32(head[4:]), 0)
		if err != nil {
			return err
		}
		if !ordered(from, key, to) || i > 0 && bytes.Equal(key, last) {
			return damagedPage(p.id, "its keys are in no order")
		}
		if i > 0 {
			if err := each(child, last, key); err != nil {
				return err
			}
		}
		child, last, from = binary.NativeEndian.Uint64(head[8:]), key, key
	}
	return each(child, last, to)
}

func ordered(from, key, to []byte) bool {
	return bytes.Compare(from, key) <= 0 && (to == nil || bytes.Compare(key, to) < 0)
}

func (p page) element(i int) ([]byte, error) {
	at := pageHeader + i*elementHeader
	if at+elementHeader > len(p.data) {
		return nil, damagedPage(p.id, "it has more elements than room")
	}
	return p.data[at : at+elementHeader], nil
}

// slices returns an element's key and value; pos counts from the element's own place.
func (p page) slices(i int, pos, keySize, valueSize uint32) (key, value []byte, err error) {
	start := uint64(pageHeader+i*elementHeader) + uint64(pos)
	mid := start + uint64(keySize)
	end := mid + uint64(valueSize)
	if keySize == 0 || end > uint64(len(p.data)) {
		return nil, nil, damagedPage(p.id, "an element lies outside of it")
	}
	return p.data[start:mid:mid], p.data[mid:end:end], nil
}
