package redisstore

import (
	"encoding/json"
	"reflect"
	"unsafe"
)

// Codec turns values into bytes and back. Its methods may be called by any number of goroutines at once.
type Codec[V any] interface {
	// ID names the format. It is stored with each value, so that bytes of another format are never decoded: they count
	// as undecodable, and are loaded again. IDs below 128 are tarn's own; yours are from 128 on. Always the same.
	ID() byte

	// Append appends the bytes of value to dst and returns the longer slice.
	Append(dst []byte, value V) ([]byte, error)

	// Decode returns the value that Append made the bytes of. It may neither keep nor change src, nor hold on to parts
	// of it in the value. Anybody who can write to Redis can have written src.
	Decode(src []byte) (V, error)
}

// IDs of the codecs in this package.
const (
	jsonID = 1
	rawID  = 2
)

// JSON is a Codec by encoding/json, and what a store uses that is told no other, unless its values are kinds of []byte
// or string, which it stores as they are.
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

// defaultCodec returns raw for kinds of []byte and of string, and JSON for anything else.
func defaultCodec[V any]() Codec[V] {
	switch t := reflect.TypeFor[V](); {
	case t.Kind() == reflect.String:
		return rawString[V]{}
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return rawBytes[V]{}
	}
	return JSON[V]{}
}

// rawString is the Codec of a V that is a kind of string.
type rawString[V any] struct{}

func (rawString[V]) ID() byte { return rawID }

func (rawString[V]) Append(dst []byte, value V) ([]byte, error) {
	return append(dst, *(*string)(unsafe.Pointer(&value))...), nil
}

func (rawString[V]) Decode(src []byte) (value V, err error) {
	*(*string)(unsafe.Pointer(&value)) = string(src)
	return value, nil
}

// rawBytes is the Codec of a V that is a kind of []byte. A nil slice comes back empty.
type rawBytes[V any] struct{}

func (rawBytes[V]) ID() byte { return rawID }

func (rawBytes[V]) Append(dst []byte, value V) ([]byte, error) {
	return append(dst, *(*[]byte)(unsafe.Pointer(&value))...), nil
}

func (rawBytes[V]) Decode(src []byte) (value V, err error) {
	bytes := make([]byte, len(src))
	copy(bytes, src)
	*(*[]byte)(unsafe.Pointer(&value)) = bytes
	return value, nil
}
