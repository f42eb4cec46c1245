package trace_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/tarncache/tarn/bench/trace"
)

// FuzzFiles reads arbitrary bytes in every format. How many keys are asked for at a time must not matter, and of a
// file in which no error is found every byte must have been looked at.
func FuzzFiles(f *testing.F) {
	for _, seed := range []string{
		"", "5 3 0 0\n1 1 0 1\n", "1\n*\n22\n", "1 16777217\n", "18446744073709551615 2\n", "\x1f\x8b\x08\x00",
		string(record(1, 2, 3, 4)), string(zipped([]byte("7\n8\n"))), string(zipped(record(1, 2, 3, 4))[:30]),
	} {
		f.Add([]byte(seed))
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) {
		path := filepath.Join(dir, "requests")
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		for _, name := range trace.Formats() {
			s := trace.Files(trace.File{Path: path, Format: trace.Format(name)})
			few, errFew := readBy(t, s, 3)
			many, errMany := readBy(t, s, 1000)
			if !slices.Equal(few, many) || (errFew == nil) != (errMany == nil) ||
				errFew != nil && errFew.Error() != errMany.Error() {
				t.Fatalf("%s: %d keys and %v by few, %d keys and %v by many", name, len(few), errFew, len(many), errMany)
			}
			size := map[string]int{"be64": 8, "be32": 4, "oracle": 24}[name]
			packed := bytes.HasPrefix(content, []byte{0x1f, 0x8b, 8})
			if size > 0 && !packed && (errFew == nil) != (len(content) > 0 && len(content)%size == 0) {
				t.Fatalf("%s: %d bytes are %d keys and %v", name, len(content), len(few), errFew)
			}
			if size > 0 && !packed && len(few) != len(content)/size {
				t.Fatalf("%s: %d bytes are %d keys", name, len(content), len(few))
			}
		}
	})
}

// enough keys are read of a file of a few bytes, which may ask for many.
const enough = 100_000

func readBy(t *testing.T, s trace.Source, size int) (all []uint64, err error) {
	r, err := s.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	keys := make([]uint64, size)
	for len(all) < enough {
		n, err := r.Read(keys)
		if (n == 0) != (err != nil) {
			t.Fatalf("Read returned %d and %v", n, err)
		}
		if err != nil {
			return all, ignoreEnd(err)
		}
		all = append(all, keys[:n]...)
	}
	return all[:enough], nil
}
