package journal

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/cespare/xxhash/v2"
)

// A record is written as
//
//	format   1 byte, recordFormat
//	kind     1 byte
//	seq      8 bytes, big endian
//	key      its length as an unsigned varint, then its bytes
//	value    likewise
//	note     likewise
//	checksum 8 bytes, big endian: XXH64 of all that stands before, seeded with the journal's epoch
//
// The checksum finds what a disk or a stranger changed, and a record of another journal. It finds no forgery: whoever
// can write the journal can write records.
const (
	recordFormat = 1
	headSize     = 1 + 1 + 8
	checksumSize = 8
)

// MaxRecord is the greatest size of an encoded record, in bytes.
const MaxRecord = 1 << 30

// Size returns how many bytes Append appends.
func (r Record) Size() int {
	size := headSize + checksumSize
	for _, part := range [...][]byte{r.Key, r.Value, r.Note} {
		size += uvarintSize(len(part)) + len(part)
	}
	return size
}

func uvarintSize(n int) int {
	size := 1
	for ; n >= 0x80; n >>= 7 {
		size++
	}
	return size
}

// Append appends the record as journals keep it, and returns the extended slice.
func (r Record) Append(dst []byte, epoch uint64) []byte {
	start := len(dst)
	dst = append(dst, recordFormat, byte(r.Kind))
	dst = binary.BigEndian.AppendUint64(dst, r.Seq)
	for _, part := range [...][]byte{r.Key, r.Value, r.Note} {
		dst = binary.AppendUvarint(dst, uint64(len(part)))
		dst = append(dst, part...)
	}
	return binary.BigEndian.AppendUint64(dst, checksum(dst[start:], epoch))
}

// Parse reads what [Record.Append] wrote under the same epoch; seq is the number under which it was found. The record
// points into data. An error is ErrUnreadable, or ErrVersion if the record is whole and of a form yet unknown.
func Parse(data []byte, epoch, seq uint64) (Record, error) {
	if len(data) < headSize+checksumSize {
		return Record{}, fmt.Errorf("%w: too short", ErrUnreadable)
	}
	body, sum := data[:len(data)-checksumSize], Checksum(data)
	if checksum(body, epoch) != sum {
		return Record{}, fmt.Errorf("%w: wrong checksum", ErrUnreadable)
	}
	if body[0] != recordFormat {
		return Record{}, fmt.Errorf("%w: a record has format %d", ErrVersion, body[0])
	}
	r := Record{Seq: binary.BigEndian.Uint64(body[2:]), Kind: Kind(body[1])}
	if r.Seq != seq {
		return Record{}, fmt.Errorf("%w: it has another number", ErrUnreadable)
	}
	rest, ok := body[headSize:], true
	for _, part := range [...]*[]byte{&r.Key, &r.Value, &r.Note} {
		if *part, rest, ok = cut(rest); !ok {
			return Record{}, fmt.Errorf("%w: lengths that do not fit", ErrUnreadable)
		}
	}
	if len(rest) > 0 {
		return Record{}, fmt.Errorf("%w: lengths that do not fit", ErrUnreadable)
	}
	return r, nil
}

// Checksum returns the checksum that an encoded record ends with, unchecked. A journal can tell by it whether it has
// the records that it should have, without reading them.
func Checksum(data []byte) uint64 {
	if len(data) < checksumSize {
		return 0
	}
	return binary.BigEndian.Uint64(data[len(data)-checksumSize:])
}

func cut(data []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > math.MaxInt32 || size > uint64(len(data)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return data[n:end:end], data[end:], true
}

func checksum(body []byte, epoch uint64) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(epoch)
	_, _ = d.Write(body)
	return d.Sum64()
}
