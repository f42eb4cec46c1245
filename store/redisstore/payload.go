package redisstore

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/tarncache/tarn"
)

const defaultMaxValue = 8 << 20 // bytes

// payloads turns values into what is stored of them, and back:
//
//	8 bytes         xxhash64 of all that follows, seeded with the hash of namespace and key
//	1 byte, n       number of IDs; 0: there is no value, only the absence of one
//	n bytes         the ID of the codec and those of the layers
//	4 bytes         length of what the codec made, the highest byte first
//	uvarint, bytes  the full key, where the Redis key has its hash only
//	the rest        what codec and layers made
//
// The checksum is for what was mixed up or damaged; it is no protection from an enemy, which a Layer is. All methods may
// be called at once.
type payloads[V any] struct {
	namespace string
	codec     Codec[V]
	layers    []Layer
	ids       string // as they are stored, their number first
	maxValue  int    // bytes that the codec may make
	pool      sync.Pool
}

const (
	checksumSize = 8
	lengthSize   = 4
	headSize     = checksumSize + 1 + lengthSize // of a payload with no IDs
	noIDs        = "\x00"
)

var zeros [checksumSize]byte

// scratch is what is needed for layers.
type scratch struct{ in, out, bound []byte }

// What is larger is not kept for the next use.
const maxScratch = 1 << 20

// newPayloads panics where the Config makes no sense.
func newPayloads[V any](namespace string, codec Codec[V], layers []Layer, maxValue int) *payloads[V] {
	if codec == nil {
		codec = defaultCodec[V]()
	}
	if maxValue == 0 {
		maxValue = defaultMaxValue
	}
	switch {
	case maxValue < 0:
		panic("redisstore: Config.MaxValue is negative: " + strconv.Itoa(maxValue))
	case maxValue > 512<<20:
		panic("redisstore: Config.MaxValue is above the 512 MB that Redis takes: " + strconv.Itoa(maxValue))
	case len(layers) > maxLayers:
		panic("redisstore: Config.Layers are more than " + strconv.Itoa(maxLayers))
	}
	ids := []byte{byte(1 + len(layers)), codec.ID()}
	for i, l := range layers {
		if l == nil {
			panic("redisstore: Config.Layers[" + strconv.Itoa(i) + "] is nil")
		}
		ids = append(ids, l.ID())
	}
	p := &payloads[V]{namespace: namespace, codec: codec, layers: slices.Clone(layers), ids: string(ids), maxValue: maxValue}
	p.pool.New = func() any { return new(scratch) }
	return p
}

// ErrUndecodable says that what is stored under a key is not a value of that key that this store can read: it is
// damaged, another key's, of another codec, or above Config.MaxValue. What caused it is wrapped, and not in the text,
// which it could quote the value in.
var ErrUndecodable = errors.New("redisstore: what is stored cannot be decoded")

type undecodable struct {
	why   string
	cause error // may be nil
}

func (e *undecodable) Error() string        { return ErrUndecodable.Error() + ": " + e.why }
func (e *undecodable) Is(target error) bool { return target == ErrUndecodable }
func (e *undecodable) Unwrap() error        { return e.cause }

var (
	errDamaged    = &undecodable{why: "it is damaged, or another key's"}
	errOtherCodec = &undecodable{why: "it was written with another codec or other layers"}
	errNoValue    = &undecodable{why: "it says that there is no value"}
	errTooLarge   = &undecodable{why: "it is above the limit"}
	errLength     = &undecodable{why: "it is not of the length that it says"}
)

// encodeError hides its cause, which may quote the value, from the text.
type encodeError struct{ cause error }

func (e *encodeError) Error() string { return "redisstore: the value cannot be encoded" }
func (e *encodeError) Unwrap() error { return e.cause }

var (
	errHeavy  = fmt.Errorf("redisstore: the value is above Config.MaxValue: %w", tarn.ErrTooHeavy)
	errShrunk = errors.New("redisstore: Append of the codec returned less than it was given")
	errGrown  = fmt.Errorf("redisstore: a layer added more than %d bytes", layerOverhead)
)

// append appends what is stored of a value under a key. Where the value is too large, the error is tarn.ErrTooHeavy.
// With an error, dst is returned as it was.
func (p *payloads[V]) append(dst []byte, name keyName, value V) ([]byte, error) {
	start := len(dst)
	out := appendHead(dst, p.ids, name)
	body := len(out)
	var raw int
	var err error
	if len(p.layers) == 0 {
		out, err = p.codec.Append(out, value)
		raw = len(out) - body
	} else {
		out, raw, err = p.appendLayers(out, name, value)
	}
	switch {
	case err != nil:
		return dst, &encodeError{err}
	case raw < 0:
		return dst, &encodeError{errShrunk}
	case raw > p.maxValue:
		return dst, errHeavy
	}
	binary.BigEndian.PutUint32(out[start+checksumSize+len(p.ids):], uint32(raw))
	seal(out[start:], name)
	return out, nil
}

// appendNone appends what is stored of the absence of a value.
func (p *payloads[V]) appendNone(dst []byte, name keyName) []byte {
	out := appendHead(dst, noIDs, name)
	seal(out[len(dst):], name)
	return out
}

// appendHead appends all but the value, with zeros where checksum and length go.
func appendHead(dst []byte, ids string, name keyName) []byte {
	dst = append(dst, zeros[:checksumSize]...)
	dst = append(dst, ids...)
	dst = append(dst, zeros[:lengthSize]...)
	if name.hashed() {
		dst = binary.AppendUvarint(dst, uint64(len(name.bytes)))
		dst = append(dst, name.bytes...)
	}
	return dst
}

func (p *payloads[V]) appendLayers(dst []byte, name keyName, value V) (out []byte, raw int, err error) {
	s := p.scratch(name)
	defer p.release(s)
	if s.in, err = p.codec.Append(s.in[:0], value); err != nil {
		return dst, 0, err
	}
	raw = len(s.in)
	if raw > p.maxValue {
		return dst, raw, nil
	}
	for i, l := range p.layers {
		if s.out, err = l.Append(s.out[:0], s.in, s.bound); err != nil {
			return dst, 0, err
		}
		if len(s.out) > raw+(i+1)*layerOverhead {
			return dst, 0, errGrown
		}
		s.in, s.out = s.out, s.in
	}
	return append(dst, s.in...), raw, nil
}

// decode returns the value that append made src of for that key, or an error that is ErrUndecodable. It allocates the
// value alone.
func (p *payloads[V]) decode(src string, name keyName) (value V, err error) {
	c, err := p.open(src, name)
	switch {
	case err != nil:
		return value, err
	case c.ids == noIDs:
		return value, errNoValue
	case c.ids != p.ids:
		return value, errOtherCodec
	case c.raw > p.maxValue:
		return value, errTooLarge
	case len(p.layers) > 0:
		return p.decodeLayers(c, name)
	case len(c.body) != c.raw:
		return value, errLength
	}
	return p.decodeRaw(c.body)
}

// decodeNone returns nil if src says that there is no value, and an error that is ErrUndecodable otherwise.
func (p *payloads[V]) decodeNone(src string, name keyName) error {
	c, err := p.open(src, name)
	switch {
	case err != nil:
		return err
	case c.ids != noIDs:
		return errOtherCodec
	case c.raw != 0 || len(c.body) != 0:
		return errLength
	}
	return nil
}

func (p *payloads[V]) decodeLayers(c content, name keyName) (value V, err error) {
	s := p.scratch(name)
	defer p.release(s)
	in := c.body
	for i := len(p.layers) - 1; i >= 0; i-- {
		s.out, err = p.layers[i].Decode(s.out[:0], in, s.bound, c.raw+i*layerOverhead)
		if err != nil {
			return value, &undecodable{"a layer refused it", err}
		}
		s.in, s.out = s.out, s.in
		in = s.in
	}
	if len(in) != c.raw {
		return value, errLength
	}
	return p.decodeRaw(in)
}

func (p *payloads[V]) decodeRaw(src []byte) (V, error) {
	value, err := p.codec.Decode(src)
	if err != nil {
		var none V
		return none, &undecodable{"the codec refused it", err}
	}
	return value, nil
}

// content is a payload in its parts.
type content struct {
	ids  string // with their number first
	raw  int
	full []byte // the key, of one that is hashed
	body []byte
}

// open takes src apart once it is known to be whole, and made for that key.
func (p *payloads[V]) open(src string, name keyName) (content, error) {
	switch {
	case len(src) < headSize:
		return content{}, errDamaged
	case len(src) > headSize+len(p.ids)+p.maxValue+len(p.layers)*layerOverhead+binary.MaxVarintLen32+len(name.bytes):
		return content{}, errTooLarge
	case binary.BigEndian.Uint64(bytesOf(src)) != checksum(bytesOf(src)[checksumSize:], name):
		return content{}, errDamaged
	}
	c, ok := cut(src, name.hashed())
	if !ok || name.hashed() && string(c.full) != name.bytes {
		return content{}, errDamaged
	}
	return c, nil
}

// cut takes a payload apart, and reports whether it could. It compares nothing.
func cut(src string, hashed bool) (c content, ok bool) {
	if len(src) < headSize {
		return c, false
	}
	rest := src[checksumSize:]
	n := 1 + int(rest[0])
	if len(rest) < n+lengthSize {
		return c, false
	}
	c.ids, rest = rest[:n], rest[n:]
	c.raw = int(min(binary.BigEndian.Uint32(bytesOf(rest)), math.MaxInt32)) // an int may have 32 bits
	c.body = bytesOf(rest[lengthSize:])
	if hashed {
		length, n := binary.Uvarint(c.body)
		if n <= 0 || length > uint64(len(c.body)-n) {
			return c, false
		}
		c.full, c.body = c.body[n:n+int(length)], c.body[n+int(length):]
	}
	return c, true
}

// fullKey returns the bytes of the key that a payload under a hashed Redis key was made for, and whether it tells them.
// They are what src says: let keyNames.back compare them with the Redis key, and decode with the checksum.
func fullKey(src string) (string, bool) {
	c, ok := cut(src, true)
	return string(c.full), ok
}

// seal sets the checksum of a payload.
func seal(payload []byte, name keyName) {
	binary.BigEndian.PutUint64(payload, checksum(payload[checksumSize:], name))
}

func checksum(b []byte, name keyName) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(name.hash)
	_, _ = d.Write(b)
	return d.Sum64()
}

// bytesOf returns the bytes of a string, which nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }

// scratch returns what layers work with, its bound set.
func (p *payloads[V]) scratch(name keyName) *scratch {
	s := p.pool.Get().(*scratch)
	s.bound = binary.AppendUvarint(s.bound[:0], uint64(len(p.namespace)))
	s.bound = append(s.bound, p.namespace...)
	s.bound = append(s.bound, p.ids...)
	s.bound = append(s.bound, name.bytes...)
	return s
}

func (p *payloads[V]) release(s *scratch) {
	if cap(s.in)+cap(s.out)+cap(s.bound) <= maxScratch {
		p.pool.Put(s)
	}
}
