package memory

import (
	"testing"
	"unsafe"
)

// TestReadersShareNoCacheLineWithWriters: what every Get reads of a segment is not on a cache line that the segment's
// writes change, nor a neighbour's. An array begins 8 bytes behind a multiple of 64 where it holds pointers.
func TestReadersShareNoCacheLineWithWriters(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("counted for 64 bits")
	}
	const line, begin = 64, 8
	var g segment[string, int]
	if size := unsafe.Sizeof(g); size%line != 0 {
		t.Errorf("a segment has %d bytes, %d over", size, size%line)
	}
	if size := unsafe.Sizeof(bucket[string, int]{}); size != line {
		t.Errorf("a bucket has %d bytes", size)
	}
	read := unsafe.Offsetof(g.table.words) + unsafe.Sizeof(g.table.words) // the last that a Get needs
	written := unsafe.Offsetof(g.table.count)                             // the first that a write changes
	if (begin+read-1)/line >= (begin+written)/line {
		t.Errorf("readers need bytes up to %d, writes change those from %d on", read, written)
	}
	last := unsafe.Offsetof(g.refused) + unsafe.Sizeof(g.refused)
	if (begin+last-1)/line >= (begin+unsafe.Sizeof(g))/line {
		t.Errorf("writes change bytes up to %d of %d", last, unsafe.Sizeof(g))
	}
	var s Store[string, int]
	if gap := unsafe.Offsetof(s.room) - unsafe.Offsetof(s.counts) - unsafe.Sizeof(s.counts); gap < line {
		t.Errorf("what all operations read is %d bytes before what writes change", gap)
	}
}
