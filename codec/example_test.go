package codec_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/store/redisstore"
)

type position struct{ Latitude, Longitude float64 }

// positionCodec writes 16 bytes where JSON would write 50.
type positionCodec struct{}

func (positionCodec) ID() byte { return 128 }

func (positionCodec) Append(dst []byte, p position) ([]byte, error) {
	dst = binary.BigEndian.AppendUint64(dst, math.Float64bits(p.Latitude))
	return binary.BigEndian.AppendUint64(dst, math.Float64bits(p.Longitude)), nil
}

func (positionCodec) Decode(src []byte) (position, error) {
	if len(src) != 16 {
		return position{}, errors.New("a position has 16 bytes")
	}
	return position{
		Latitude:  math.Float64frombits(binary.BigEndian.Uint64(src)),
		Longitude: math.Float64frombits(binary.BigEndian.Uint64(src[8:])),
	}, nil
}

func ExampleCodec() {
	config := redisstore.Config[string, position]{Namespace: "positions", Codec: positionCodec{}}

	stored, _ := config.Codec.Append(nil, position{51.5, -0.1})
	again, _ := config.Codec.Decode(stored)
	fmt.Println(len(stored), again)
	// Output: 16 {51.5 -0.1}
}

func ExampleJSON() {
	// Strings are stored as they are, unless the codec is named.
	config := redisstore.Config[string, string]{Namespace: "names", Codec: codec.JSON[string]{}}

	stored, _ := config.Codec.Append(nil, "Ada")
	fmt.Printf("%s\n", stored)
	// Output: "Ada"
}

func ExampleCompressed() {
	config := redisstore.Config[string, string]{
		Namespace: "pages",
		Layers:    []codec.Layer{codec.Compressed(codec.CompressionOptions{Level: 1})},
	}

	page := []byte(strings.Repeat("Ada Lovelace ", 1000))
	stored, _ := config.Layers[0].Append(nil, page, nil)
	again, _ := config.Layers[0].Decode(nil, stored, nil, 1<<20)
	fmt.Println(len(page), len(stored) < 1000, bytes.Equal(page, again))
	// Output: 13000 true true
}

func ExampleEncrypted() {
	secret := func(id uint32, passphrase string) codec.Secret {
		key := sha256.Sum256([]byte(passphrase)) // yours are random, and come from where secrets are kept
		block, err := aes.NewCipher(key[:])
		if err != nil {
			panic(err)
		}
		gcm, err := cipher.NewGCM(block)
		if err != nil {
			panic(err)
		}
		return codec.Secret{ID: id, AEAD: gcm}
	}

	config := redisstore.Config[int64, string]{
		Namespace: "patients",
		Layers: []codec.Layer{
			codec.Compressed(codec.CompressionOptions{}),
			codec.Encrypted(secret(2, "of this month"), secret(1, "of the last")),
		},
	}
	fmt.Println(len(config.Layers))
	// Output: 2
}
