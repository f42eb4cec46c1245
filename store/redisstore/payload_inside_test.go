package redisstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

type user struct {
	ID   int64
	Name string
	Tags []string
}

func nameOf[K comparable](t testing.TB, n *keyNames[K], key K) keyName {
	t.Helper()
	name, err := n.name(key)
	require.NoError(t, err)
	return name
}

func TestPayloadComesBack(t *testing.T) {
	names := newKeyNames[string]("users", 0, nil, nil)
	p := newPayloads[user]("users", nil, nil, 0)
	for _, key := range []string{"", "42", strings.Repeat("long", 100)} {
		name := nameOf(t, names, key)
		value := user{42, "Ada", []string{"a", "b"}}
		stored, err := p.append([]byte("head"), name, value)
		require.NoError(t, err)
		require.Equal(t, "head", string(stored[:4]))
		got, err := p.decode(string(stored[4:]), name)
		require.NoError(t, err)
		require.Equal(t, value, got)
		require.ErrorIs(t, p.decodeNone(string(stored[4:]), name), ErrUndecodable)

		none := string(p.appendNone(nil, name))
		require.NoError(t, p.decodeNone(none, name))
		_, err = p.decode(none, name)
		require.ErrorIs(t, err, ErrUndecodable)
		if name.hashed() {
			for _, payload := range []string{string(stored[4:]), none} {
				full, ok := fullKey(payload)
				require.True(t, ok)
				require.Equal(t, key, full)
			}
		}
	}
}

// TestPayloadRules changes a good payload, and mends its checksum where that is not what the row is about.
func TestPayloadRules(t *testing.T) {
	names := newKeyNames[string]("users", 0, nil, nil)
	name, long := nameOf(t, names, "42"), nameOf(t, names, strings.Repeat("4", 200))
	p := newPayloads[string]("users", nil, nil, 100)
	mended := func(name keyName, change func([]byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte {
			b = change(b)
			seal(b, name)
			return b
		}
	}
	const raw = checksumSize + 2 // where the length is
	tests := []struct {
		rule    string
		written keyName
		change  func([]byte) []byte
		read    keyName
		err     error // nil: it comes back
	}{
		{"unchanged", name, func(b []byte) []byte { return b }, name, nil},
		{"mending alone does nothing", name, mended(name, func(b []byte) []byte { return b }), name, nil},
		{"another key's", name, func(b []byte) []byte { return b }, nameOf(t, names, "43"), errDamaged},
		{"another namespace's", name, func(b []byte) []byte { return b },
			nameOf(t, newKeyNames[string]("orders", 0, nil, nil), "42"), errDamaged},
		{"of another codec", name, mended(name, func(b []byte) []byte { b[checksumSize+1] = jsonID; return b }), name, errOtherCodec},
		{"with a layer", name, mended(name, func(b []byte) []byte {
			b[checksumSize] = 2
			return append(b[:raw], append([]byte{flateID}, b[raw:]...)...)
		}), name, errOtherCodec},
		{"cut off, the checksum right", name, mended(name, func(b []byte) []byte { return b[:len(b)-1] }), name, errLength},
		{"longer than it says", name, mended(name, func(b []byte) []byte { return append(b, 'x') }), name, errLength},
		{"IDs beyond the end", name, mended(name, func(b []byte) []byte { b[checksumSize] = 255; return b }), name, errDamaged},
		{"says that it is large", name, mended(name, func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[raw:], 101)
			return b
		}), name, errTooLarge},
		{"says that it is largest", name, mended(name, func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[raw:], math.MaxUint32)
			return b
		}), name, errTooLarge},
		{"is large", name, mended(name, func(b []byte) []byte { return append(b, make([]byte, 1000)...) }), name, errTooLarge},
		{"empty", name, func([]byte) []byte { return nil }, name, errDamaged},
		{"a foreign string", name, func([]byte) []byte { return []byte(`{"a":"stranger's JSON, long enough"}`) }, name, errDamaged},
		{"a long key's own", long, func(b []byte) []byte { return b }, long, nil},
		{"a long key that is not the one", long, mended(long, func(b []byte) []byte { b[len(b)-len("value")-1]++; return b }), long, errDamaged},
		{"a long key beyond the end", long, mended(long, func(b []byte) []byte { b[raw+lengthSize+1] = 127; return b }), long, errDamaged},
		{"a long key of 2^64 bytes", long, mended(long, func(b []byte) []byte {
			return append(b[:raw+lengthSize], bytes.Repeat([]byte{255}, 20)...)
		}), long, errDamaged},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			stored, err := p.append(nil, tt.written, "value")
			require.NoError(t, err)
			got, err := p.decode(string(tt.change(stored)), tt.read)
			if tt.err == nil {
				require.NoError(t, err)
				require.Equal(t, "value", got)
				return
			}
			require.ErrorIs(t, err, ErrUndecodable)
			require.Equal(t, tt.err, err)
			require.Empty(t, got)
		})
	}
}

func TestAbsenceHasNoBody(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	p := newPayloads[string]("users", nil, nil, 0)
	for _, at := range []int{headSize - 1, headSize} { // the length, and the body
		none := append(p.appendNone(nil, name), 0)[:at+1]
		none[at] = 1
		seal(none, name)
		require.Equal(t, errLength, p.decodeNone(string(none), name))
	}
}

// shrinking is a codec that forgets what it was given.
type shrinking struct{ JSON[string] }

func (shrinking) Append([]byte, string) ([]byte, error) { return nil, nil }

func TestCodecThatMisbehaves(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	_, err := newPayloads[string]("users", shrinking{}, nil, 0).append([]byte("head"), name, "Ada")
	require.ErrorIs(t, err, errShrunk)
}

// TestPayloadNotices flips each bit, and cuts at each byte.
func TestPayloadNotices(t *testing.T) {
	names := newKeyNames[string]("users", 0, nil, nil)
	p := newPayloads[user]("users", nil, nil, 0)
	for _, key := range []string{"42", strings.Repeat("k", maxPlainKey+1)} {
		name := nameOf(t, names, key)
		stored, err := p.append(nil, name, user{ID: 42, Name: "Ada"})
		require.NoError(t, err)
		none := p.appendNone(nil, name)
		for i := range len(stored) * 8 {
			stored[i/8] ^= 1 << (i % 8)
			_, err := p.decode(string(stored), name)
			require.ErrorIs(t, err, ErrUndecodable, "bit %d", i)
			stored[i/8] ^= 1 << (i % 8)
		}
		for i := range len(none) * 8 {
			none[i/8] ^= 1 << (i % 8)
			require.ErrorIs(t, p.decodeNone(string(none), name), ErrUndecodable, "bit %d", i)
			none[i/8] ^= 1 << (i % 8)
		}
		for i := range stored {
			_, err := p.decode(string(stored[:i]), name)
			require.ErrorIs(t, err, ErrUndecodable, "%d bytes", i)
		}
	}
}

func TestPayloadTooLarge(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	p := newPayloads[string]("users", nil, nil, 10)
	stored, err := p.append(nil, name, strings.Repeat("x", 10))
	require.NoError(t, err)
	_, err = p.decode(string(stored), name)
	require.NoError(t, err, "the limit itself")
	dst, err := p.append([]byte("head"), name, strings.Repeat("x", 11))
	require.ErrorIs(t, err, tarn.ErrTooHeavy)
	require.Equal(t, "head", string(dst))
}

// failing is a codec that quotes what it refuses, as many do.
type failing struct{ JSON[string] }

func (failing) Append(dst []byte, value string) ([]byte, error) {
	return dst, errors.New("cannot encode " + value)
}
func (failing) Decode(src []byte) (string, error) {
	return "half", errors.New("cannot decode " + string(src))
}

func TestPayloadErrorsQuoteNothing(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	p := newPayloads[string]("users", failing{}, nil, 0)
	_, err := p.append(nil, name, "secret")
	require.NotContains(t, err.Error(), "secret")
	require.ErrorContains(t, errors.Unwrap(err), "secret", "the cause is there for whoever asks")

	stored, err := newPayloads[string]("users", JSON[string]{}, nil, 0).append(nil, name, "secret")
	require.NoError(t, err)
	got, err := p.decode(string(stored), name)
	require.ErrorIs(t, err, ErrUndecodable)
	require.NotContains(t, err.Error(), "secret")
	require.ErrorContains(t, errors.Unwrap(err), "secret")
	require.Empty(t, got, "what a codec returned with its error")
}
