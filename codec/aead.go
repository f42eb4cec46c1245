package codec

import (
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// Encryption is a [Layer] that encrypts and authenticates values, for a place whose owner may not read or forge them. A
// value that is moved to another key, namespace or codec, or changed in any bit, cannot be decoded.
//
// It hides neither keys nor lengths nor when something is read. It does not tell an older value of the same key that
// somebody put back from the one that stood there, and covers neither how long it lives nor that a value is absent: who
// can write to Redis can delete, and can say that the source has no such key.
type Encryption struct {
	secrets []Secret // the newest first; few, so that looking through them is quick
}

// Secret is a key of an Encryption.
type Secret struct {
	// ID tells the secrets of an Encryption apart. It is stored with each value, in the clear.
	ID uint32

	// AEAD encrypts: cipher.NewGCM of an AES block cipher, for example. Its nonces are random, of the size it says,
	// which is 12 bytes or more, or 0 where it brings its own. 96 random bits are enough for 2^32 values with one
	// secret (NIST SP 800-38D, section 8.3): at a thousand writes a second, change it every month. Those of
	// XChaCha20-Poly1305, of 192 bits, are enough for any number.
	AEAD cipher.AEAD
}

const secretIDSize = 4

var (
	errNoSecret = errors.New("codec: decrypt: no secret has this ID")
	errCut      = errors.New("codec: decrypt: too short")
	errLimit    = errors.New("codec: above the limit")
)

// Encrypted returns a Layer that encrypts with the newest secret, and decrypts with the one that a value names. To
// change the secret, first give the new one to every process as an older one, then as the newest; the old one can go
// once all that was written with it has expired, or when its values may count as lost.
//
// It panics if an AEAD is nil or of a nonce too short to be random, or if two secrets have one ID.
func Encrypted(newest Secret, older ...Secret) *Encryption {
	e := &Encryption{secrets: append([]Secret{newest}, older...)}
	for i, s := range e.secrets {
		switch {
		case s.AEAD == nil:
			panic(fmt.Sprintf("codec: Secret.AEAD of the secret with ID %d is nil", s.ID))
		case s.AEAD.NonceSize() != 0 && s.AEAD.NonceSize() < 12:
			panic(fmt.Sprintf("codec: Secret.AEAD of the secret with ID %d has nonces of %d bytes, too short to be random",
				s.ID, s.AEAD.NonceSize()))
		case secretIDSize+s.AEAD.NonceSize()+s.AEAD.Overhead() > MaxOverhead:
			panic(fmt.Sprintf("codec: Secret.AEAD of the secret with ID %d adds more than %d bytes", s.ID, MaxOverhead))
		case slices.ContainsFunc(e.secrets[:i], func(other Secret) bool { return other.ID == s.ID }):
			panic(fmt.Sprintf("codec: two secrets have the Secret.ID %d", s.ID))
		}
	}
	return e
}

// ID returns 3.
func (*Encryption) ID() byte { return aeadID }

// Append appends the secret's ID, the nonce, and src encrypted.
func (e *Encryption) Append(dst, src, bound []byte) ([]byte, error) {
	newest := e.secrets[0]
	dst = slices.Grow(dst, secretIDSize+newest.AEAD.NonceSize()+len(src)+newest.AEAD.Overhead())
	dst = binary.BigEndian.AppendUint32(dst, newest.ID)
	nonce := dst[len(dst) : len(dst)+newest.AEAD.NonceSize()]
	_, _ = rand.Read(nonce) // never fails: it would rather end the program
	return newest.AEAD.Seal(dst[:len(dst)+len(nonce)], nonce, src, bound), nil
}

// Decode appends what src was made of, if all of it is as Append made it for the same bound.
func (e *Encryption) Decode(dst, src, bound []byte, limit int) ([]byte, error) {
	if len(src) < secretIDSize {
		return dst, errCut
	}
	id, rest := binary.BigEndian.Uint32(src), src[secretIDSize:]
	i := slices.IndexFunc(e.secrets, func(s Secret) bool { return s.ID == id })
	if i < 0 {
		return dst, errNoSecret
	}
	aead := e.secrets[i].AEAD
	n := aead.NonceSize()
	if len(rest) < n+aead.Overhead() {
		return dst, errCut
	}
	if len(rest)-n-aead.Overhead() > limit {
		return dst, errLimit
	}
	out, err := aead.Open(dst, rest[:n], rest[n:], bound)
	if err != nil {
		return dst, fmt.Errorf("codec: decrypt: %w", err)
	}
	return out, nil
}
