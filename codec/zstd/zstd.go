// Package zstd has a layer for package codec that compresses values with Zstandard (RFC 8878). It is a module of its own,
// so that only who uses it depends on github.com/klauspost/compress.
package zstd

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/klauspost/compress/zstd"

	"github.com/tarncache/tarn/codec"
)

// Compression is a [codec.Layer] that compresses values. Those that do not get smaller are stored as they are. It
// has no goroutines and need not be closed.
type Compression struct {
	least   int
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

var _ codec.Layer = (*Compression)(nil)

// Options say how to compress.
type Options struct {
	// Level is from 1, the quickest, to 22, the smallest, as zstd counts them; there are four steps between. 0: 3. What
	// was written with any level can be read with any other.
	Level int

	// MinSize is how many bytes a value has that is worth the time; a smaller one is stored as it is. 0: 256.
	MinSize int
}

const (
	layerID        = 2
	defaultLevel   = 3
	defaultMinSize = 256
	window         = 1 << 20 // bytes in which repetitions are looked for, which bounds what an encoder takes
)

// What a compressed value begins with.
const (
	asItIs     = 0 // and then the bytes
	compressed = 1 // and then their number as a uvarint, and a Zstandard frame
)

// What a decoder likes to have behind the end, where it then copies in larger pieces.
const spare = 16

var (
	errLimit = errors.New("zstd: above the limit")
	errBytes = errors.New("zstd: not what was compressed")
)

// Compressed returns a layer that compresses. It panics if the options make no sense.
func Compressed(o Options) *Compression {
	switch {
	case o.Level < 0 || o.Level > 22:
		panic(fmt.Sprintf("zstd: Options.Level is not between 0 and 22: %d", o.Level))
	case o.MinSize < 0:
		panic(fmt.Sprintf("zstd: Options.MinSize is negative: %d", o.MinSize))
	case o.Level == 0:
		o.Level = defaultLevel
	}
	if o.MinSize == 0 {
		o.MinSize = defaultMinSize
	}
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.EncoderLevelFromZstd(o.Level)),
		zstd.WithWindowSize(window), zstd.WithLowerEncoderMem(true), zstd.WithEncoderCRC(false))
	if err != nil {
		panic(err) // of the options, which are constants
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecodeAllCapLimit(true), zstd.WithDecoderLowmem(true),
		zstd.WithDecoderConcurrency(0))
	if err != nil {
		panic(err) // of the options, which are constants
	}
	return &Compression{least: o.MinSize, encoder: encoder, decoder: decoder}
}

// ID returns 2.
func (*Compression) ID() byte { return layerID }

// Append appends src compressed.
func (c *Compression) Append(dst, src, _ []byte) ([]byte, error) {
	if len(src) < c.least {
		return append(append(dst, asItIs), src...), nil
	}
	out := c.encoder.EncodeAll(src, binary.AppendUvarint(append(dst, compressed), uint64(len(src))))
	if len(out)-len(dst) > len(src) {
		return append(append(out[:len(dst)], asItIs), src...), nil
	}
	return out, nil
}

// Decode appends what src was made of. It takes memory for what src says that is, if that is within the limit.
func (c *Compression) Decode(dst, src, _ []byte, limit int) ([]byte, error) {
	if len(src) == 0 {
		return dst, errBytes
	}
	kind, src := src[0], src[1:]
	switch {
	case kind == asItIs && len(src) > limit:
		return dst, errLimit
	case kind == asItIs:
		return append(dst, src...), nil
	case kind != compressed:
		return dst, errBytes
	}
	size, n := binary.Uvarint(src)
	switch {
	case n <= 0:
		return dst, errBytes
	case size > uint64(limit):
		return dst, errLimit
	}
	start, end := len(dst), len(dst)+int(size)
	out := slices.Grow(dst, int(size)+spare)
	// Told to stay within what it is given, the decoder makes no more than spare bytes too many.
	made, err := c.decoder.DecodeAll(src[n:], out[start:start:end+spare])
	switch {
	case err != nil:
		return dst, fmt.Errorf("zstd: decompress: %w", err)
	case len(made) != int(size):
		return dst, errBytes
	}
	return out[:end], nil
}
