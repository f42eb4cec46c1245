// Package payload makes of a value what is kept of it outside of the process, by a codec and layers, and back:
//
//	1 byte, n  number of IDs
//	n bytes    the ID of the codec and those of the layers
//	4 bytes    length of what the codec made, the highest byte first
//	the rest   what codec and layers made
//
// Checksums, and what else tells a value from another, are the affair of who keeps it.
package payload

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"
	"sync"

	"github.com/tarncache/tarn/codec"
)

const (
	defaultMaxValue = 8 << 20 // bytes
	maxLayers       = 8
	lengthSize      = 4
	headSize        = 1 + lengthSize // of a payload with no IDs
)

// None is what stands instead of IDs where there is no value.
const None = "\x00"

// Options are what a Form is made of.
type Options[V any] struct {
	Codec    codec.Codec[V] // nil: that of codec.For
	Layers   []codec.Layer  // the first is the first to encode
	MaxValue int            // bytes that the codec may make; 0: 8 MB
	Bound    string         // what all values are bound to, as layers are told: it tells their place from others

	Package     string // for errors and panics: "redisstore"
	Config      string // for the same, the type whose fields these are: "Config"
	Undecodable error  // what errors of decoding are, and their text begins with
}

// Form turns values into payloads and back. All methods may be called at once.
type Form[V any] struct {
	codec    codec.Codec[V]
	layers   []codec.Layer
	ids      string // as they are kept, their number first
	bound    string
	maxValue int
	errors   failures
	pool     sync.Pool // of *scratch
}

// New panics where the options make no sense, and names the field of their Config.
func New[V any](o Options[V]) *Form[V] {
	field := o.Package + ": " + o.Config + "."
	if o.Codec == nil {
		o.Codec = codec.For[V]()
	}
	if o.MaxValue == 0 {
		o.MaxValue = defaultMaxValue
	}
	switch {
	case o.MaxValue < 0:
		panic(field + "MaxValue is negative: " + strconv.Itoa(o.MaxValue))
	case o.MaxValue > math.MaxInt32-maxLayers*codec.MaxOverhead:
		panic(field + "MaxValue is above 2 GB: " + strconv.Itoa(o.MaxValue))
	case len(o.Layers) > maxLayers:
		panic(field + "Layers are more than " + strconv.Itoa(maxLayers))
	}
	f := &Form[V]{
		codec: o.Codec, layers: slices.Clone(o.Layers), ids: idsOf(o), bound: o.Bound, maxValue: o.MaxValue,
		errors: newFailures(o.Package, o.Config, o.Undecodable),
	}
	f.pool.New = func() any { return new(scratch) }
	return f
}

// IDs returns what payloads begin with: the number of IDs, and they.
func (f *Form[V]) IDs() string { return f.ids }

// Largest returns how many bytes a payload has at most.
func (f *Form[V]) Largest() int {
	return lengthSize + len(f.ids) + f.maxValue + len(f.layers)*codec.MaxOverhead
}

// Append appends the payload of a value. Layers are told bound; it is for this value alone, as its key is, and not kept.
// Where the value is too large, the error is tarn.ErrTooHeavy. With an error, dst is returned as it was.
func (f *Form[V]) Append(dst []byte, value V, bound []byte) ([]byte, error) {
	start := len(dst)
	out, raw, err := f.AppendBody(AppendHead(dst, f.ids), value, bound)
	if err != nil {
		return dst, err
	}
	SetRaw(out[start:], raw)
	return out, nil
}

// AppendHead appends all of a payload but its body, for who has something to put between. The length is yet to be set.
func AppendHead(dst []byte, ids string) []byte {
	dst = append(dst, ids...)
	return append(dst, 0, 0, 0, 0)
}

// SetRaw sets the length of what the codec made in a payload or the head of one.
func SetRaw(head []byte, raw int) {
	binary.BigEndian.PutUint32(head[1+int(head[0]):], uint32(raw))
}

// AppendBody appends what codec and layers make of a value, and returns how many bytes the codec made. It is otherwise
// as Append is.
func (f *Form[V]) AppendBody(dst []byte, value V, bound []byte) (out []byte, raw int, err error) {
	if len(f.layers) == 0 {
		out, err = f.codec.Append(dst, value)
		raw = len(out) - len(dst)
	} else {
		out, raw, err = f.appendLayers(dst, value, bound)
	}
	switch {
	case err != nil:
		return dst, 0, f.errors.encode(err)
	case raw < 0:
		return dst, 0, f.errors.encode(errShrunk)
	case raw > f.maxValue:
		return dst, 0, f.errors.heavy
	}
	return out, raw, nil
}

func (f *Form[V]) appendLayers(dst []byte, value V, bound []byte) (out []byte, raw int, err error) {
	s := f.scratch(bound)
	defer f.release(s)
	if s.in, err = f.codec.Append(s.in[:0], value); err != nil {
		return dst, 0, err
	}
	raw = len(s.in)
	if raw > f.maxValue {
		return dst, raw, nil
	}
	for i, l := range f.layers {
		if s.out, err = l.Append(s.out[:0], s.in, s.bound); err != nil {
			return dst, 0, err
		}
		if len(s.out) > raw+(i+1)*codec.MaxOverhead {
			return dst, 0, errGrown
		}
		s.in, s.out = s.out, s.in
	}
	return append(dst, s.in...), raw, nil
}

// Parts are those of a payload. They point into it.
type Parts struct {
	IDs  []byte // their number first
	Raw  int    // how many bytes the codec is said to have made
	Body []byte
}

// Cut takes a payload apart, and reports whether it could. It compares nothing.
func Cut(src []byte) (p Parts, ok bool) {
	if len(src) < headSize {
		return p, false
	}
	n := 1 + int(src[0])
	if len(src) < n+lengthSize {
		return p, false
	}
	p.IDs, src = src[:n], src[n:]
	p.Raw = int(min(binary.BigEndian.Uint32(src), math.MaxInt32)) // an int may have 32 bits
	p.Body = src[lengthSize:]
	return p, true
}

// Decode returns the value that a payload was made of. It allocates the value alone. An error is Options.Undecodable.
// Nothing of the payload is kept.
func (f *Form[V]) Decode(p Parts, bound []byte) (value V, err error) {
	switch {
	case string(p.IDs) == None:
		return value, f.Undecodable("it says that there is no value", nil)
	case string(p.IDs) != f.ids:
		return value, f.Undecodable("it was written with another codec or other layers", nil)
	case p.Raw > f.maxValue:
		return value, f.Undecodable("it is above the limit", nil)
	case len(f.layers) > 0:
		return f.decodeLayers(p, bound)
	case len(p.Body) != p.Raw:
		return value, f.errLength()
	}
	return f.decodeRaw(p.Body)
}

func (f *Form[V]) decodeLayers(p Parts, bound []byte) (value V, err error) {
	s := f.scratch(bound)
	defer f.release(s)
	in := p.Body
	for i := len(f.layers) - 1; i >= 0; i-- {
		s.out, err = f.layers[i].Decode(s.out[:0], in, s.bound, p.Raw+i*codec.MaxOverhead)
		if err != nil {
			return value, f.Undecodable("a layer refused it", err)
		}
		s.in, s.out = s.out, s.in
		in = s.in
	}
	if len(in) != p.Raw {
		return value, f.errLength()
	}
	return f.decodeRaw(in)
}

func (f *Form[V]) decodeRaw(src []byte) (V, error) {
	value, err := f.codec.Decode(src)
	if err != nil {
		var none V
		return none, f.Undecodable("the codec refused it", err)
	}
	return value, nil
}

func (f *Form[V]) errLength() error {
	return f.Undecodable("it is not of the length that it says", nil)
}

// Undecodable returns an error that is Options.Undecodable and tells why. The cause is wrapped, and not in the text,
// which it could quote the value in. It may be nil.
func (f *Form[V]) Undecodable(why string, cause error) error {
	return &undecodable{f.errors.undecodable, why, cause}
}
