package bolt

import (
	"encoding/binary"
	"errors"

	"github.com/cespare/xxhash/v2"
)

// The two buckets of a journal, and what stands in the first.
var (
	aboutBucket   = []byte("tarn journal")
	recordsBucket = []byte("records")

	formatKey = []byte("format")
	stateKey  = []byte("state")
)

// format is the version of the file: of the buckets, and of what is in the first. Records carry one of their own.
const format = 1

// state is what a journal knows of itself. It changes with every Append, in the same transaction.
type state struct {
	epoch uint64
	seq   uint64
	count uint64 // of records
	sum   uint64 // of all records' marks, modulo 2^64
}

const stateSize = 5 * 8

var errState = errors.New("what the journal knows of itself is damaged")

func (s state) append(dst []byte) []byte {
	start := len(dst)
	for _, n := range [...]uint64{s.epoch, s.seq, s.count, s.sum} {
		dst = binary.BigEndian.AppendUint64(dst, n)
	}
	return binary.BigEndian.AppendUint64(dst, xxhash.Sum64(dst[start:]))
}

func parseState(data []byte) (state, error) {
	if len(data) != stateSize || xxhash.Sum64(data[:stateSize-8]) != binary.BigEndian.Uint64(data[stateSize-8:]) {
		return state{}, errState
	}
	at := func(i int) uint64 { return binary.BigEndian.Uint64(data[i*8:]) }
	s := state{epoch: at(0), seq: at(1), count: at(2), sum: at(3)}
	if s.epoch == 0 {
		return state{}, errState
	}
	return s, nil
}

// mark is what a record adds to the sum: something that another number or another checksum would hardly add.
func mark(seq, checksum uint64) uint64 {
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], seq)
	binary.BigEndian.PutUint64(b[8:], checksum)
	return xxhash.Sum64(b[:])
}
