package codec

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
)

// Compression is a [Layer] that compresses values with DEFLATE (RFC 1951), of the standard library. The module
// codec/zstd has another that is quicker and better. Values that do not get smaller are kept as they are.
type Compression struct {
	least   int
	writers sync.Pool // of *flate.Writer
	readers sync.Pool // of *inflater
}

// CompressionOptions say how to compress.
type CompressionOptions struct {
	// Level is from 1, the quickest, to 9, the smallest. 0: as compress/flate chooses, which is 6. What was written
	// with any level can be read with any other.
	Level int

	// MinSize is how many bytes a value has that is worth the time; a smaller one is stored as it is. 0: 256.
	MinSize int
}

const defaultMinSize = 256

// What a compressed value begins with.
const (
	asItIs   = 0 // and then the bytes
	deflated = 1 // and then their number as a uvarint, and a DEFLATE stream
)

// A DEFLATE stream makes at most 1032 bytes of one: of 2 bits 258 bytes.
const maxInflation = 1032

var errInflate = errors.New("codec: decompress: not what was compressed")

// Compressed returns a Layer that compresses. It panics if the options make no sense.
func Compressed(o CompressionOptions) *Compression {
	switch {
	case o.Level < 0 || o.Level > 9:
		panic(fmt.Sprintf("codec: CompressionOptions.Level is not between 0 and 9: %d", o.Level))
	case o.MinSize < 0:
		panic(fmt.Sprintf("codec: CompressionOptions.MinSize is negative: %d", o.MinSize))
	case o.Level == 0:
		o.Level = flate.DefaultCompression
	}
	if o.MinSize == 0 {
		o.MinSize = defaultMinSize
	}
	c := &Compression{least: o.MinSize}
	c.writers.New = func() any {
		w, err := flate.NewWriter(nil, o.Level)
		if err != nil {
			panic(err) // of the level, which was checked
		}
		return w
	}
	c.readers.New = func() any { return &inflater{flate: flate.NewReader(nil)} }
	return c
}

// ID returns 1.
func (*Compression) ID() byte { return flateID }

// Append appends src compressed.
func (c *Compression) Append(dst, src, _ []byte) ([]byte, error) {
	if len(src) < c.least {
		return append(append(dst, asItIs), src...), nil
	}
	out := appender{binary.AppendUvarint(append(dst, deflated), uint64(len(src)))}
	w := c.writers.Get().(*flate.Writer)
	w.Reset(&out)
	_, err := w.Write(src)
	err = errors.Join(err, w.Close())
	w.Reset(nil)
	c.writers.Put(w)
	switch {
	case err != nil:
		return dst, fmt.Errorf("codec: compress: %w", err)
	case len(out.bytes)-len(dst) > len(src):
		return append(append(out.bytes[:len(dst)], asItIs), src...), nil
	}
	return out.bytes, nil
}

// appender is an io.Writer at the end of a slice.
type appender struct{ bytes []byte }

func (a *appender) Write(p []byte) (int, error) {
	a.bytes = append(a.bytes, p...)
	return len(p), nil
}

// Decode appends what src was made of. It takes no more memory than src can fill.
func (c *Compression) Decode(dst, src, _ []byte, limit int) ([]byte, error) {
	if len(src) == 0 {
		return dst, errInflate
	}
	kind, src := src[0], src[1:]
	switch {
	case kind == asItIs && len(src) > limit:
		return dst, errLimit
	case kind == asItIs:
		return append(dst, src...), nil
	case kind != deflated:
		return dst, errInflate
	}
	size, n := binary.Uvarint(src)
	switch {
	case n <= 0:
		return dst, errInflate
	case size > uint64(limit):
		return dst, errLimit
	case size/maxInflation > uint64(len(src)-n):
		return dst, errInflate
	}
	out := slices.Grow(dst, int(size))[:len(dst)+int(size)]
	in := c.readers.Get().(*inflater)
	defer c.readers.Put(in)
	if err := in.fill(out[len(dst):], src[n:]); err != nil {
		return dst, err
	}
	return out, nil
}

// inflater decompresses one stream after the other.
type inflater struct {
	bytes bytes.Reader
	flate io.ReadCloser
	rest  [1]byte
}

// fill sets all of out to what stream was made of, which is that and no more.
func (in *inflater) fill(out, stream []byte) error {
	in.bytes.Reset(stream)
	defer in.bytes.Reset(nil)
	if err := in.flate.(flate.Resetter).Reset(&in.bytes, nil); err != nil {
		return fmt.Errorf("codec: decompress: %w", err)
	}
	if _, err := io.ReadFull(in.flate, out); err != nil {
		return fmt.Errorf("codec: decompress: %w", err)
	}
	if n, err := in.flate.Read(in.rest[:]); n != 0 || err != io.EOF || in.bytes.Len() != 0 {
		return errInflate
	}
	return nil
}
