package memory

import (
	"testing"
	"time"
)

// TestWords: a value is changed in place if it is made of one to eight whole words, and the garbage collector knows which
// of them are pointers.
func TestWords(t *testing.T) {
	type inner struct {
		_ int
		_ *int
	}
	for _, row := range []struct {
		name      string
		got, want words
	}{
		{"struct{}", wordsOf[struct{}](), words{}},
		{"bool", wordsOf[bool](), words{}},
		{"[3]byte", wordsOf[[3]byte](), words{}},
		{"[16]byte, which may lie anywhere", wordsOf[[16]byte](), words{}},
		{"int", wordsOf[int](), words{n: 1}},
		{"uintptr", wordsOf[uintptr](), words{n: 1}},
		{"pointer", wordsOf[*int](), words{n: 1, pointers: 0b1}},
		{"map", wordsOf[map[int]int](), words{n: 1, pointers: 0b1}},
		{"chan", wordsOf[chan int](), words{n: 1, pointers: 0b1}},
		{"func", wordsOf[func()](), words{n: 1, pointers: 0b1}},
		{"string", wordsOf[string](), words{n: 2, pointers: 0b1}},
		{"slice", wordsOf[[]int](), words{n: 3, pointers: 0b1}},
		{"any", wordsOf[any](), words{n: 2, pointers: 0b10}},
		{"error", wordsOf[error](), words{n: 2, pointers: 0b10}},
		{"time.Time", wordsOf[time.Time](), words{n: int(16/wordSize) + 1, pointers: 1 << (16 / wordSize)}},
		{"[3]string", wordsOf[[3]string](), words{n: 6, pointers: 0b010101}},
		{"[2]struct{int; pointer}", wordsOf[[2]inner](), words{n: 4, pointers: 0b1010}},
		{"struct of a struct", wordsOf[struct {
			a any
			i inner
			s string
			_ [0]*int
		}](), words{n: 7, pointers: 0b011010}}, // the last word is there for what may point behind the struct
		{"struct with a gap", wordsOf[struct {
			p *int
			b bool
			q *int
		}](), words{n: 3, pointers: 0b101}},
		{"[8]uintptr", wordsOf[[8]uintptr](), words{n: 8}},
		{"[9]uintptr, which is too long", wordsOf[[9]uintptr](), words{}},
	} {
		if row.got != row.want {
			t.Errorf("%s: %d words, pointers %b; want %d, %b", row.name, row.got.n, row.got.pointers, row.want.n,
				row.want.pointers)
		}
	}
}
