package trace

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Format says how the requests lie in a file. Whether the file is compressed with gzip is seen from its content.
type Format string

const (
	// ARC is text: lines of "start count", with more fields behind that say nothing here, which ask for the keys
	// start … start+count-1 (Megiddo and Modha, ARC, FAST 2003).
	ARC Format = "arc"

	// LIRS is text: a key a line. Lines that begin with * are marks, and are left out (Jiang and Zhang, LIRS,
	// SIGMETRICS 2002).
	LIRS Format = "lirs"

	// BE64 and BE32 are keys of 8 or 4 bytes, the highest first, and nothing else.
	BE64 Format = "be64"
	BE32 Format = "be32"

	// Oracle is libCacheSim's oracleGeneral: records of 24 bytes, the lowest first: the time (4 bytes), the key (8),
	// the size (4), and when the key is asked for next (8). Only the key is used.
	Oracle Format = "oracle"
)

var formats = []Format{ARC, LIRS, BE64, BE32, Oracle}

// Formats returns the names of all formats.
func Formats() []string {
	names := make([]string, len(formats))
	for i, f := range formats {
		names[i] = string(f)
	}
	return names
}

// ParseFormat returns the format of that name.
func ParseFormat(name string) (Format, error) {
	if f := Format(name); slices.Contains(formats, f) {
		return f, nil
	}
	return "", fmt.Errorf("trace: there is no format %q; there are %s", name, strings.Join(Formats(), ", "))
}

// decoder turns the bytes of a file into keys.
type decoder interface {
	// decode sets the first n of keys. Where it returns an error, position says where that is.
	decode(keys []uint64) (n int, err error)

	// position says where in the file, once unpacked, lies what was decoded last, or failed to be.
	position() string
}

func (f Format) decoder(in *bufio.Reader) decoder {
	switch f {
	case ARC:
		return &lines{in: in, parse: parseARC}
	case LIRS:
		return &lines{in: in, parse: parseLIRS}
	case BE64:
		return &records{in: in, record: make([]byte, 8), key: binary.BigEndian.Uint64}
	case BE32:
		return &records{in: in, record: make([]byte, 4), key: func(r []byte) uint64 {
			return uint64(binary.BigEndian.Uint32(r))
		}}
	case Oracle:
		return &records{in: in, record: make([]byte, 24), key: func(r []byte) uint64 {
			return binary.LittleEndian.Uint64(r[4:])
		}}
	}
	panic("trace: no such Format")
}

// records decodes keys out of records of one length.
type records struct {
	in     *bufio.Reader
	record []byte
	key    func(record []byte) uint64
	begin  int64 // of the record, in the file
}

func (d *records) decode(keys []uint64) (int, error) {
	for i := range keys {
		got, err := io.ReadFull(d.in, d.record)
		switch {
		case err != nil && got > 0:
			return i, fmt.Errorf("the file ends after %d of a record's %d bytes: %w", got, len(d.record), err)
		case err != nil:
			return i, err
		}
		keys[i] = d.key(d.record)
		d.begin += int64(len(d.record))
	}
	return len(keys), nil
}

func (d *records) position() string { return fmt.Sprintf("byte %d", d.begin) }
