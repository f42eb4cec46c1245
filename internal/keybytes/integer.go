package keybytes

import (
	"strconv"
	"unsafe"
)

// MaxInteger is how many bytes AppendInteger appends at most.
const MaxInteger = 20

// AppendInteger appends the bytes of a key that is a kind of integer, and reports whether it is one. Unlike Append it
// lets dst stay on the stack.
func (f *Form[K]) AppendInteger(dst []byte, key K) ([]byte, bool) {
	switch f.kind {
	case signedKey:
		return strconv.AppendInt(dst, f.signed(key), 10), true
	case unsignedKey:
		return strconv.AppendUint(dst, f.unsigned(key), 10), true
	default:
		return dst, false
	}
}

// signed and unsigned read a key as what its kind says it is.
func (f *Form[K]) signed(key K) int64 {
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

func (f *Form[K]) unsigned(key K) uint64 {
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

// parseInteger refuses what Append would not write, as +7 and 007.
func (f *Form[K]) parseInteger(bytes string) (key K, err error) {
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
		return none, f.bad("bytes that are no key", err)
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
