package redisstore

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"encoding/hex"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/payload"
)

type user struct {
	ID   int64
	Name string
	Tags []string
}

// gcm returns AES-256-GCM with a key of one byte repeated.
func gcm(t testing.TB, key byte) cipher.AEAD {
	t.Helper()
	block, err := aes.NewCipher([]byte(strings.Repeat(string(rune(key)), 32)))
	require.NoError(t, err)
	a, err := cipher.NewGCM(block)
	require.NoError(t, err)
	return a
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
	const (
		raw        = checksumSize + 2 // where the length is
		damaged    = "it is damaged, or another key's"
		otherCodec = "it was written with another codec or other layers"
		length     = "it is not of the length that it says"
		tooLarge   = "it is above the limit"
	)
	tests := []struct {
		rule    string
		written keyName
		change  func([]byte) []byte
		read    keyName
		why     string // empty: it comes back
	}{
		{"unchanged", name, func(b []byte) []byte { return b }, name, ""},
		{"mending alone does nothing", name, mended(name, func(b []byte) []byte { return b }), name, ""},
		{"another key's", name, func(b []byte) []byte { return b }, nameOf(t, names, "43"), damaged},
		{"another namespace's", name, func(b []byte) []byte { return b },
			nameOf(t, newKeyNames[string]("orders", 0, nil, nil), "42"), damaged},
		{"of another codec", name, mended(name, func(b []byte) []byte { b[checksumSize+1] = 1; return b }), name, otherCodec},
		{"with a layer", name, mended(name, func(b []byte) []byte {
			b[checksumSize] = 2
			return append(b[:raw], append([]byte{1}, b[raw:]...)...)
		}), name, otherCodec},
		{"cut off, the checksum right", name, mended(name, func(b []byte) []byte { return b[:len(b)-1] }), name, length},
		{"longer than it says", name, mended(name, func(b []byte) []byte { return append(b, 'x') }), name, length},
		{"IDs beyond the end", name, mended(name, func(b []byte) []byte { b[checksumSize] = 255; return b }), name, damaged},
		{"says that it is large", name, mended(name, func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[raw:], 101)
			return b
		}), name, tooLarge},
		{"says that it is largest", name, mended(name, func(b []byte) []byte {
			binary.BigEndian.PutUint32(b[raw:], math.MaxUint32)
			return b
		}), name, tooLarge},
		{"is large", name, mended(name, func(b []byte) []byte { return append(b, make([]byte, 1000)...) }), name, tooLarge},
		{"empty", name, func([]byte) []byte { return nil }, name, damaged},
		{"a foreign string", name, func([]byte) []byte { return []byte(`{"a":"stranger's JSON, long enough"}`) }, name, damaged},
		{"a long key's own", long, func(b []byte) []byte { return b }, long, ""},
		{"a long key that is not the one", long, mended(long, func(b []byte) []byte { b[len(b)-len("value")-1]++; return b }), long, damaged},
		{"a long key beyond the end", long, mended(long, func(b []byte) []byte { b[raw+4+1] = 127; return b }), long, damaged},
		{"a long key of 2^64 bytes", long, mended(long, func(b []byte) []byte {
			return append(b[:raw+4], bytes.Repeat([]byte{255}, 20)...)
		}), long, damaged},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			stored, err := p.append(nil, tt.written, "value")
			require.NoError(t, err)
			got, err := p.decode(string(tt.change(stored)), tt.read)
			if tt.why == "" {
				require.NoError(t, err)
				require.Equal(t, "value", got)
				return
			}
			require.ErrorIs(t, err, ErrUndecodable)
			require.EqualError(t, err, ErrUndecodable.Error()+": "+tt.why)
			require.Empty(t, got)
		})
	}
}

// TestStoredFormat pins the bytes, which outlive the program: what an older one wrote is read, and what is written is
// what an older one reads.
func TestStoredFormat(t *testing.T) {
	small := codec.Compressed(codec.CompressionOptions{MinSize: 1})
	secret := codec.Encrypted(codec.Secret{ID: 7, AEAD: gcm(t, 'a')})
	short, long := nameOf(t, newKeyNames[int64]("users", 0, nil, nil), 42),
		nameOf(t, newKeyNames[string]("users", 0, nil, nil), strings.Repeat("4", 130))
	require.Equal(t, "{users:185}k42", short.redis)
	require.Equal(t, "{users:31}hb60881629a0a4be4bf2b823cab83be25c6ef9adcec1728a57d66af1b14d08f4a", long.redis)
	plain := newPayloads[string]("users", nil, nil, 0)

	stays(t, plain, short, "Ada", "3c887a3d0de51aec010200000003416461")
	stays(t, newPayloads[user]("users", nil, nil, 0), short, user{ID: 42, Name: "Ada"},
		"588999e7c1362c670101000000227b224944223a34322c224e616d65223a22416461222c2254616773223a6e756c6c7d")
	stays(t, plain, long, "Ada", "6b7b3377fca64360010200000003"+"8201"+strings.Repeat("34", 130)+"416461")
	// What DEFLATE makes, and a nonce, may be others the next time.
	comesBackAs(t, newPayloads[string]("users", nil, []codec.Layer{small}, 0), short, strings.Repeat("Ada", 30),
		"69fd6e818693d5d70202010000005a015a724c49a41102040000ffff")
	comesBackAs(t, newPayloads[string]("users", nil, []codec.Layer{codec.Compressed(codec.CompressionOptions{}), secret}, 0),
		short, "Ada", "427e7fd47af7ce3e030201030000000300000007079648478d1a056ca30116b36530609b17016f66b0e4be140151eedc637b4054")
	require.Equal(t, "e53e03a72fa5bfe70000000000", hex.EncodeToString(plain.appendNone(nil, short)))
	require.Equal(t, "1f2888f95c8e4b540000000000"+"8201"+strings.Repeat("34", 130), hex.EncodeToString(plain.appendNone(nil, long)))
}

func stays[V any](t *testing.T, p payloads[V], name keyName, value V, bytes string) {
	t.Helper()
	stored, err := p.append(nil, name, value)
	require.NoError(t, err)
	require.Equal(t, bytes, hex.EncodeToString(stored))
	comesBackAs(t, p, name, value, bytes)
}

func comesBackAs[V any](t *testing.T, p payloads[V], name keyName, value V, bytes string) {
	t.Helper()
	stored, err := hex.DecodeString(bytes)
	require.NoError(t, err)
	got, err := p.decode(string(stored), name)
	require.NoError(t, err)
	require.Equal(t, value, got)
}

func TestAbsenceHasNoBody(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	p := newPayloads[string]("users", nil, nil, 0)
	const head = checksumSize + 1 + 4
	for _, at := range []int{head - 1, head} { // the length, and the body
		none := append(p.appendNone(nil, name), 0)[:at+1]
		none[at] = 1
		seal(none, name)
		require.EqualError(t, p.decodeNone(string(none), name), ErrUndecodable.Error()+": it is an absence with a value")
	}
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
	require.EqualError(t, err, "redisstore: the value is above Config.MaxValue: "+tarn.ErrTooHeavy.Error())
}

// TestPayloadsAreBound takes what was sealed for another key or namespace, under a head and a checksum that are right for
// where it is read.
func TestPayloadsAreBound(t *testing.T) {
	secret := []codec.Layer{codec.Encrypted(codec.Secret{ID: 1, AEAD: gcm(t, 'a')})}
	tests := []struct {
		rule, namespace, key string
		same                 bool
	}{
		{"its own place", "users", "42", true},
		{"another key", "users", "43", false},
		{"a longer key", "users", "420", false},
		{"a key that is hashed", "users", strings.Repeat("4", 200), false},
		{"another namespace", "items", "42", false},
		{"a namespace with which the text is the same", "users4", "2", false},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			fromName := nameOf(t, newKeyNames[string](tt.namespace, 0, nil, nil), tt.key)
			stored, err := newPayloads[string](tt.namespace, nil, secret, 0).append(nil, fromName, "Ada")
			require.NoError(t, err)
			parts, ok := payload.Cut(stored[checksumSize:])
			require.True(t, ok)
			if fromName.hashed() {
				_, parts.Body, ok = cutKey(parts.Body)
				require.True(t, ok)
			}

			to, name := newPayloads[string]("users", nil, secret, 0), nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
			moved := appendHead(nil, to.form.IDs(), name)
			payload.SetRaw(moved[checksumSize:], parts.Raw)
			moved = append(moved, parts.Body...)
			seal(moved, name)
			got, err := to.decode(string(moved), name)
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

func TestNewPayloadsPanics(t *testing.T) {
	tests := []struct {
		rule     string
		layers   []codec.Layer
		maxValue int
		says     string
	}{
		{"a limit is positive", nil, -1, "redisstore: Config.MaxValue is negative: -1"},
		{"a limit is below that of Redis", nil, 1 << 30, "redisstore: Config.MaxValue is above the 512 MB that Redis takes: 1073741824"},
		{"layers are there", []codec.Layer{codec.Compressed(codec.CompressionOptions{}), nil}, 0, "redisstore: Config.Layers[1] is nil"},
		{"layers are few", make([]codec.Layer, 9), 0, "redisstore: Config.Layers are more than 8"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			require.PanicsWithValue(t, tt.says, func() { newPayloads[string]("users", nil, tt.layers, tt.maxValue) })
		})
	}
}
