// Package trace reads what a cache was asked for: recorded traces in the formats that published ones come in, and
// synthetic ones. It also says how many of the requests the best possible cache would have answered.
package trace

import (
	"fmt"
	"io"
	"iter"
)

// Source is a trace that can be read any number of times, and is the same each time.
type Source interface {
	// Name says in a few words which trace it is.
	Name() string

	// Open begins to read it. Every reader stands for itself; the caller closes it.
	Open() (Reader, error)
}

// Reader reads the keys of a trace in the order in which they were asked for. It is for one goroutine.
type Reader interface {
	// Read sets the first n of keys and returns n. It returns an error, [io.EOF] at the end, only with n = 0, and
	// n = 0 only with an error, if keys is not empty.
	Read(keys []uint64) (n int, err error)

	Close() error
}

// batch is how many keys are read at a time: enough that the calls cost nothing beside the keys.
const batch = 4096

// Batches iterates over the keys of a trace, many at a time. A slice is valid until the next one. An error comes
// alone, and is the last.
func Batches(s Source) iter.Seq2[[]uint64, error] {
	return func(yield func([]uint64, error) bool) {
		r, err := s.Open()
		if err != nil {
			yield(nil, err)
			return
		}
		defer r.Close()
		keys := make([]uint64, batch)
		for {
			n, err := r.Read(keys)
			if err == io.EOF {
				return
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(keys[:n], nil) {
				return
			}
		}
	}
}

// Trace is a Source of which it is known that it can be read to its end, and how long it is.
type Trace struct {
	Source
	Requests int64
}

// Load reads a trace to its end. If it is of no more than hold requests, they are kept in memory, which takes 8 bytes
// each, and the source is not read again; otherwise it is read anew each time.
func Load(s Source, hold int64) (Trace, error) {
	t := Trace{Source: s}
	kept := &memory{name: s.Name()}
	for keys, err := range Batches(s) {
		if err != nil {
			return Trace{}, err
		}
		t.Requests += int64(len(keys))
		if t.Requests > hold {
			kept = nil
		}
		if kept != nil {
			kept.append(keys)
		}
	}
	if kept != nil {
		t.Source = kept
	}
	return t, nil
}

// Of is a trace of these keys, which it keeps; the caller must not change them any more.
func Of(name string, keys ...uint64) Trace {
	m := &memory{name: name}
	if len(keys) > 0 {
		m.pieces = [][]uint64{keys}
	}
	return Trace{m, int64(len(keys))}
}

// memory is a trace in memory, in pieces, so that it need not be copied while it grows.
type memory struct {
	name   string
	pieces [][]uint64
}

const piece = 1 << 16

func (m *memory) append(keys []uint64) {
	for len(keys) > 0 {
		last := len(m.pieces) - 1
		if last < 0 || len(m.pieces[last]) == cap(m.pieces[last]) {
			m.pieces = append(m.pieces, make([]uint64, 0, piece))
			last++
		}
		to := m.pieces[last]
		n := min(len(keys), cap(to)-len(to))
		m.pieces[last] = append(to, keys[:n]...)
		keys = keys[n:]
	}
}

func (m *memory) Name() string { return m.name }

func (m *memory) Open() (Reader, error) { return &memoryReader{left: m.pieces}, nil }

type memoryReader struct {
	left [][]uint64
	at   int // in the first of them
}

func (r *memoryReader) Read(keys []uint64) (int, error) {
	if len(r.left) == 0 {
		return 0, io.EOF
	}
	n := copy(keys, r.left[0][r.at:])
	r.at += n
	if r.at == len(r.left[0]) {
		r.left, r.at = r.left[1:], 0
	}
	return n, nil
}

func (r *memoryReader) Close() error { return nil }

// Same returns an error if a trace that was read again had another number of requests than when it was loaded, as a
// file has that somebody writes to.
func (t Trace) Same(requests int64) error {
	if requests != t.Requests {
		return fmt.Errorf("trace: %s had %d requests, and now has %d", t.Name(), t.Requests, requests)
	}
	return nil
}
