package codec

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzLayers reads any bytes as what a layer made, with no checksum before them.
func FuzzLayers(f *testing.F) {
	small, secret := Compressed(CompressionOptions{MinSize: 1}), Encrypted(Secret{1, gcm(f, 'a')})
	for _, l := range []Layer{small, secret} {
		made, err := l.Append(nil, []byte(strings.Repeat("Ada ", 20)), []byte("bound"))
		require.NoError(f, err)
		f.Add(made, uint16(80))
	}
	f.Fuzz(func(t *testing.T, src []byte, limit uint16) {
		before := string(src)
		for _, l := range []Layer{small, secret} {
			out, err := l.Decode([]byte("head"), src, []byte("bound"), int(limit))
			if string(out[:4]) != "head" || len(out)-4 > int(limit) || err != nil && len(out) != 4 {
				t.Fatalf("%T: %d bytes of %d, %v", l, len(out), limit, err)
			}
			if _, ours := l.(*Encryption); ours && err == nil && len(src) > 0 {
				if _, err := l.Decode(nil, src, []byte("another"), int(limit)); err == nil {
					t.Fatal("it is bound to nothing")
				}
			}
		}
		if string(src) != before {
			t.Fatal("what was read is changed")
		}
	})
}
