package redisstore

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/codec"
)

type page []byte

// TestAllocations pins what a Get costs beyond the round trip: the Redis key, and the value.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	text := strings.Repeat("Ada Lovelace ", 30)
	secret := codec.Encrypted(codec.Secret{ID: 1, AEAD: gcm(t, 'a')})
	require.Equal(t, 1.0, namingAllocs(t, "a string"), "the Redis key")
	require.Equal(t, 1.0, namingAllocs(t, kindOfString(strings.Repeat("a", maxPlainKey))))
	require.Equal(t, 1.0, namingAllocs(t, int64(-1<<63)))
	require.Equal(t, 1.0, namingAllocs(t, uint8(7)))

	require.Equal(t, 1.0, decodingAllocs(t, text))
	require.Equal(t, 1.0, decodingAllocs(t, page(text)))
	require.Equal(t, 1.0, decodingAllocs(t, text, secret))
	require.Equal(t, 1.0, decodingAllocs(t, text, codec.Compressed(codec.CompressionOptions{Level: 1}), secret))

	value := user{42, "Ada", []string{"a", "b"}}
	src, err := json.Marshal(value)
	require.NoError(t, err)
	alone := testing.AllocsPerRun(100, func() {
		into := new(user)
		_ = json.Unmarshal(src, into)
	})
	require.Equal(t, alone, decodingAllocs(t, value), "as json.Unmarshal alone")
}

func namingAllocs[K comparable](t *testing.T, key K) float64 {
	names := newKeyNames[K]("users", 0, nil, nil)
	return testing.AllocsPerRun(100, func() { nameOf(t, names, key) })
}

func decodingAllocs[V any](t *testing.T, value V, layers ...codec.Layer) float64 {
	name := nameOf(t, newKeyNames[int]("users", 0, nil, nil), 42)
	p := newPayloads[V]("users", nil, layers, 0)
	bytes, err := p.append(nil, name, value)
	require.NoError(t, err)
	stored := string(bytes)
	return testing.AllocsPerRun(100, func() {
		if _, err := p.decode(stored, name); err != nil {
			t.Fatal(err)
		}
	})
}
