// Package codec turns values into bytes and back, for whatever keeps values outside of the process: the store on Redis,
// and the journal of write-back. A [Codec] makes the bytes of one type, and each [Layer] makes others of those, as
// compression and encryption do.
package codec

import (
	"encoding/json"
	"reflect"
)

// Codec turns values into bytes and back. Its methods may be called by any number of goroutines at once.
type Codec[V any] interface {
	// ID names the format. It is kept with each value, so that bytes of another format are never decoded. IDs below 128
	// are tarn's own; yours are from 128 on, also where there is a codec of tarn inside: who keeps values refuses others
	// with a panic. Always the same.
	ID() byte

	// Append appends the bytes of value to dst and returns the longer slice.
	Append(dst []byte, value V) ([]byte, error)

	// Decode returns the value that Append made the bytes of. It may neither keep nor change src, nor hold on to parts
	// of it in the value. Anybody who can write where values are kept can have written src.
	Decode(src []byte) (V, error)
}

// IDs of the codecs in this package.
const (
	jsonID = 1
	rawID  = 2
)

// For returns the Codec that is used where none is named: one that keeps kinds of string and of []byte as they are, and
// [JSON] for any other type. A nil []byte comes back empty.
func For[V any]() Codec[V] {
	switch t := reflect.TypeFor[V](); {
	case t.Kind() == reflect.String:
		return rawString[V]{}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return rawBytes[V]{}
	}
	return JSON[V]{}
}

// JSON is a Codec by encoding/json.
type JSON[V any] struct{}

// ID returns 1.
func (JSON[V]) ID() byte { return jsonID }

// Append appends what json.Marshal returns.
func (JSON[V]) Append(dst []byte, value V) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(dst, text...), err
}

// Decode calls json.Unmarshal.
func (JSON[V]) Decode(src []byte) (V, error) {
	var value V
	err := json.Unmarshal(src, &value)
	return value, err
}
