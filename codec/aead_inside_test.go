package codec

import (
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// gcm returns AES-256-GCM with a key of one byte repeated.
func gcm(t testing.TB, key byte) cipher.AEAD {
	t.Helper()
	return aead(t, key, cipher.NewGCM)
}

func aead(t testing.TB, key byte, mode func(cipher.Block) (cipher.AEAD, error)) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher([]byte(strings.Repeat(string(rune(key)), 32)))
	require.NoError(t, err)
	a, err := mode(block)
	require.NoError(t, err)
	return a
}

// TestEncryptionNotices flips each bit and cuts at each byte of what the layer made, with no checksum before it.
func TestEncryptionNotices(t *testing.T) {
	for name, a := range map[string]cipher.AEAD{"GCM": gcm(t, 'a'), "GCM with its own nonces": aead(t, 'a', cipher.NewGCMWithRandomNonce)} {
		t.Run(name, func(t *testing.T) {
			e := Encrypted(Secret{7, a}, Secret{6, gcm(t, 'b')}, Secret{5, gcm(t, 'c')})
			const text = "Ada Lovelace" // long enough not to be there by chance
			sealed, err := e.Append([]byte("head"), []byte(text), []byte("bound"))
			require.NoError(t, err)
			require.Equal(t, "head", string(sealed[:4]))
			require.NotContains(t, string(sealed), text)
			sealed = sealed[4:]
			got, err := e.Decode([]byte("head"), sealed, []byte("bound"), len(text))
			require.NoError(t, err)
			require.Equal(t, "head"+text, string(got))
			_, err = e.Decode(nil, sealed, []byte("bound"), len(text)-1)
			require.ErrorIs(t, err, errLimit)
			for i := range len(sealed) * 8 {
				sealed[i/8] ^= 1 << (i % 8)
				got, err := e.Decode(nil, sealed, []byte("bound"), 100)
				require.Error(t, err, "bit %d", i)
				require.Empty(t, got)
				sealed[i/8] ^= 1 << (i % 8)
			}
			for i := range sealed {
				_, err := e.Decode(nil, sealed[:i], []byte("bound"), 100)
				require.Error(t, err, "%d bytes", i)
			}
			_, err = e.Decode(nil, append(sealed, 0), []byte("bound"), 100)
			require.Error(t, err)
			_, err = e.Decode(nil, sealed, []byte("bounds"), 100)
			require.Error(t, err)
		})
	}
}

func TestEncryptionNoncesDiffer(t *testing.T) {
	e := Encrypted(Secret{1, gcm(t, 'a')})
	seen := make(map[string]bool)
	for range 100 {
		sealed, err := e.Append(nil, []byte("Ada"), nil)
		require.NoError(t, err)
		nonce := string(sealed[secretIDSize : secretIDSize+12])
		require.False(t, seen[nonce])
		seen[nonce] = true
	}
}

func TestEncryptionRotates(t *testing.T) {
	old, renewed := Secret{1, gcm(t, 'a')}, Secret{2, gcm(t, 'b')}
	write := func(e *Encryption) []byte {
		sealed, err := e.Append(nil, []byte("Ada"), nil)
		require.NoError(t, err)
		return sealed
	}
	read := func(e *Encryption, sealed []byte) error {
		_, err := e.Decode(nil, sealed, nil, 3)
		return err
	}
	before, ready, after, done := Encrypted(old), Encrypted(old, renewed), Encrypted(renewed, old), Encrypted(renewed)
	require.NoError(t, read(ready, write(before)))
	require.NoError(t, read(before, write(ready)), "the newest seals, not the last")
	require.NoError(t, read(ready, write(after)))
	require.NoError(t, read(after, write(ready)))
	require.NoError(t, read(done, write(after)))
	require.ErrorIs(t, read(before, write(after)), errNoSecret)
	require.ErrorIs(t, read(done, write(before)), errNoSecret)
}

// aeadOf is an AEAD of other sizes.
type aeadOf struct {
	cipher.AEAD
	nonce, overhead int
}

func (a aeadOf) NonceSize() int { return a.nonce }
func (a aeadOf) Overhead() int  { return a.overhead }

func TestEncryptedPanics(t *testing.T) {
	good := gcm(t, 'a')
	tests := []struct {
		rule    string
		secrets []Secret
		says    string
	}{
		{"an AEAD is needed", []Secret{{ID: 3}}, "codec: Secret.AEAD of the secret with ID 3 is nil"},
		{"in the older ones too", []Secret{{1, good}, {ID: 3}}, "ID 3 is nil"},
		{"random nonces are long", []Secret{{1, aeadOf{good, 8, 16}}}, "has nonces of 8 bytes"},
		{"overhead is bounded", []Secret{{1, aeadOf{good, 12, 300}}}, "adds more than 256 bytes"},
		{"IDs differ", []Secret{{1, good}, {2, good}, {1, good}}, "two secrets have the Secret.ID 1"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), tt.says) }()
			Encrypted(tt.secrets[0], tt.secrets[1:]...)
		})
	}
}
