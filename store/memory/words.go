package memory

import (
	"reflect"
	"sync/atomic"
	"unsafe"
)

// words says how a value is read and written word by word, each word atomically, so that it can be changed while others
// read it: [node] counts the changes, and a reader that met one reads again. That is a sequence lock, in the form that a
// memory model allows (Boehm: Can Seqlocks Get Along With Programming Language Memory Models?, MSPC 2012). The zero
// words are those of a type whose values are not changed in place, but put into a new node.
type words struct {
	n        int    // how many there are; 0: not to be changed in place
	pointers uint32 // bit i: word i is a pointer, which the garbage collector has to know
}

const (
	wordSize  = unsafe.Sizeof(uintptr(0))
	mostWords = 8 // longer values are changed by a pointer to them: a word costs more than its share of an allocation
)

// wordsOf returns the words of a type that is made of whole ones, and not of too many.
func wordsOf[V any]() words {
	t := reflect.TypeFor[V]()
	if t.Size() == 0 || t.Size() > mostWords*wordSize || t.Size()%wordSize != 0 || t.Align()%int(wordSize) != 0 {
		return words{}
	}
	w := words{n: int(t.Size() / wordSize)}
	w.pointers = pointersIn(t) // which of them are pointers
	return w
}

// pointersIn returns which words of a type are pointers. Of an interface the first word, its type, is none to the
// garbage collector: types are not collected, and the compiler's own maps of pointers leave it out.
func pointersIn(t reflect.Type) uint32 {
	switch t.Kind() {
	case reflect.Pointer, reflect.UnsafePointer, reflect.Map, reflect.Chan, reflect.Func, reflect.String, reflect.Slice:
		return 1
	case reflect.Interface:
		return 2
	case reflect.Array:
		var pointers uint32
		if t.Elem().Size() == 0 {
			return 0
		}
		element := pointersIn(t.Elem())
		for i := 0; element != 0 && i < t.Len(); i++ {
			pointers |= element << (uintptr(i) * t.Elem().Size() / wordSize)
		}
		return pointers
	case reflect.Struct:
		var pointers uint32
		for i := range t.NumField() {
			f := t.Field(i)
			pointers |= pointersIn(f.Type) << (f.Offset / wordSize)
		}
		return pointers
	default:
		return 0
	}
}

// load returns a value that others may be writing. The sizes are known when it is compiled.
func load[V any](from *V, w words) (value V) {
	at := unsafe.Pointer(from)
	switch {
	case unsafe.Sizeof(value) == wordSize && w.pointers == 0:
		v := atomic.LoadUintptr((*uintptr)(at))
		return *(*V)(unsafe.Pointer(&v))
	case unsafe.Sizeof(value) == wordSize:
		v := atomic.LoadPointer((*unsafe.Pointer)(at))
		return *(*V)(unsafe.Pointer(&v))
	case unsafe.Sizeof(value) == 2*wordSize && w.pointers == 1:
		v := struct {
			p unsafe.Pointer
			n uintptr
		}{atomic.LoadPointer((*unsafe.Pointer)(at)), atomic.LoadUintptr((*uintptr)(unsafe.Add(at, wordSize)))}
		return *(*V)(unsafe.Pointer(&v))
	default:
		w.load(unsafe.Pointer(&value), at)
		return value
	}
}

// load copies a value that others may be writing to one that nobody else knows.
func (w words) load(to, from unsafe.Pointer) {
	for i := range w.n {
		at := uintptr(i) * wordSize
		if w.pointers>>i&1 != 0 {
			*(*unsafe.Pointer)(unsafe.Add(to, at)) = atomic.LoadPointer((*unsafe.Pointer)(unsafe.Add(from, at)))
		} else {
			*(*uintptr)(unsafe.Add(to, at)) = atomic.LoadUintptr((*uintptr)(unsafe.Add(from, at)))
		}
	}
}

// store copies a value that nobody else knows to one that others may be reading. It writes the words that differ.
func (w words) store(to, from unsafe.Pointer) {
	for i := range w.n {
		at := uintptr(i) * wordSize
		if w.pointers>>i&1 != 0 {
			into, p := (*unsafe.Pointer)(unsafe.Add(to, at)), *(*unsafe.Pointer)(unsafe.Add(from, at))
			if atomic.LoadPointer(into) != p {
				atomic.StorePointer(into, p)
			}
		} else {
			into, n := (*uintptr)(unsafe.Add(to, at)), *(*uintptr)(unsafe.Add(from, at))
			if atomic.LoadUintptr(into) != n {
				atomic.StoreUintptr(into, n)
			}
		}
	}
}
