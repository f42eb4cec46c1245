package payload

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/codec"
)

// TestScratchStaysSmall looks whether the memory of a large value is kept for the next.
func TestScratchStaysSmall(t *testing.T) {
	f := New(Options[string]{
		Layers:      []codec.Layer{codec.Compressed(codec.CompressionOptions{MinSize: maxScratch * 2})},
		Undecodable: errors.New("no value"),
	})
	made, err := f.Append(nil, strings.Repeat("a", maxScratch+1), nil)
	require.NoError(t, err)
	parts, ok := Cut(made)
	require.True(t, ok)
	_, err = f.Decode(parts, nil)
	require.NoError(t, err)
	for range 3 {
		s := f.pool.Get().(*scratch)
		require.LessOrEqual(t, cap(s.in)+cap(s.out), maxScratch)
	}
}
