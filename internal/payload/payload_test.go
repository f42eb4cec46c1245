package payload_test

import (
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/payload"
)

var errUndecodable = errors.New("journal: no value")

// form is as package strategies would make one.
func form[V any](maxValue int, layers ...codec.Layer) *payload.Form[V] {
	return payload.New(options[V](nil, maxValue, layers...))
}

func options[V any](c codec.Codec[V], maxValue int, layers ...codec.Layer) payload.Options[V] {
	return payload.Options[V]{
		Codec: c, Layers: layers, MaxValue: maxValue, Bound: "place",
		Package: "strategies", Config: "WriteBackConfig", Undecodable: errUndecodable,
	}
}

func decode[V any](f *payload.Form[V], src []byte, bound string) (value V, err error) {
	parts, ok := payload.Cut(src)
	if !ok {
		return value, f.Undecodable("it is cut off", nil)
	}
	return f.Decode(parts, []byte(bound))
}

func encode[V any](t testing.TB, f *payload.Form[V], value V, bound string) []byte {
	t.Helper()
	made, err := f.Append([]byte("head"), value, []byte(bound))
	require.NoError(t, err)
	require.Equal(t, "head", string(made[:4]))
	require.LessOrEqual(t, len(made)-4, f.Largest())
	return made[4:]
}

func small() codec.Layer {
	return codec.Compressed(codec.CompressionOptions{MinSize: 1})
}

func secret(t testing.TB) codec.Layer {
	t.Helper()
	block, err := aes.NewCipher([]byte(strings.Repeat("a", 32)))
	require.NoError(t, err)
	gcm, err := cipher.NewGCM(block)
	require.NoError(t, err)
	return codec.Encrypted(codec.Secret{ID: 1, AEAD: gcm})
}

// TestFormat pins the bytes, which outlive the program.
func TestFormat(t *testing.T) {
	require.Equal(t, "\x01\x02\x00\x00\x00\x03Ada", string(encode(t, form[string](0), "Ada", "42")))
	require.Equal(t, "\x01\x01\x00\x00\x00\x04null", string(encode(t, form[*int](0), nil, "42")))
	require.Equal(t, "\x02\x02\x01\x00\x00\x00\x03\x00Ada",
		string(encode(t, form[string](0, codec.Compressed(codec.CompressionOptions{})), "Ada", "42")))
	require.Equal(t, "\x00\x00\x00\x00\x00", string(payload.AppendHead(nil, payload.None)))
}

func TestLayersInAnyOrder(t *testing.T) {
	small, secret := small(), secret(t)
	noise := make([]byte, 5000)
	for i := range noise {
		noise[i] = byte(rand.Uint32())
	}
	values := []string{"", "a", strings.Repeat("a", 100), strings.Repeat("Ada Lovelace ", 5000), string(noise)}
	stacks := [][]codec.Layer{nil, {small}, {secret}, {small, secret}, {secret, small}, {small, small, secret, secret}}
	for i, layers := range stacks {
		f := form[string](1<<20, layers...)
		for _, value := range values {
			made := encode(t, f, value, "42")
			got, err := decode(f, made, "42")
			require.NoError(t, err)
			require.Equal(t, value, got)
			for j, other := range stacks {
				if i != j {
					_, err := decode(form[string](0, other...), made, "42")
					require.EqualError(t, err, "journal: no value: it was written with another codec or other layers")
				}
			}
		}
	}
}

// bystander is a layer that does nothing, by an ID that is asked for.
type bystander byte

func (b bystander) ID() byte                                       { return byte(b) }
func (bystander) Append(dst, src, _ []byte) ([]byte, error)        { return append(dst, src...), nil }
func (bystander) Decode(dst, src, _ []byte, _ int) ([]byte, error) { return append(dst, src...), nil }

// byID is JSON by another ID.
type byID struct {
	codec.JSON[string]
	id byte
}

func (c byID) ID() byte { return c.id }

// TestBound takes what was sealed elsewhere for what belongs here, under a head that is right for here.
func TestBound(t *testing.T) {
	secret := secret(t)
	home := options[string](byID{id: 200}, 0, secret)
	otherPlace := home
	otherPlace.Bound = "elsewhere"
	tests := []struct {
		rule  string
		from  payload.Options[string]
		bound string
		same  bool
	}{
		{"its own", home, "42", true},
		{"another key's", home, "43", false},
		{"a longer key's", home, "420", false},
		{"of another place", otherPlace, "42", false},
		{"of another codec", options[string](byID{id: 201}, 0, secret), "42", false},
		{"of other layers", options[string](byID{id: 200}, 0, bystander(250), secret), "42", false},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			from, ok := payload.Cut(encode(t, payload.New(tt.from), "Ada", tt.bound))
			require.True(t, ok)
			to := payload.New(home)
			from.IDs = []byte(to.IDs())
			got, err := to.Decode(from, []byte("42"))
			if tt.same {
				require.NoError(t, err)
				require.Equal(t, "Ada", got)
				return
			}
			require.ErrorIs(t, err, errUndecodable)
			require.Empty(t, got)
		})
	}
}

// TestDecodeRefuses changes the parts of a good payload.
func TestDecodeRefuses(t *testing.T) {
	secret := secret(t)
	for _, layers := range [][]codec.Layer{nil, {small()}, {secret}, {small(), secret}, {secret, small()}} {
		f := form[string](200, layers...)
		tests := []struct {
			rule   string
			change func(*payload.Parts)
			why    string // empty: a layer may notice first
		}{
			{"no value", func(p *payload.Parts) { p.IDs = []byte(payload.None) }, "it says that there is no value"},
			{"another codec", func(p *payload.Parts) { p.IDs[1]++ }, "it was written with another codec or other layers"},
			{"one layer more", func(p *payload.Parts) { p.IDs = append(p.IDs[:len(p.IDs):len(p.IDs)], 1) },
				"it was written with another codec or other layers"},
			{"above the limit", func(p *payload.Parts) { p.Raw = 201 }, "it is above the limit"},
			{"says that it is longer", func(p *payload.Parts) { p.Raw = 101 }, "it is not of the length that it says"},
			{"says that it is shorter", func(p *payload.Parts) { p.Raw = 99 }, ""},
			{"cut off", func(p *payload.Parts) { p.Body = p.Body[:len(p.Body)-1] }, ""},
			{"something behind it", func(p *payload.Parts) { p.Body = append(p.Body, 0) }, ""},
		}
		for _, tt := range tests {
			parts, ok := payload.Cut(encode(t, f, strings.Repeat("a", 100), "42"))
			require.True(t, ok)
			tt.change(&parts)
			got, err := f.Decode(parts, []byte("42"))
			require.ErrorIs(t, err, errUndecodable, "%s, with %d layers", tt.rule, len(layers))
			require.ErrorContains(t, err, tt.why)
			require.Empty(t, got)
		}
	}
}

func TestCut(t *testing.T) {
	made := encode(t, form[string](0, small()), "Ada", "42")
	head := len(payload.AppendHead(nil, form[string](0, small()).IDs()))
	for i := range made {
		_, ok := payload.Cut(made[:i])
		require.Equal(t, i >= head, ok, "%d bytes", i)
	}
	parts, ok := payload.Cut([]byte("\x00\xff\xff\xff\xff"))
	require.True(t, ok)
	require.Equal(t, math.MaxInt32, parts.Raw, "an int of 32 bits is not negative")
	_, ok = payload.Cut([]byte("\xff\x00\x00\x00\x00"))
	require.False(t, ok, "IDs beyond the end")
}

// TestBomb reads a value that says it is small, or admits that it is large, and makes 16 MB of 16 KB.
func TestBomb(t *testing.T) {
	const limit = 1 << 16
	packed, err := codec.Compressed(codec.CompressionOptions{}).Append(nil, make([]byte, 16<<20), nil)
	require.NoError(t, err)
	_, n := binary.Uvarint(packed[1:])
	stream := packed[1+n:]
	f := form[string](limit, codec.Compressed(codec.CompressionOptions{}))
	for outer, raw := range map[string]int{"honest outside": 16 << 20, "a liar outside": limit, "a small liar": 1} {
		for inner, size := range map[string]uint64{"honest inside": 16 << 20, "a liar inside": limit, "a small liar": 1} {
			body := append(binary.AppendUvarint(packed[:1:1], size), stream...)
			parts := payload.Parts{IDs: []byte(f.IDs()), Raw: raw, Body: body}
			spent := bytesAllocated(func() {
				_, err := f.Decode(parts, nil)
				require.ErrorIs(t, err, errUndecodable)
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

type page []byte

// TestDecodedIsOnesOwn changes what came back, which changes neither what it was made of nor what comes back next.
func TestDecodedIsOnesOwn(t *testing.T) {
	for _, layers := range [][]codec.Layer{nil, {small()}} {
		f := form[page](0, layers...)
		made := encode(t, f, page(strings.Repeat("page", 100)), "42")
		before := string(made)
		got, err := decode(f, made, "42")
		require.NoError(t, err)
		for i := range got {
			got[i] = '!'
		}
		require.Equal(t, before, string(made))
		again, err := decode(f, made, "42")
		require.NoError(t, err)
		require.Equal(t, strings.Repeat("page", 100), string(again))
		require.Equal(t, strings.Repeat("!", 400), string(got), "nor does the next read change the last one's")
	}
}

func TestTooLarge(t *testing.T) {
	for _, layers := range [][]codec.Layer{nil, {small()}} {
		f := form[string](10, layers...)
		_, err := decode(f, encode(t, f, strings.Repeat("x", 10), "42"), "42")
		require.NoError(t, err, "the limit itself")
		dst, err := f.Append([]byte("head"), strings.Repeat("x", 11), nil)
		require.ErrorIs(t, err, tarn.ErrTooHeavy)
		require.EqualError(t, err, "strategies: the value is above WriteBackConfig.MaxValue: "+tarn.ErrTooHeavy.Error())
		require.Equal(t, "head", string(dst))
	}
}

// quoting is a codec that quotes what it refuses, as many do.
type quoting struct{ byID }

func (quoting) Append(dst []byte, value string) ([]byte, error) {
	return append(dst, "half"...), errors.New("cannot encode " + value)
}

func (quoting) Decode(src []byte) (string, error) {
	return "half", errors.New("cannot decode " + string(src))
}

// shrinking is a codec that forgets what it was given.
type shrinking struct{ byID }

func (shrinking) Append([]byte, string) ([]byte, error) { return nil, nil }

// layerFunc does the same in both directions.
type layerFunc func(dst, src []byte) ([]byte, error)

func (layerFunc) ID() byte                                           { return 255 }
func (f layerFunc) Append(dst, src, _ []byte) ([]byte, error)        { return f(dst, src) }
func (f layerFunc) Decode(dst, src, _ []byte, _ int) ([]byte, error) { return f(dst, src) }

func TestEncodingFails(t *testing.T) {
	grows := func(n int) codec.Layer {
		return layerFunc(func(dst, src []byte) ([]byte, error) { return append(append(dst, src...), make([]byte, n)...), nil })
	}
	fails := layerFunc(func(dst, src []byte) ([]byte, error) { return dst, errors.New("cannot encode " + string(src)) })
	tests := []struct {
		rule  string
		codec codec.Codec[string]
		layer codec.Layer
		cause string
	}{
		{"the codec fails", quoting{byID{id: 200}}, nil, "cannot encode secret"},
		{"the codec forgets", shrinking{byID{id: 200}}, nil, "Append of the codec returned less than it was given"},
		{"a layer fails", nil, fails, "cannot encode secret"},
		{"a layer grows without bound", nil, grows(codec.MaxOverhead + 1), "a layer added more than 256 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			o := options(tt.codec, 0)
			if tt.layer != nil {
				o.Layers = []codec.Layer{tt.layer}
			}
			dst, err := payload.New(o).Append([]byte("head"), "secret", nil)
			require.EqualError(t, err, "strategies: the value cannot be encoded", "which quotes nothing")
			require.EqualError(t, errors.Unwrap(err), tt.cause, "the cause is there for whoever asks")
			require.Equal(t, "head", string(dst))
		})
	}
	f := form[string](0, grows(codec.MaxOverhead))
	_, err := decode(f, encode(t, f, "Ada", "42"), "42")
	require.EqualError(t, err, "journal: no value: it is not of the length that it says", "above the limit it was given")
}

func TestDecodingQuotesNothing(t *testing.T) {
	made := encode(t, payload.New(options[string](byID{id: 200}, 0)), "secret", "42")
	got, err := decode(payload.New(options[string](quoting{byID{id: 200}}, 0)), made, "42")
	require.EqualError(t, err, "journal: no value: the codec refused it")
	require.ErrorContains(t, errors.Unwrap(err), "secret")
	require.Empty(t, got, "what a codec returned with its error")
}

// TestIDs are taken: those of tarn from tarn, also by pointer, and any from 128 on.
func TestIDs(t *testing.T) {
	require.Equal(t, "\x03\x02\x01\x03", form[string](0, small(), secret(t)).IDs())
	require.Equal(t, "\x01\x01", form[int](0).IDs())
	require.Equal(t, "\x01\x01", payload.New(options[int](&codec.JSON[int]{}, 0)).IDs())
	require.Equal(t, "\x02\x80\xff", payload.New(options[string](byID{id: 128}, 0, bystander(255))).IDs())
}

func TestNewPanics(t *testing.T) {
	tests := []struct {
		rule    string
		options payload.Options[string]
		says    string
	}{
		{"a limit is positive", options[string](nil, -1), "strategies: WriteBackConfig.MaxValue is negative: -1"},
		{"a length has four bytes", options[string](nil, math.MaxInt32), "strategies: WriteBackConfig.MaxValue is above 2 GB: 2147483647"},
		{"layers are there", options[string](nil, 0, small(), nil), "strategies: WriteBackConfig.Layers[1] is nil"},
		{"a codec's ID is its own", options[string](byID{id: 127}, 0),
			"strategies: WriteBackConfig.Codec has the ID 127, which is tarn's own: yours are from 128 on"},
		{"also where it has a codec of tarn inside", options[string](struct{ codec.JSON[string] }{}, 0),
			"strategies: WriteBackConfig.Codec has the ID 1, which is tarn's own: yours are from 128 on"},
		{"a layer's ID is its own", options[string](nil, 0, small(), bystander(0)),
			"strategies: WriteBackConfig.Layers[1] has the ID 0, which is tarn's own: yours are from 128 on"},
		{"layers are few", options[string](nil, 0, make([]codec.Layer, 9)...), "strategies: WriteBackConfig.Layers are more than 8"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			require.PanicsWithValue(t, tt.says, func() { payload.New(tt.options) })
		})
	}
}
