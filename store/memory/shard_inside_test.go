package memory

import (
	"testing"
	"unsafe"
)

// TestShardsShareNoCacheLine: a reader of one shard does not slow down those of the next.
func TestShardsShareNoCacheLine(t *testing.T) {
	if unsafe.Sizeof(uintptr(0)) != 8 {
		t.Skip("counted for 64 bits")
	}
	if size := unsafe.Sizeof(shard[string, int]{}); size%64 != 0 {
		t.Errorf("%d bytes", size)
	}
}
