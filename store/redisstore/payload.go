package redisstore

import (
	"encoding/binary"
	"errors"
	"strconv"
	"unsafe"

	"github.com/cespare/xxhash/v2"

	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/payload"
)

// payloads turns values into what is stored of them, and back:
//
//	8 bytes         xxhash64 of all that follows, seeded with the hash of namespace and key
//	1 byte, n       number of IDs; 0: there is no value, only the absence of one
//	n bytes         the ID of the codec and those of the layers
//	4 bytes         length of what the codec made, the highest byte first
//	uvarint, bytes  the full key, where the Redis key has its hash only
//	the rest        what codec and layers made
//
// The checksum is for what was mixed up or damaged; it is no protection from an enemy, which a layer is. All methods may
// be called at once.
type payloads[V any] struct{ form *payload.Form[V] }

const (
	checksumSize = 8
	largestValue = 512 << 20 // bytes that Redis takes
)

var zeros [checksumSize]byte

// newPayloads panics where the Config makes no sense.
func newPayloads[V any](namespace string, c codec.Codec[V], layers []codec.Layer, maxValue int) payloads[V] {
	if maxValue > largestValue {
		panic("redisstore: Config.MaxValue is above the 512 MB that Redis takes: " + strconv.Itoa(maxValue))
	}
	return payloads[V]{payload.New(payload.Options[V]{
		Codec: c, Layers: layers, MaxValue: maxValue,
		Bound:   string(binary.AppendUvarint(nil, uint64(len(namespace)))) + namespace,
		Package: "redisstore", Config: "Config", Undecodable: ErrUndecodable,
	})}
}

// ErrUndecodable says that what is stored under a key is not a value of that key that this store can read: it is
// damaged, another key's, of another codec, or above Config.MaxValue. What caused it is wrapped, and not in the text,
// which it could quote the value in.
var ErrUndecodable = errors.New("redisstore: what is stored cannot be decoded")

// append appends what is stored of a value under a key. Where the value is too large, the error is tarn.ErrTooHeavy.
// With an error, dst is returned as it was.
func (p payloads[V]) append(dst []byte, name keyName, value V) ([]byte, error) {
	start := len(dst)
	out, raw, err := p.form.AppendBody(appendHead(dst, p.form.IDs(), name), value, bytesOf(name.bytes))
	if err != nil {
		return dst, err
	}
	payload.SetRaw(out[start+checksumSize:], raw)
	seal(out[start:], name)
	return out, nil
}

// appendNone appends what is stored of the absence of a value.
func (p payloads[V]) appendNone(dst []byte, name keyName) []byte {
	out := appendHead(dst, payload.None, name)
	seal(out[len(dst):], name)
	return out
}

// appendHead appends all but the value, with zeros where checksum and length go.
func appendHead(dst []byte, ids string, name keyName) []byte {
	dst = payload.AppendHead(append(dst, zeros[:]...), ids)
	if name.hashed() {
		dst = binary.AppendUvarint(dst, uint64(len(name.bytes)))
		dst = append(dst, name.bytes...)
	}
	return dst
}

// decode returns the value that append made src of for that key, or an error that is ErrUndecodable. It allocates the
// value alone.
func (p payloads[V]) decode(src string, name keyName) (value V, err error) {
	parts, err := p.open(bytesOf(src), name)
	if err != nil {
		return value, err
	}
	return p.form.Decode(parts, bytesOf(name.bytes))
}

// decodeNone returns nil if src says that there is no value, and an error that is ErrUndecodable otherwise.
func (p payloads[V]) decodeNone(src string, name keyName) error {
	parts, err := p.open(bytesOf(src), name)
	switch {
	case err != nil:
		return err
	case string(parts.IDs) != payload.None:
		return p.form.Undecodable("it is no absence", nil)
	case parts.Raw != 0 || len(parts.Body) != 0:
		return p.form.Undecodable("it is an absence with a value", nil)
	}
	return nil
}

// open takes src apart once it is known to be whole, and made for that key.
func (p payloads[V]) open(src []byte, name keyName) (payload.Parts, error) {
	switch {
	case len(src) < checksumSize:
		return payload.Parts{}, p.damaged()
	case len(src) > checksumSize+p.form.Largest()+binary.MaxVarintLen32+len(name.bytes):
		return payload.Parts{}, p.form.Undecodable("it is above the limit", nil)
	case binary.BigEndian.Uint64(src) != checksum(src[checksumSize:], name):
		return payload.Parts{}, p.damaged()
	}
	parts, ok := payload.Cut(src[checksumSize:])
	if ok && name.hashed() {
		var full []byte
		full, parts.Body, ok = cutKey(parts.Body)
		ok = ok && string(full) == name.bytes
	}
	if !ok {
		return payload.Parts{}, p.damaged()
	}
	return parts, nil
}

func (p payloads[V]) damaged() error {
	return p.form.Undecodable("it is damaged, or another key's", nil)
}

// cutKey takes the full key off the body of a payload, and reports whether it could.
func cutKey(body []byte) (full, rest []byte, ok bool) {
	length, n := binary.Uvarint(body)
	if n <= 0 || length > uint64(len(body)-n) {
		return nil, nil, false
	}
	return body[n : n+int(length)], body[n+int(length):], true
}

// fullKey returns the bytes of the key that a payload under a hashed Redis key was made for, and whether it tells them.
// They are what src says: let keyNames.back compare them with the Redis key, and decode with the checksum.
func fullKey(src string) (string, bool) {
	if len(src) < checksumSize {
		return "", false
	}
	parts, ok := payload.Cut(bytesOf(src)[checksumSize:])
	if !ok {
		return "", false
	}
	full, _, ok := cutKey(parts.Body)
	return string(full), ok
}

// seal sets the checksum of a payload.
func seal(b []byte, name keyName) {
	binary.BigEndian.PutUint64(b, checksum(b[checksumSize:], name))
}

func checksum(b []byte, name keyName) uint64 {
	var d xxhash.Digest
	d.ResetWithSeed(name.hash)
	_, _ = d.Write(b)
	return d.Sum64()
}

// bytesOf returns the bytes of a string, which nobody may change.
func bytesOf(s string) []byte { return unsafe.Slice(unsafe.StringData(s), len(s)) }
