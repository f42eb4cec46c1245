package redisstore

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

// codecID is JSON by another ID.
type codecID[V any] struct {
	JSON[V]
	id byte
}

func (c codecID[V]) ID() byte { return c.id }

// TestEncryptionBinds takes what was sealed elsewhere for this key's, with the payload's own checks all passed: the
// ciphertext is put behind a head that is right for where it is read.
func TestEncryptionBinds(t *testing.T) {
	encrypted := []Layer{Encrypted(Secret{1, gcm(t, 'a')})}
	type place struct {
		namespace, key string
		codec          byte
		layers         []Layer
	}
	home := place{"users", "42", 200, encrypted}
	open := func(p place) (*payloads[string], keyName) {
		return newPayloads[string](p.namespace, codecID[string]{id: p.codec}, p.layers, 0),
			nameOf(t, newKeyNames[string](p.namespace, 0, nil, nil), p.key)
	}
	long := strings.Repeat("4", 200)
	tests := []struct {
		rule  string
		place place
		same  bool
	}{
		{"its own place", home, true},
		{"another key", place{"users", "43", 200, encrypted}, false},
		{"a longer key", place{"users", "420", 200, encrypted}, false},
		{"a key that is hashed", place{"users", long, 200, encrypted}, false},
		{"another namespace", place{"items", "42", 200, encrypted}, false},
		{"a namespace with which the text is the same", place{"users4", "2", 200, encrypted}, false},
		{"another codec", place{"users", "42", 201, encrypted}, false},
		{"other layers", place{"users", "42", 200, []Layer{Compressed(CompressionOptions{}), encrypted[0]}}, false},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			from, fromName := open(tt.place)
			stored, err := from.append(nil, fromName, "Ada")
			require.NoError(t, err)
			c, ok := cut(string(stored), fromName.hashed())
			require.True(t, ok)

			to, toName := open(home)
			moved := appendHead(nil, to.ids, toName)
			moved[checksumSize+len(to.ids)+lengthSize-1] = byte(c.raw)
			moved = append(moved, c.body...)
			seal(moved, toName)
			got, err := to.decode(string(moved), toName)
			if tt.same {
				require.NoError(t, err)
				require.Equal(t, "Ada", got)
				return
			}
			require.ErrorIs(t, err, ErrUndecodable)
			require.Empty(t, got)
		})
	}
}

// TestEncryptionNotices flips each bit and cuts at each byte of what the layer made, with no checksum before it.
func TestEncryptionNotices(t *testing.T) {
	for name, a := range map[string]cipher.AEAD{"GCM": gcm(t, 'a'), "GCM with its own nonces": aead(t, 'a', cipher.NewGCMWithRandomNonce)} {
		t.Run(name, func(t *testing.T) {
			e := Encrypted(Secret{7, a}, Secret{6, gcm(t, 'b')}, Secret{5, gcm(t, 'c')})
			sealed, err := e.Append([]byte("head"), []byte("Ada"), []byte("bound"))
			require.NoError(t, err)
			require.Equal(t, "head", string(sealed[:4]))
			require.NotContains(t, string(sealed), "Ada")
			sealed = sealed[4:]
			got, err := e.Decode([]byte("head"), sealed, []byte("bound"), 3)
			require.NoError(t, err)
			require.Equal(t, "headAda", string(got))
			_, err = e.Decode(nil, sealed, []byte("bound"), 2)
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
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	write := func(e *Encryption) string {
		stored, err := newPayloads[string]("users", nil, []Layer{e}, 0).append(nil, name, "Ada")
		require.NoError(t, err)
		return string(stored)
	}
	read := func(e *Encryption, stored string) error {
		_, err := newPayloads[string]("users", nil, []Layer{e}, 0).decode(stored, name)
		return err
	}
	before, ready, after, done := Encrypted(old), Encrypted(old, renewed), Encrypted(renewed, old), Encrypted(renewed)
	require.NoError(t, read(ready, write(before)))
	require.NoError(t, read(before, write(ready)), "the newest seals, not the last")
	require.NoError(t, read(ready, write(after)))
	require.NoError(t, read(after, write(ready)))
	require.NoError(t, read(done, write(after)))
	require.ErrorIs(t, read(before, write(after)), errNoSecret)
	require.ErrorIs(t, read(done, write(before)), ErrUndecodable)
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
		{"an AEAD is needed", []Secret{{ID: 3}}, "redisstore: Secret.AEAD of the secret with ID 3 is nil"},
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
