package keybytes_test

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/keybytes"
)

type (
	kindOfString string
	kindOfInt8   int8
	level        uint16 // with a text that is the same for all
	point        struct{ X, Y int }
	grade        struct{ Value float64 } // with a text in full
	onlyText     struct{ Value int }     // with a text, and no way back
	byPointer    struct{ Value int }     // whose pointer has the text
	greedy       struct{ Value int }     // whose text takes away what was there
)

func (level) MarshalText() ([]byte, error) { return []byte("level"), nil }

func (g grade) MarshalText() ([]byte, error) {
	return strconv.AppendFloat(nil, g.Value, 'g', -1, 64), nil
}

func (g *grade) UnmarshalText(text []byte) (err error) {
	g.Value, err = strconv.ParseFloat(string(text), 64)
	return err
}

func (o onlyText) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(o.Value), 10), nil
}

func (b *byPointer) AppendText(dst []byte) ([]byte, error) {
	return strconv.AppendInt(dst, int64(b.Value), 10), nil
}
func (b *byPointer) MarshalText() ([]byte, error) { return b.AppendText(nil) }
func (b *byPointer) UnmarshalText(text []byte) (err error) {
	b.Value, err = strconv.Atoi(string(text))
	return err
}

func (greedy) AppendText([]byte) ([]byte, error) { return nil, nil }
func (greedy) MarshalText() ([]byte, error)      { return nil, nil }

// form is as package strategies would make one.
func form[K comparable](appendKey func([]byte, K) ([]byte, error), parseKey func([]byte) (K, error)) keybytes.Form[K] {
	return keybytes.New(keybytes.Options[K]{
		Append: appendKey, Parse: parseKey, Package: "strategies", Config: "WriteBackConfig",
	})
}

// comeBack makes the bytes of keys that differ, and finds them again by those.
func comeBack[K comparable](t *testing.T, f keybytes.Form[K], bytes []string, keys ...K) {
	t.Helper()
	require.True(t, f.Parses())
	for i, key := range keys {
		made, err := f.Append([]byte("head"), key)
		require.NoError(t, err)
		require.Equal(t, "head"+bytes[i], string(made))
		again, err := f.Parse(bytes[i])
		require.NoError(t, err)
		require.Equal(t, key, again)
		if text, ok := f.Text(key); ok {
			require.Equal(t, bytes[i], text)
		}
		if digits, ok := f.AppendInteger([]byte("head"), key); ok {
			require.Equal(t, "head"+bytes[i], string(digits))
			require.LessOrEqual(t, len(bytes[i]), keybytes.MaxInteger)
		}
	}
}

func TestKeysComeBack(t *testing.T) {
	long := strings.Repeat("x", 1<<20)
	comeBack(t, form[string](nil, nil), []string{"", "a b", "\x00\xff", long}, "", "a b", "\x00\xff", long)
	comeBack(t, form[kindOfString](nil, nil), []string{"", "a"}, "", "a")
	comeBack(t, form[int](nil, nil), []string{"0", "-1"}, 0, -1)
	comeBack(t, form[kindOfInt8](nil, nil), []string{"127", "-128"}, 127, -128)
	comeBack(t, form[int16](nil, nil), []string{"32767", "-32768"}, math.MaxInt16, math.MinInt16)
	comeBack(t, form[int32](nil, nil), []string{"2147483647", "-2147483648"}, math.MaxInt32, math.MinInt32)
	comeBack(t, form[int64](nil, nil), []string{"9223372036854775807", "-9223372036854775808"}, math.MaxInt64, math.MinInt64)
	comeBack(t, form[uint8](nil, nil), []string{"0", "255"}, 0, 255)
	comeBack(t, form[level](nil, nil), []string{"1", "65535"}, 1, math.MaxUint16) // its text is the same for all
	comeBack(t, form[uint32](nil, nil), []string{"4294967295"}, math.MaxUint32)
	comeBack(t, form[uint64](nil, nil), []string{"18446744073709551615"}, math.MaxUint64)
	comeBack(t, form[uintptr](nil, nil), []string{"7"}, 7)
	comeBack(t, form[netip.Addr](nil, nil), []string{"", "::1"}, netip.Addr{}, netip.MustParseAddr("::1"))
	comeBack(t, form[byPointer](nil, nil), []string{"1", "-7"}, byPointer{1}, byPointer{-7})
	comeBack(t, form[grade](nil, nil), []string{"0.5", "+Inf"}, grade{0.5}, grade{math.Inf(1)})
	comeBack(t, form(
		func(dst []byte, p point) ([]byte, error) { return fmt.Appendf(dst, "%d,%d", p.X, p.Y), nil },
		func(src []byte) (p point, err error) {
			_, err = fmt.Sscanf(string(src), "%d,%d", &p.X, &p.Y)
			return p, err
		}), []string{"1,23", "12,3"}, point{1, 23}, point{12, 3})
}

// fails wants a permanent error of a key that has no bytes, and the bytes before it unchanged.
func fails[K comparable](t *testing.T, f keybytes.Form[K], key K, says string) {
	t.Helper()
	dst, err := f.Append([]byte("head"), key)
	require.EqualError(t, err, "strategies: key: "+says)
	require.True(t, tarn.IsPermanent(err))
	require.Equal(t, "head", string(dst))
}

func TestKeysThatHaveNoBytes(t *testing.T) {
	// Two times of one text are equal for a reader, and two keys for a map.
	fails(t, form[time.Time](nil, nil), time.Now(), "its text does not give the same key back")
	fails(t, form[grade](nil, nil), grade{math.NaN()}, "its text does not give the same key back")
	fails(t, form[greedy](nil, nil), greedy{1}, "its text cannot be made")

	secret := errors.New("no such key: secret")
	own := form(func([]byte, point) ([]byte, error) { return nil, secret }, nil)
	fails(t, own, point{}, "AppendKey failed")
	_, err := own.Append(nil, point{})
	require.ErrorIs(t, err, secret, "the cause is there for whoever asks")
	fails(t, form(func([]byte, point) ([]byte, error) { return nil, nil }, nil), point{},
		"AppendKey returned less than it was given")
}

func TestBytesThatAreNoKey(t *testing.T) {
	signed, unsigned, text := form[int8](nil, nil), form[uint8](nil, nil), form[byPointer](nil, nil)
	for _, bytes := range []string{"", "007", "+7", "-0", "128", "-129", " 7", "7 ", "0x7", "1_0", "secret"} {
		key, err := signed.Parse(bytes)
		require.EqualError(t, err, "strategies: key: bytes that are no key", "%q", bytes)
		require.Zero(t, key)
	}
	for _, bytes := range []string{"", "00", "+7", "-1", "256"} {
		key, err := unsigned.Parse(bytes)
		require.Error(t, err, "%q", bytes)
		require.Zero(t, key)
	}
	key, err := text.Parse("secret")
	require.ErrorIs(t, err, strconv.ErrSyntax)
	require.NotContains(t, err.Error(), "secret")
	require.Zero(t, key)
}

func TestKeysThatCannotBeNamed(t *testing.T) {
	text := form[onlyText](nil, nil)
	require.False(t, text.Parses())
	_, err := text.Parse("1")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.ErrorContains(t, err, "strategies: ")

	own := form(func(dst []byte, _ point) ([]byte, error) { return dst, nil }, nil)
	require.False(t, own.Parses())
	_, err = own.Parse("1")
	require.ErrorIs(t, err, errors.ErrUnsupported)
}

func TestNewPanics(t *testing.T) {
	const kinds = " are neither strings nor integers nor encoding.TextMarshalers that are no pointers or interfaces"
	tests := []struct {
		rule string
		call func()
		says string
	}{
		{"interfaces have no form", func() { form[any](nil, nil) }, "AppendKey is nil, and keys of type interface {}" + kinds},
		{"pointers to a text would be another key each", func() { form[*byPointer](nil, nil) },
			"AppendKey is nil, and keys of type *keybytes_test.byPointer" + kinds},
		{"structs have no form", func() { form[point](nil, nil) }, "AppendKey is nil, and keys of type keybytes_test.point" + kinds},
		{"floats neither", func() { form[float64](nil, nil) }, "AppendKey is nil, and keys of type float64" + kinds},
		{"back goes with there", func() { form(nil, func([]byte) (string, error) { return "", nil }) },
			"ParseKey is set, but WriteBackConfig.AppendKey is not"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			require.PanicsWithValue(t, "strategies: WriteBackConfig."+tt.says, tt.call)
		})
	}
}

// TestIntegersStayOnTheStack pins what AppendInteger and Text are for.
func TestIntegersStayOnTheStack(t *testing.T) {
	ints, texts := form[int64](nil, nil), form[kindOfString](nil, nil)
	sum := 0
	require.Zero(t, testing.AllocsPerRun(100, func() {
		var buf [keybytes.MaxInteger]byte
		digits, _ := ints.AppendInteger(buf[:0], math.MinInt64)
		text, _ := texts.Text("a string")
		sum += len(digits) + len(text)
	}))
	require.NotZero(t, sum)
}
