package codec

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCompressionCompresses(t *testing.T) {
	c := Compressed(CompressionOptions{})
	text := []byte(strings.Repeat("Ada Lovelace ", 1000))
	small, err := c.Append(nil, text, nil)
	require.NoError(t, err)
	require.Less(t, len(small), len(text)/50)
	short, err := c.Append(nil, text[:defaultMinSize-1], nil)
	require.NoError(t, err)
	require.Equal(t, "\x00"+string(text[:defaultMinSize-1]), string(short), "not worth the time")
	noise := randomBytes(5000)
	same, err := c.Append(nil, noise, nil)
	require.NoError(t, err)
	require.Equal(t, "\x00"+string(noise), string(same), "gets no smaller")
}

func randomBytes(n int) []byte {
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	return noise
}

// TestCompressionRefuses reads what Append never writes.
func TestCompressionRefuses(t *testing.T) {
	c := Compressed(CompressionOptions{MinSize: 1})
	good, err := c.Append(nil, bytes.Repeat([]byte("a"), 1000), nil)
	require.NoError(t, err)
	size := len(binary.AppendUvarint(nil, 1000))
	stream := good[1+size:]
	with := func(n uint64, stream []byte) []byte {
		return append(binary.AppendUvarint([]byte{deflated}, n), stream...)
	}
	tests := []struct {
		rule  string
		src   []byte
		limit int
		err   error // nil: any
	}{
		{"empty", nil, 1000, errInflate},
		{"another kind", []byte{2, 0}, 1000, errInflate},
		{"no length", []byte{deflated}, 1000, errInflate},
		{"a length that never ends", append([]byte{deflated}, bytes.Repeat([]byte{255}, 20)...), 1000, errInflate},
		{"as it is, above the limit", append([]byte{asItIs}, make([]byte, 1001)...), 1000, errLimit},
		{"above the limit", good, 999, errLimit},
		{"says more than DEFLATE can make", with(1<<30, stream), 1 << 30, errInflate},
		{"says more than it makes", with(1001, stream), 2000, nil},
		{"says less than it makes", with(999, stream), 2000, errInflate},
		{"something behind it", with(1000, append(bytes.Clone(stream), 0)), 2000, errInflate},
		{"cut off", good[:len(good)-1], 2000, nil},
		{"no stream", with(10, []byte{255, 255, 255}), 2000, nil},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := c.Decode([]byte("head"), tt.src, nil, tt.limit)
			require.Error(t, err)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
			require.Equal(t, "head", string(got))
		})
	}
	got, err := c.Decode([]byte("head"), good, nil, 1000)
	require.NoError(t, err, "and after all that it still works")
	require.Len(t, got, 1004)
}

func TestCompressedPanics(t *testing.T) {
	for says, o := range map[string]CompressionOptions{
		"CompressionOptions.Level is not between 0 and 9: 10": {Level: 10},
		"CompressionOptions.Level is not between 0 and 9: -1": {Level: -1},
		"CompressionOptions.MinSize is negative: -1":          {MinSize: -1},
	} {
		func() {
			defer func() { require.Equal(t, "codec: "+says, recover()) }()
			Compressed(o)
		}()
	}
}
