package redisstore

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

type (
	page     []byte
	letter   byte
	letters  []letter
	sentence string
)

// comesThrough writes a value with the default codec, and reads it again.
func comesThrough[V any](t *testing.T, id byte, text string, value V) {
	t.Helper()
	p := newPayloads[V]("users", nil, nil, 0)
	require.Equal(t, id, p.codec.ID(), "%T", value)
	name := nameOf(t, newKeyNames[int]("users", 0, nil, nil), 42)
	stored, err := p.append(nil, name, value)
	require.NoError(t, err)
	require.True(t, strings.HasSuffix(string(stored), text), "%T is stored as %q", value, stored)
	got, err := p.decode(string(stored), name)
	require.NoError(t, err)
	require.Equal(t, value, got)
}

func TestDefaultCodec(t *testing.T) {
	comesThrough(t, rawID, "\x00\xff{}", "\x00\xff{}")
	comesThrough(t, rawID, "a sentence", sentence("a sentence"))
	comesThrough(t, rawID, "\x00\xff{}", []byte("\x00\xff{}"))
	comesThrough(t, rawID, "a page", page("a page"))
	comesThrough(t, rawID, "ab", letters{'a', 'b'})
	comesThrough(t, rawID, "", "")
	comesThrough(t, rawID, "", []byte{})
	comesThrough(t, rawID, `{"a":1}`, json.RawMessage(`{"a":1}`))
	comesThrough(t, jsonID, `{"ID":42,"Name":"Ada","Tags":null}`, user{ID: 42, Name: "Ada"})
	comesThrough(t, jsonID, `{"ID":0,"Name":"","Tags":null}`, &user{})
	comesThrough(t, jsonID, `42`, 42)
	comesThrough(t, jsonID, `["a"]`, []string{"a"})
	comesThrough(t, jsonID, `null`, (*user)(nil))
	comesThrough[any](t, jsonID, `"a"`, "a")
}

// TestDecodedIsOnesOwn changes what came back, which must not change what was stored.
func TestDecodedIsOnesOwn(t *testing.T) {
	name := nameOf(t, newKeyNames[int]("users", 0, nil, nil), 42)
	for _, layers := range [][]Layer{nil, {Compressed(CompressionOptions{MinSize: 1})}} {
		p := newPayloads[page]("users", nil, layers, 0)
		stored, err := p.append(nil, name, page(strings.Repeat("page", 100)))
		require.NoError(t, err)
		text := string(stored) // one string for both reads
		got, err := p.decode(text, name)
		require.NoError(t, err)
		for i := range got {
			got[i] = '!'
		}
		require.Equal(t, string(stored), text)
		again, err := p.decode(text, name)
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("page", 100), string(again))
		require.Equal(t, strings.Repeat("!", 400), string(got), "nor does the next read change the last one's")
	}
}

func TestLayersInAnyOrder(t *testing.T) {
	names := newKeyNames[string]("users", 0, nil, nil)
	small, secret := Compressed(CompressionOptions{MinSize: 1, Level: 9}), Encrypted(Secret{1, gcm(t, 'a')})
	noise := randomBytes(5000)
	values := []string{"", "a", strings.Repeat("a", 100), strings.Repeat("Ada Lovelace ", 5000), string(noise)}
	stacks := [][]Layer{nil, {small}, {secret}, {small, secret}, {secret, small}, {small, small, secret, secret}}
	for i, layers := range stacks {
		p := newPayloads[string]("users", nil, layers, 1<<20)
		for _, key := range []string{"42", strings.Repeat("4", 200)} {
			name := nameOf(t, names, key)
			for _, value := range values {
				stored, err := p.append([]byte("head"), name, value)
				require.NoError(t, err)
				stored = stored[4:]
				got, err := p.decode(string(stored), name)
				require.NoError(t, err)
				require.Equal(t, value, got)
				for j, other := range stacks {
					if i != j {
						_, err := newPayloads[string]("users", nil, other, 0).decode(string(stored), name)
						require.ErrorIs(t, err, errOtherCodec)
					}
				}
			}
		}
	}
}

func randomBytes(n int) []byte {
	noise := make([]byte, n)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	return noise
}

// TestLayersLength changes the length that the head says, which layers do not know.
func TestLayersLength(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	small, secret := Compressed(CompressionOptions{MinSize: 1}), Encrypted(Secret{1, gcm(t, 'a')})
	for _, layers := range [][]Layer{{small}, {secret}, {small, secret}, {secret, small}} {
		p := newPayloads[string]("users", nil, layers, 0)
		stored, err := p.append(nil, name, strings.Repeat("a", 100))
		require.NoError(t, err)
		for _, raw := range []byte{99, 101} {
			stored[checksumSize+len(p.ids)+lengthSize-1] = raw
			seal(stored, name)
			_, err := p.decode(string(stored), name)
			require.ErrorIs(t, err, ErrUndecodable)
		}
	}
}

// TestScratchStaysSmall looks whether the memory of a large value is kept for the next.
func TestScratchStaysSmall(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	p := newPayloads[string]("users", nil, []Layer{Encrypted(Secret{1, gcm(t, 'a')})}, 0)
	stored, err := p.append(nil, name, strings.Repeat("a", maxScratch+1))
	require.NoError(t, err)
	_, err = p.decode(string(stored), name)
	require.NoError(t, err)
	for range 3 {
		s := p.pool.Get().(*scratch)
		require.LessOrEqual(t, cap(s.in)+cap(s.out), maxScratch)
	}
}

func TestCompressionCompresses(t *testing.T) {
	c := Compressed(CompressionOptions{})
	text := []byte(strings.Repeat("Ada Lovelace ", 1000))
	small, err := c.Append(nil, text, nil)
	require.NoError(t, err)
	require.Less(t, len(small), len(text)/50)
	short, err := c.Append(nil, text[:defaultMinSize-1], nil)
	require.NoError(t, err)
	require.Equal(t, "\x00"+string(text[:defaultMinSize-1]), string(short), "not worth the time")
	noise := randomBytes(5000)
	same, err := c.Append(nil, noise, nil)
	require.NoError(t, err)
	require.Equal(t, "\x00"+string(noise), string(same), "gets no smaller")
}

// TestCompressionRefuses reads what Append never writes.
func TestCompressionRefuses(t *testing.T) {
	c := Compressed(CompressionOptions{MinSize: 1})
	good, err := c.Append(nil, bytes.Repeat([]byte("a"), 1000), nil)
	require.NoError(t, err)
	size := len(binary.AppendUvarint(nil, 1000))
	stream := good[1+size:]
	with := func(n uint64, stream []byte) []byte {
		return append(binary.AppendUvarint([]byte{deflated}, n), stream...)
	}
	tests := []struct {
		rule  string
		src   []byte
		limit int
		err   error // nil: any
	}{
		{"empty", nil, 1000, errInflate},
		{"another kind", []byte{2, 0}, 1000, errInflate},
		{"no length", []byte{deflated}, 1000, errInflate},
		{"a length that never ends", append([]byte{deflated}, bytes.Repeat([]byte{255}, 20)...), 1000, errInflate},
		{"as it is, above the limit", append([]byte{asItIs}, make([]byte, 1001)...), 1000, errLimit},
		{"above the limit", good, 999, errLimit},
		{"says more than DEFLATE can make", with(1<<30, stream), 1 << 30, errInflate},
		{"says more than it makes", with(1001, stream), 2000, nil},
		{"says less than it makes", with(999, stream), 2000, errInflate},
		{"something behind it", with(1000, append(bytes.Clone(stream), 0)), 2000, errInflate},
		{"cut off", good[:len(good)-1], 2000, nil},
		{"no stream", with(10, []byte{255, 255, 255}), 2000, nil},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			got, err := c.Decode([]byte("head"), tt.src, nil, tt.limit)
			require.Error(t, err)
			if tt.err != nil {
				require.ErrorIs(t, err, tt.err)
			}
			require.Equal(t, "head", string(got))
		})
	}
	got, err := c.Decode([]byte("head"), good, nil, 1000)
	require.NoError(t, err, "and after all that it still works")
	require.Len(t, got, 1004)
}

// TestBomb reads a value that says it is small, or admits that it is large, and makes 16 MB of 16 KB.
func TestBomb(t *testing.T) {
	const limit = 1 << 16
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	packed, err := Compressed(CompressionOptions{}).Append(nil, make([]byte, 16<<20), nil)
	require.NoError(t, err)
	_, n := binary.Uvarint(packed[1:])
	stream := packed[1+n:]
	p := newPayloads[string]("users", nil, []Layer{Compressed(CompressionOptions{})}, limit)
	for outer, raw := range map[string]uint32{"honest outside": 16 << 20, "a liar outside": limit, "a small liar": 1} {
		for inner, size := range map[string]uint64{"honest inside": 16 << 20, "a liar inside": limit, "a small liar": 1} {
			bomb := appendHead(nil, p.ids, name)
			binary.BigEndian.PutUint32(bomb[checksumSize+len(p.ids):], raw)
			bomb = append(binary.AppendUvarint(append(bomb, deflated), size), stream...)
			seal(bomb, name)
			spent := bytesAllocated(func() {
				_, err := p.decode(string(bomb), name)
				require.ErrorIs(t, err, ErrUndecodable)
			})
			require.Less(t, spent, uint64(1<<20), "%s, %s", outer, inner)
		}
	}
}

func bytesAllocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestLayersThatMisbehave(t *testing.T) {
	name := nameOf(t, newKeyNames[string]("users", 0, nil, nil), "42")
	failed := errors.New("secret")
	tests := []struct {
		rule  string
		layer layerFunc
		err   error
	}{
		{"fails", func(dst, _ []byte) ([]byte, error) { return dst, failed }, failed},
		{"grows without bound", func(dst, src []byte) ([]byte, error) { return append(append(dst, src...), make([]byte, 1000)...), nil }, errGrown},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			_, err := newPayloads[string]("users", nil, []Layer{tt.layer}, 0).append(nil, name, "Ada")
			require.ErrorIs(t, err, tt.err)
			require.NotContains(t, err.Error(), "secret")
		})
	}
	longer := layerFunc(func(dst, src []byte) ([]byte, error) { return append(append(dst, src...), make([]byte, 10)...), nil })
	p := newPayloads[string]("users", nil, []Layer{longer}, 0)
	stored, err := p.append(nil, name, "Ada")
	require.NoError(t, err)
	_, err = p.decode(string(stored), name)
	require.ErrorIs(t, err, errLength, "above the limit it was given")
}

// layerFunc does the same in both directions.
type layerFunc func(dst, src []byte) ([]byte, error)

func (layerFunc) ID() byte                                           { return 255 }
func (f layerFunc) Append(dst, src, _ []byte) ([]byte, error)        { return f(dst, src) }
func (f layerFunc) Decode(dst, src, _ []byte, _ int) ([]byte, error) { return f(dst, src) }

func TestNewPayloadsPanics(t *testing.T) {
	tests := []struct {
		rule     string
		layers   []Layer
		maxValue int
		says     string
	}{
		{"a limit is positive", nil, -1, "redisstore: Config.MaxValue is negative: -1"},
		{"a limit is below that of Redis", nil, 1 << 30, "redisstore: Config.MaxValue is above the 512 MB"},
		{"layers are there", []Layer{Compressed(CompressionOptions{}), nil}, 0, "redisstore: Config.Layers[1] is nil"},
		{"layers are few", make([]Layer, 9), 0, "redisstore: Config.Layers are more than 8"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), tt.says) }()
			newPayloads[string]("users", nil, tt.layers, tt.maxValue)
		})
	}
}

func TestCompressedPanics(t *testing.T) {
	for says, o := range map[string]CompressionOptions{
		"CompressionOptions.Level is not between 0 and 9: 10": {Level: 10},
		"CompressionOptions.Level is not between 0 and 9: -1": {Level: -1},
		"CompressionOptions.MinSize is negative: -1":          {MinSize: -1},
	} {
		func() {
			defer func() { require.Equal(t, "redisstore: "+says, recover()) }()
			Compressed(o)
		}()
	}
}

// TestAllocations pins what a Get costs beyond the round trip: the Redis key, and the value.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates")
	}
	text := strings.Repeat("Ada Lovelace ", 30)
	secret := Encrypted(Secret{1, gcm(t, 'a')})
	require.Equal(t, 1.0, namingAllocs(t, "a string"), "the Redis key")
	require.Equal(t, 1.0, namingAllocs(t, kindOfString(strings.Repeat("a", maxPlainKey))))
	require.Equal(t, 1.0, namingAllocs(t, int64(-1<<63)))
	require.Equal(t, 1.0, namingAllocs(t, uint8(7)))

	require.Equal(t, 1.0, decodingAllocs(t, text))
	require.Equal(t, 1.0, decodingAllocs(t, page(text)))
	require.Equal(t, 1.0, decodingAllocs(t, text, secret))
	require.Equal(t, 1.0, decodingAllocs(t, text, Compressed(CompressionOptions{Level: 1}), secret))

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

func decodingAllocs[V any](t *testing.T, value V, layers ...Layer) float64 {
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
