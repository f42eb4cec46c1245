package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"

	"github.com/tarncache/tarn/strategies/journal"
)

// meta is one of the two pages that say where everything is; the newer counts. bbolt writes them in turn.
type meta struct {
	pageSize int64
	root     uint64 // the page of the top bucket
	freelist uint64
	pages    uint64
	tx       uint64
}

const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2
	metaSize    = 64
	noFreelist  = ^uint64(0)
)

var errBothMetas = errors.New("both first pages of the file are damaged")

// newestMeta finds the meta page that counts.
func newestMeta(f io.ReaderAt, fileSize int64) (meta, error) {
	first, ok, ours := readMeta(f, 0)
	size := first.pageSize
	for at := int64(1024); !ok && size == 0 && at <= 1<<24; at *= 2 {
		second, found, magic := readMeta(f, at)
		ours = ours || magic
		if found && second.pageSize == at {
			size = at
		}
	}
	if !ok && size == 0 {
		if ours {
			return meta{}, &journal.DamageError{Err: errBothMetas}
		}
		return meta{}, errForeign
	}
	m := first
	if second, found, _ := readMeta(f, size); found && (!ok || second.tx > first.tx) {
		m = second
	}
	return m, m.check(fileSize)
}

// readMeta returns the meta page at an offset if it is whole. ours tells whether it looks like one at least.
func readMeta(f io.ReaderAt, at int64) (m meta, ok, ours bool) {
	var page [pageHeader + metaSize]byte
	if _, err := f.ReadAt(page[:], at); err != nil {
		return meta{}, false, false
	}
	data := page[pageHeader:]
	if binary.NativeEndian.Uint32(data) != metaMagic {
		return meta{}, false, false
	}
	sum := fnv.New64a()
	_, _ = sum.Write(data[:metaSize-8])
	if binary.NativeEndian.Uint32(data[4:]) != metaVersion || sum.Sum64() != binary.NativeEndian.Uint64(data[metaSize-8:]) {
		return meta{}, false, true
	}
	return meta{
		pageSize: int64(binary.NativeEndian.Uint32(data[8:])),
		root:     binary.NativeEndian.Uint64(data[16:]),
		freelist: binary.NativeEndian.Uint64(data[32:]),
		pages:    binary.NativeEndian.Uint64(data[40:]),
		tx:       binary.NativeEndian.Uint64(data[48:]),
	}, true, true
}

func (m meta) check(fileSize int64) error {
	switch {
	case m.pageSize < 1024 || m.pageSize > 1<<24 || m.pageSize&(m.pageSize-1) != 0:
		return &journal.DamageError{Err: fmt.Errorf("the file has pages of %d bytes", m.pageSize)}
	case m.pages < 4 || m.pages > uint64(fileSize/m.pageSize):
		return &journal.DamageError{Err: errors.New("the file is cut short")}
	case m.freelist != noFreelist:
		return errForeign // a file of bbolt, but this package keeps no list there
	}
	return nil
}
