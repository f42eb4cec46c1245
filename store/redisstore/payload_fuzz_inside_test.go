package redisstore

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/codec"
)

// FuzzPayload reads any bytes as what is stored under a key: with and without layers, as they are, and with a checksum
// that is right, as only somebody who knows the format can make it.
func FuzzPayload(f *testing.F) {
	const limit = 1 << 12
	names := newKeyNames[string]("users", 0, nil, nil)
	short, long := nameOf(f, names, "42"), nameOf(f, names, strings.Repeat("4", 200))
	small, secret := codec.Compressed(codec.CompressionOptions{MinSize: 1}), codec.Encrypted(codec.Secret{ID: 1, AEAD: gcm(f, 'a')})
	stacks := [][]codec.Layer{nil, {small}, {secret}, {small, secret}, {secret, small}}
	all := make([]payloads[string], len(stacks))
	for i, layers := range stacks {
		all[i] = newPayloads[string]("users", nil, layers, limit)
		for _, name := range []keyName{short, long} {
			stored, err := all[i].append(nil, name, strings.Repeat("Ada ", 20))
			require.NoError(f, err)
			f.Add(stored)
		}
	}
	f.Add(all[0].appendNone(nil, short))
	f.Add(all[0].appendNone(nil, long))
	structs := newPayloads[user]("users", nil, nil, limit)
	stored, err := structs.append(nil, short, user{ID: 1})
	require.NoError(f, err)
	f.Add(stored)

	f.Fuzz(func(t *testing.T, src []byte) {
		before := string(src)
		if full, ok := fullKey(before); ok && len(full) > len(src) {
			t.Fatal("a key that is longer than where it is")
		}
		for _, name := range []keyName{short, long} {
			other := short
			if name.redis == short.redis {
				other = long
			}
			mended := []byte(before)
			if len(mended) >= checksumSize {
				seal(mended, name)
			}
			for i, p := range all {
				for _, stored := range []string{before, string(mended)} {
					value, err := p.decode(stored, name)
					check(t, p.decodeNone(stored, name), err)
					if err != nil && value != "" || len(value) > limit {
						t.Fatalf("layers %d: %d bytes and %v", i, len(value), err)
					}
					if err != nil {
						continue
					}
					if _, err := p.decode(stored, other); err == nil {
						t.Fatalf("layers %d: two keys have it", i)
					}
				}
			}
			_, err := structs.decode(string(mended), name)
			check(t, err, structs.decodeNone(string(mended), name))
		}
		if string(src) != before {
			t.Fatal("what was read is changed")
		}
	})
}

// check wants at most one of the two to be nil, and the others to be typed.
func check(t *testing.T, a, b error) {
	if a == nil && b == nil {
		t.Fatal("a value, and the absence of one")
	}
	for _, err := range []error{a, b} {
		if err != nil && !errors.Is(err, ErrUndecodable) {
			t.Fatalf("%v is not ErrUndecodable", err)
		}
	}
}
