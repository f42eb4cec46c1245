package codec

import "unsafe"

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
