// Package keybytes turns keys into bytes and back, for whatever keeps them outside of the process.
package keybytes

import (
	"encoding"
	"reflect"
	"unsafe"
)

// keyKind says how the bytes of a key are found.
type keyKind uint8

const (
	stringKey   keyKind = iota + 1 // a kind of string: its bytes
	signedKey                      // a kind of int: in decimal
	unsignedKey                    // a kind of uint: in decimal
	textKey                        // an encoding.TextMarshaler, and a TextUnmarshaler if texts is set
	ownKey                         // by the Config's functions
)

// Options say how, and what errors name.
type Options[K comparable] struct {
	// Append appends the bytes of a key, for types of which Form knows nothing itself. Parse undoes it, and may be nil.
	Append func(dst []byte, key K) ([]byte, error)
	Parse  func(src []byte) (K, error)

	Package string // for errors and panics: "redisstore"
	Config  string // for panics, the type that has AppendKey and ParseKey: "Config"
}

// Form turns keys into bytes and back. All methods may be called at once.
type Form[K comparable] struct {
	kind  keyKind
	bits  int  // of an integer
	texts bool // of a textKey: *K is a TextUnmarshaler
	apply func(dst []byte, key K) ([]byte, error)
	undo  func(src []byte) (K, error) // may be nil
	pkg   string
}

// New panics where there is no way to tell keys apart by bytes. Kinds of string and of integer are taken as what they
// are, also where they have a text: unlike many texts, that is another one for each.
func New[K comparable](o Options[K]) Form[K] {
	field := o.Package + ": " + o.Config + "."
	f := Form[K]{pkg: o.Package}
	t := reflect.TypeFor[K]()
	switch {
	case o.Append != nil:
		f.kind, f.apply, f.undo = ownKey, o.Append, o.Parse
		return f
	case o.Parse != nil:
		panic(field + "ParseKey is set, but " + o.Config + ".AppendKey is not")
	}
	switch t.Kind() {
	case reflect.String:
		f.kind = stringKey
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		f.kind, f.bits = signedKey, t.Bits()
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		f.kind, f.bits = unsignedKey, t.Bits()
	case reflect.Struct, reflect.Array, reflect.Bool, reflect.Float32, reflect.Float64, reflect.Complex64, reflect.Complex128:
		if reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
			f.kind, f.texts = textKey, reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
		}
	}
	if f.kind == 0 {
		panic(field + "AppendKey is nil, and keys of type " + t.String() +
			" are neither strings nor integers nor encoding.TextMarshalers that are no pointers or interfaces")
	}
	return f
}

// Text returns the bytes of a key that is a kind of string, and whether it is one. It allocates nothing.
func (f *Form[K]) Text(key K) (string, bool) {
	if f.kind != stringKey {
		return "", false
	}
	return *(*string)(unsafe.Pointer(&key)), true
}

// Append appends the bytes of any key. Two keys that differ have different bytes, if Options.Append makes none of one
// text. With an error, which is permanent, dst is returned as it was.
func (f *Form[K]) Append(dst []byte, key K) ([]byte, error) {
	switch f.kind {
	case stringKey:
		return append(dst, *(*string)(unsafe.Pointer(&key))...), nil
	case signedKey, unsignedKey:
		dst, _ = f.AppendInteger(dst, key)
		return dst, nil
	case textKey:
		return f.appendText(dst, key)
	}
	out, err := f.apply(dst, key)
	switch {
	case err != nil:
		return dst, f.bad("AppendKey failed", err)
	case len(out) < len(dst):
		return dst, f.bad("AppendKey returned less than it was given", nil)
	}
	return out, nil
}

func (f *Form[K]) appendText(dst []byte, key K) ([]byte, error) {
	out, err := appendText(dst, &key)
	switch {
	case err != nil || len(out) < len(dst):
		return dst, f.bad("its text cannot be made", err)
	case !f.texts:
		return out, nil
	}
	// Two keys of one text would share an entry, and who is told of a change by its text would look for another key.
	back, err := f.parseText(out[len(dst):])
	if err != nil || back != key {
		return dst, f.bad("its text does not give the same key back", err)
	}
	return out, nil
}

func appendText[K comparable](dst []byte, key *K) ([]byte, error) {
	if a, ok := any(key).(encoding.TextAppender); ok {
		return a.AppendText(dst)
	}
	text, err := any(key).(encoding.TextMarshaler).MarshalText()
	return append(dst, text...), err
}

func (f *Form[K]) parseText(src []byte) (K, error) {
	key := new(K)
	err := any(key).(encoding.TextUnmarshaler).UnmarshalText(src)
	return *key, err
}

// Parses reports whether Parse works at all.
func (f *Form[K]) Parses() bool {
	switch f.kind {
	case textKey:
		return f.texts
	case ownKey:
		return f.undo != nil
	default:
		return true
	}
}

// Parse returns the key that has the bytes. It fails where they are no key's, and with errors.ErrUnsupported where keys
// cannot be told by their bytes.
func (f *Form[K]) Parse(bytes string) (key K, err error) {
	p := unsafe.Pointer(&key)
	switch f.kind {
	case stringKey:
		*(*string)(p) = bytes
		return key, nil
	case signedKey, unsignedKey:
		return f.parseInteger(bytes)
	case textKey:
		if !f.texts {
			return key, f.unnamed()
		}
		key, err = f.parseText([]byte(bytes))
	case ownKey:
		if f.undo == nil {
			return key, f.unnamed()
		}
		key, err = f.undo([]byte(bytes))
	}
	if err != nil {
		var none K
		return none, f.bad("bytes that are no key", err)
	}
	return key, nil
}
