package zstd_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/tarncache/tarn/codec/zstd"
)

const (
	asItIs     = 0
	compressed = 1
)

func packed(t testing.TB, c *zstd.Compression, value []byte) []byte {
	t.Helper()
	out, err := c.Append([]byte("head"), value, nil)
	if err != nil || string(out[:4]) != "head" {
		t.Fatalf("%.4q, %v", out, err)
	}
	return out[4:]
}

func TestComesBack(t *testing.T) {
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	text := []byte(strings.Repeat("Ada Lovelace ", 1000))
	for _, o := range []zstd.Options{{}, {MinSize: 1}, {Level: 1}, {Level: 22, MinSize: 1}} {
		c := zstd.Compressed(o)
		for _, value := range [][]byte{{}, {0}, text[:200], text, bytes.Repeat(text, 30), noise} {
			stored := packed(t, c, value)
			if len(stored) > len(value)+1 {
				t.Errorf("%d bytes became %d", len(value), len(stored))
			}
			got, err := c.Decode([]byte("head"), stored, nil, len(value))
			if err != nil || string(got) != "head"+string(value) {
				t.Errorf("%+v: %d bytes came back as %d, %v", o, len(value), len(got), err)
			}
			if len(value) == 0 {
				continue
			}
			if _, err := c.Decode(nil, stored, nil, len(value)-1); err == nil {
				t.Errorf("%+v: %d bytes with a limit of one less", o, len(value))
			}
		}
		if stored := packed(t, c, text); len(stored) > len(text)/50 {
			t.Errorf("%+v: %d bytes of %d are no compression", o, len(stored), len(text))
		}
	}
	if stored := packed(t, zstd.Compressed(zstd.Options{}), text[:255]); stored[0] != asItIs {
		t.Error("255 bytes are not worth the time")
	}
}

// TestRefuses reads what Append never writes.
func TestRefuses(t *testing.T) {
	c := zstd.Compressed(zstd.Options{MinSize: 1})
	good := packed(t, c, bytes.Repeat([]byte("a"), 1000))
	_, n := binary.Uvarint(good[1:])
	frame := good[1+n:]
	with := func(size uint64, frame []byte) []byte {
		return append(binary.AppendUvarint([]byte{compressed}, size), frame...)
	}
	tests := []struct {
		rule  string
		src   []byte
		limit int
	}{
		{"empty", nil, 1000},
		{"another kind", []byte{2, 0}, 1000},
		{"no length", []byte{compressed}, 1000},
		{"a length that never ends", append([]byte{compressed}, bytes.Repeat([]byte{255}, 20)...), 1000},
		{"as it is, above the limit", append([]byte{asItIs}, make([]byte, 1001)...), 1000},
		{"above the limit", good, 999},
		{"says more than it makes", with(1001, frame), 2000},
		{"says less than it makes", with(999, frame), 2000},
		{"says much less than it makes", with(1, frame), 2000},
		{"two frames", with(1000, append(bytes.Clone(frame), frame...)), 2000},
		{"something behind it", with(1000, append(bytes.Clone(frame), 0)), 2000},
		{"cut off", good[:len(good)-1], 2000},
		{"no frame", with(10, []byte{255, 255, 255}), 2000},
		{"nothing", with(10, nil), 2000},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := c.Decode([]byte("head"), tt.src, nil, tt.limit)
			if err == nil || string(got) != "head" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	if got, err := c.Decode(nil, good, nil, 1000); err != nil || len(got) != 1000 {
		t.Errorf("after all that: %d bytes, %v", len(got), err)
	}
}

// TestBomb reads what makes 16 MB of a few kilobytes, whatever it says that it makes.
func TestBomb(t *testing.T) {
	c := zstd.Compressed(zstd.Options{})
	bomb := packed(t, c, make([]byte, 16<<20))
	_, n := binary.Uvarint(bomb[1:])
	frame := bomb[1+n:]
	// A frame that does not say its size, of blocks that repeat one byte, 128 KB each.
	endless := []byte{0x28, 0xb5, 0x2f, 0xfd, 0, 0x60} // magic number, no flags, a window of 4 MB
	for range 128 {
		endless = append(endless, 0x02, 0, 0x10, 0) // a block of RLE that is not the last: 2^17 bytes of one
	}
	endless = append(endless, 0x01, 0, 0) // an empty one, the last
	if _, err := c.Decode(nil, append(binary.AppendUvarint([]byte{compressed}, 16<<20), endless...), nil, 16<<20); err != nil {
		t.Fatalf("the test's own frame: %v", err)
	}
	for _, frame := range [][]byte{frame, endless} {
		for _, size := range []uint64{1, 1 << 16, 1<<16 + 1, 16 << 20, 1 << 62} {
			src := append(binary.AppendUvarint([]byte{compressed}, size), frame...)
			if len(src) > 1<<14 {
				t.Fatalf("%d bytes are no bomb", len(src))
			}
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := c.Decode(nil, src, nil, 1<<16)
			runtime.ReadMemStats(&after)
			if spent := after.TotalAlloc - before.TotalAlloc; err == nil || spent > 1<<20 {
				t.Errorf("says %d: took %d bytes, %v", size, spent, err)
			}
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	c := zstd.Compressed(zstd.Options{})
	value := []byte(strings.Repeat("Ada Lovelace ", 1000))
	src, dst := packed(t, c, value), make([]byte, 0, 2*len(value))
	if n := testing.AllocsPerRun(100, func() { _, _ = c.Decode(dst, src, nil, len(value)) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which fails where a goroutine is left behind
		c := zstd.Compressed(zstd.Options{})
		for i := range 8 {
			go func() {
				value := bytes.Repeat([]byte{byte(i)}, 10_000+i)
				for range 20 {
					src, _ := c.Append(nil, value, nil)
					got, err := c.Decode(nil, src, nil, len(value))
					if err != nil || !bytes.Equal(got, value) {
						t.Errorf("%d bytes, %v", len(got), err)
					}
				}
			}()
		}
	})
}

func TestPanics(t *testing.T) {
	for says, o := range map[string]zstd.Options{
		"zstd: Options.Level is not between 0 and 22: 23": {Level: 23},
		"zstd: Options.Level is not between 0 and 22: -1": {Level: -1},
		"zstd: Options.MinSize is negative: -1":           {MinSize: -1},
	} {
		func() {
			defer func() {
				if got := recover(); got != says {
					t.Errorf("%v, want %s", got, says)
				}
			}()
			zstd.Compressed(o)
		}()
	}
}

// FuzzDecode reads any bytes as what was compressed.
func FuzzDecode(f *testing.F) {
	c := zstd.Compressed(zstd.Options{MinSize: 1})
	for _, n := range []int{0, 1, 100, 10_000} {
		f.Add(packed(f, c, bytes.Repeat([]byte("Ada"), n)), uint16(3*n))
	}
	f.Fuzz(func(t *testing.T, src []byte, limit uint16) {
		before := string(src)
		out, err := c.Decode([]byte("head"), src, nil, int(limit))
		if string(out[:4]) != "head" || len(out)-4 > int(limit) || err != nil && len(out) != 4 {
			t.Fatalf("%d bytes of %d, %v", len(out), limit, err)
		}
		if string(src) != before {
			t.Fatal("what was read is changed")
		}
	})
}

func ExampleCompressed() {
	c := zstd.Compressed(zstd.Options{})
	page := []byte(strings.Repeat("Ada Lovelace ", 1000))
	small, _ := c.Append(nil, page, nil)
	again, _ := c.Decode(nil, small, nil, 1<<20)
	fmt.Println(len(page), len(small) < 100, bytes.Equal(page, again))
	// Output: 13000 true true
}
