package redisstore

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"unsafe"

	"github.com/tarncache/tarn"
)

var errKeyTooLong = fmt.Errorf("redisstore: key: longer than %d bytes: %w", maxKey, tarn.ErrTooHeavy)

// keyError hides its cause, which may quote the key, from the text.
type keyError struct {
	text  string
	cause error // may be nil
}

// badKey is permanent: it is the key's fault, which says nothing of Redis and does not go away.
func badKey(text string, cause error) error { return tarn.Permanent(&keyError{text, cause}) }

func (e *keyError) Error() string { return "redisstore: key: " + e.text }
func (e *keyError) Unwrap() error { return e.cause }

// keyKind says how the bytes of a key are found.
type keyKind uint8

const (
	stringKey   keyKind = iota + 1 // a kind of string: its bytes
	signedKey                      // a kind of int: in decimal
	unsignedKey                    // a kind of uint: in decimal
	textKey                        // an encoding.TextMarshaler, and a TextUnmarshaler if texts is set
	ownKey                         // by the Config's functions
)

// keyForm turns keys into bytes and back.
type keyForm[K comparable] struct {
	kind  keyKind
	bits  int  // of an integer
	texts bool // of a textKey: *K is a TextUnmarshaler
	apply func(dst []byte, key K) ([]byte, error)
	undo  func(src []byte) (K, error) // may be nil
}

// newKeyForm panics where there is no way to tell keys apart by bytes. Kinds of string and of integer are taken as
// what they are, also where they have a text: unlike many texts, that is another one for each.
func newKeyForm[K comparable](
	apply func(dst []byte, key K) ([]byte, error), undo func(src []byte) (K, error),
) keyForm[K] {
	t := reflect.TypeFor[K]()
	switch {
	case apply != nil:
		return keyForm[K]{kind: ownKey, apply: apply, undo: undo}
	case undo != nil:
		panic("redisstore: Config.ParseKey is set, but Config.AppendKey is not")
	}
	switch t.Kind() {
	case reflect.String:
		return keyForm[K]{kind: stringKey}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return keyForm[K]{kind: signedKey, bits: t.Bits()}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return keyForm[K]{kind: unsignedKey, bits: t.Bits()}
	case reflect.Struct, reflect.Array, reflect.Bool, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			return keyForm[K]{kind: textKey, texts: reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())}
		}
	}
	panic("redisstore: Config.AppendKey is nil, and keys of type " + t.String() +
		" are neither strings nor integers nor encoding.TextMarshalers that are no pointers or interfaces")
}

// text, signed and unsigned read a key as what its kind says it is.
func (f *keyForm[K]) text(key K) string { return *(*string)(unsafe.Pointer(&key)) }

func (f *keyForm[K]) signed(key K) int64 {
	switch p := unsafe.Pointer(&key); f.bits {
	case 8:
		return int64(*(*int8)(p))
	case 16:
		return int64(*(*int16)(p))
	case 32:
		return int64(*(*int32)(p))
	default:
		return *(*int64)(p)
	}
}

func (f *keyForm[K]) unsigned(key K) uint64 {
	switch p := unsafe.Pointer(&key); f.bits {
	case 8:
		return uint64(*(*uint8)(p))
	case 16:
		return uint64(*(*uint16)(p))
	case 32:
		return uint64(*(*uint32)(p))
	default:
		return *(*uint64)(p)
	}
}

// append is for textKey and ownKey.
func (f *keyForm[K]) append(dst []byte, key K) ([]byte, error) {
	if f.kind == ownKey {
		bytes, err := f.apply(dst, key)
		if err != nil {
			return dst, badKey("AppendKey failed", err)
		}
		return bytes, nil
	}
	start := len(dst)
	dst, err := appendText(dst, &key)
	if err != nil {
		return dst, badKey("its text cannot be made", err)
	}
	if !f.texts {
		return dst, nil
	}
	// Two keys of one text would share an entry, and who is told of a change by its text would look for another key.
	back, err := f.parseText(dst[start:])
	if err != nil || back != key {
		return dst, badKey("its text does not give the same key back", err)
	}
	return dst, nil
}

func appendText[K comparable](dst []byte, key *K) ([]byte, error) {
	if a, ok := any(key).(encoding.TextAppender); ok {
		return a.AppendText(dst)
	}
	text, err := any(key).(encoding.TextMarshaler).MarshalText()
	return append(dst, text...), err
}

func (f *keyForm[K]) parseText(src []byte) (K, error) {
	key := new(K)
	err := any(key).(encoding.TextUnmarshaler).UnmarshalText(src)
	return *key, err
}

func (f *keyForm[K]) parses() bool {
	switch f.kind {
	case textKey:
		return f.texts
	case ownKey:
		return f.undo != nil
	default:
		return true
	}
}

func (f *keyForm[K]) parse(bytes string) (key K, err error) {
	p := unsafe.Pointer(&key)
	switch f.kind {
	case stringKey:
		*(*string)(p) = bytes
		return key, nil
	case signedKey, unsignedKey:
		return f.parseInteger(bytes)
	case textKey:
		if !f.texts {
			return key, errUnnamed
		}
		key, err = f.parseText([]byte(bytes))
	case ownKey:
		if f.undo == nil {
			return key, errUnnamed
		}
		key, err = f.undo([]byte(bytes))
	}
	if err != nil {
		var none K
		return none, badKey("bytes that are no key", err)
	}
	return key, nil
}

var errUnnamed = fmt.Errorf("redisstore: keys of this type cannot be named: %w", errors.ErrUnsupported)

// parseInteger refuses what name would not write, as +7 and 007.
func (f *keyForm[K]) parseInteger(bytes string) (key K, err error) {
	var same bool
	p := unsafe.Pointer(&key)
	if f.kind == signedKey {
		var i int64
		i, err = strconv.ParseInt(bytes, 10, f.bits)
		same = err == nil && strconv.FormatInt(i, 10) == bytes
		putBits(p, f.bits, uint64(i))
	} else {
		var u uint64
		u, err = strconv.ParseUint(bytes, 10, f.bits)
		same = err == nil && strconv.FormatUint(u, 10) == bytes
		putBits(p, f.bits, u)
	}
	if !same {
		var none K
		return none, badKey("bytes that are no key", err)
	}
	return key, nil
}

func putBits(p unsafe.Pointer, bits int, u uint64) {
	switch bits {
	case 8:
		*(*uint8)(p) = uint8(u)
	case 16:
		*(*uint16)(p) = uint16(u)
	case 32:
		*(*uint32)(p) = uint32(u)
	default:
		*(*uint64)(p) = u
	}
}
