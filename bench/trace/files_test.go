package trace_test

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tarncache/tarn/bench/trace"
)

// record is one of libCacheSim's.
func record(time uint32, key uint64, size uint32, next int64) []byte {
	r := binary.LittleEndian.AppendUint32(nil, time)
	r = binary.LittleEndian.AppendUint64(r, key)
	r = binary.LittleEndian.AppendUint32(r, size)
	return binary.LittleEndian.AppendUint64(r, uint64(next))
}

func zipped(content []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write(content)
	w.Close()
	return b.Bytes()
}

func file(t testing.TB, format trace.Format, content []byte) trace.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "requests")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return trace.File{Path: path, Format: format}
}

// keysOf reads a trace to its end or to the first error.
func keysOf(s trace.Source) (keys []uint64, err error) {
	for some, err := range trace.Batches(s) {
		if err != nil {
			return keys, err
		}
		keys = append(keys, some...)
	}
	return keys, nil
}

func TestFormats(t *testing.T) {
	most := ^uint64(0)
	for _, row := range []struct {
		rule    string
		format  trace.Format
		content string
		want    []uint64
	}{
		{"arc: a line is a run of keys", trace.ARC, "5 3 0 0\n1 1 0 1\n", []uint64{5, 6, 7, 1}},
		{"arc: what follows the count says nothing", trace.ARC, "5 2 -1 x y\n", []uint64{5, 6}},
		{"arc: a run of no keys asks for none", trace.ARC, "5 0 0 0\n7 1 0 0\n", []uint64{7}},
		{"arc: the greatest key", trace.ARC, "18446744073709551614 2 0 0\n", []uint64{most - 1, most}},
		{"arc: tabs, more space, CR LF, an empty line, no end", trace.ARC, " 1\t1  0 0\r\n\r\n2 1", []uint64{1, 2}},
		{"lirs: a key a line", trace.LIRS, "3\n0\n3\n", []uint64{3, 0, 3}},
		{"lirs: marks are left out", trace.LIRS, "1\n*\n2\n* 7\n3\n", []uint64{1, 2, 3}},
		{"lirs: CR LF, an empty line, no end", trace.LIRS, "1\r\n\r\n 2 \n18446744073709551615", []uint64{1, 2, most}},
		{"be64: the highest byte first", trace.BE64, "\x00\x00\x00\x00\x00\x00\x01\x02\xff\xff\xff\xff\xff\xff\xff\xff",
			[]uint64{258, most}},
		{"be32: the highest byte first", trace.BE32, "\x00\x00\x01\x02\xff\xff\xff\xff", []uint64{258, 1<<32 - 1}},
		{"be32: a key may begin as gzip does", trace.BE32, "\x1f\x8b\x08\xe0", []uint64{0x1f8b08e0}},
		{"be64: and one that is shorter than gzip's beginning", trace.BE64, "\x1f\x8b\x00\x00\x00\x00\x00\x00",
			[]uint64{0x1f8b << 48}},
		{"oracle: the key alone, the lowest byte first", trace.Oracle,
			string(record(9, 258, 77, 1)) + string(record(9, most, 0, -1)), []uint64{258, most}},
	} {
		t.Run(row.rule, func(t *testing.T) {
			for name, content := range map[string][]byte{"plain": []byte(row.content), "gzip": zipped([]byte(row.content))} {
				keys, err := keysOf(trace.Files(file(t, row.format, content)))
				if err != nil || !slices.Equal(keys, row.want) {
					t.Errorf("%s: %v, %v; want %v", name, keys, err, row.want)
				}
			}
		})
	}
}

func TestFilesFollowEachOther(t *testing.T) {
	a := file(t, trace.LIRS, []byte("1\n2\n"))
	b := file(t, trace.BE32, zipped([]byte("\x00\x00\x00\x02")))
	s := trace.Files(a, b, a)
	for range 2 { // the rule: a source is the same each time
		if keys, err := keysOf(s); err != nil || !slices.Equal(keys, []uint64{1, 2, 2, 1, 2}) {
			t.Errorf("%v, %v", keys, err)
		}
	}
	if s.Name() != "requests + requests + requests" {
		t.Errorf("its name is %q", s.Name())
	}
}

func TestDamage(t *testing.T) {
	whole := zipped([]byte(strings.Repeat("123456\n", 100_000)))
	wrongSum := slices.Clone(whole)
	wrongSum[len(wrongSum)-5] ^= 1
	long := strings.Repeat("1", 70_000)
	for _, row := range []struct {
		rule    string
		format  trace.Format
		content string
		want    string // in the error, after the file
	}{
		{"be64: a record cut off", trace.BE64, strings.Repeat("x", 19), "byte 16: the file ends after 3 of a record's 8 bytes"},
		{"be32: a record cut off", trace.BE32, "abcdefg", "byte 4: the file ends after 3 of a record's 4 bytes"},
		{"oracle: a record cut off", trace.Oracle, strings.Repeat("x", 47), "byte 24: the file ends after 23 of"},
		{"arc: a line cut off", trace.ARC, "1 1 0 0\n7", "line 2: the line has fewer than two fields"},
		{"arc: no number", trace.ARC, "1 1 0 0\n\n7x 1 0 0\n", "line 3: the first key: not a whole number"},
		{"arc: no count", trace.ARC, "1 -1 0 0\n", "line 1: the count of keys: not a whole number"},
		{"arc: more keys than ever were asked for at once", trace.ARC, "1 16777217\n", "line 1: the line asks for more than"},
		{"arc: keys beyond the greatest", trace.ARC, "18446744073709551615 2\n", "line 1: the keys that the line asks for go"},
		{"lirs: two fields", trace.LIRS, "1\n2 3\n", "line 2: the line has more than one field"},
		{"lirs: no number", trace.LIRS, "1\n2\n-3\n", "line 3: the key: not a whole number"},
		{"lirs: a number too great", trace.LIRS, "18446744073709551616\n", "line 1: the key: not a whole number"},
		{"lirs: a number far too great", trace.LIRS, "99999999999999999999\n", "line 1: the key: not a whole number"},
		{"lirs: a mark in front of nothing is no key", trace.LIRS, "1\n+\n", "line 2: the key: not a whole number"},
		{"a line that does not end", trace.LIRS, "1\n" + long, "line 2: the line is longer than"},
		{"empty", trace.BE64, "", "holds no request"},
		{"nothing but marks", trace.LIRS, "*\n*\n", "holds no request"},
		{"nothing packed", trace.LIRS, string(zipped(nil)), "holds no request"},
		{"gzip cut off in its data", trace.LIRS, string(whole[:len(whole)/2]), "the compressed data end early"},
		{"gzip cut off in its sum", trace.LIRS, string(whole[:len(whole)-3]), "line 100001: the compressed data end early"},
		{"gzip cut off in its beginning", trace.LIRS, string(whole[:7]), "the compressed data end early"},
		{"gzip with a wrong sum", trace.LIRS, string(wrongSum), "line 100001: the compressed data are damaged"},
		{"gzip and then something else", trace.LIRS, string(whole) + "7\n8\n", "line 100001: the compressed data"},
		{"gzip cut off in a record", trace.BE64, string(zipped(make([]byte, 8))[:15]), "the compressed data end early"},
	} {
		t.Run(row.rule, func(t *testing.T) {
			good := file(t, trace.LIRS, []byte("1\n"))
			bad := file(t, row.format, []byte(row.content))
			_, err := trace.Load(trace.Files(good, bad), 10)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), bad.Path) || !strings.Contains(err.Error(), row.want) {
				t.Errorf("%q does not name the file, or say %q", err, row.want)
			}
		})
	}
	missing := trace.File{Path: filepath.Join(t.TempDir(), "none"), Format: trace.ARC}
	if _, err := keysOf(trace.Files(missing)); !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "none") {
		t.Errorf("a file that is not there: %v", err)
	}
	if _, err := keysOf(trace.Files(trace.File{Path: t.TempDir(), Format: trace.ARC})); err == nil {
		t.Error("a folder is a trace")
	}
}

// What lies in front of the damage is read, so that whoever does want it can have it.
func TestKeysBeforeDamage(t *testing.T) {
	r, err := trace.Files(file(t, trace.LIRS, []byte("1\n2\nx\n4\n"))).Open()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	keys := make([]uint64, 10)
	if n, err := r.Read(keys); n != 2 || err != nil || keys[0] != 1 || keys[1] != 2 {
		t.Errorf("%v, %v", keys[:n], err)
	}
	for range 2 { // the rule: nothing is read after an error
		if n, err := r.Read(keys); n != 0 || err == nil || err == io.EOF {
			t.Errorf("%v, %v after the damage", keys[:n], err)
		}
	}
}

func TestParseFile(t *testing.T) {
	for _, row := range []struct {
		arg    string
		format trace.Format
		want   trace.File
	}{
		{"a/oltp.gz", trace.ARC, trace.File{Path: "a/oltp.gz", Format: trace.ARC}},
		{"lirs:a/loop.gz", trace.ARC, trace.File{Path: "a/loop.gz", Format: trace.LIRS}},
		{"lirs:a/loop.gz", "", trace.File{Path: "a/loop.gz", Format: trace.LIRS}},
		{`C:\loop.gz`, trace.LIRS, trace.File{Path: `C:\loop.gz`, Format: trace.LIRS}},
		{"be64:arc:odd", "", trace.File{Path: "arc:odd", Format: trace.BE64}},
	} {
		if f, err := trace.ParseFile(row.arg, row.format); err != nil || f != row.want {
			t.Errorf("%q: %v, %v", row.arg, f, err)
		}
	}
	if _, err := trace.ParseFile("a/oltp.gz", ""); err == nil || !strings.Contains(err.Error(), "oltp") {
		t.Errorf("no format at all: %v", err)
	}
	for _, name := range trace.Formats() {
		if f, err := trace.ParseFormat(name); err != nil || string(f) != name {
			t.Errorf("format %q: %v, %v", name, f, err)
		}
	}
	if _, err := trace.ParseFormat("csv"); err == nil || !strings.Contains(err.Error(), "oracle") {
		t.Errorf("an unknown format: %v", err)
	}
}
