package redisstore

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
)

type (
	kindOfString string
	kindOfInt8   int8
	level        uint16 // with a text that is the same for all
	point        struct{ X, Y int }
	grade        struct{ Value float64 } // with a text in full
	onlyText     struct{ Value int }     // with a text, and no way back
	byPointer    struct{ Value int }     // whose pointer has the text
	lossy        struct{ Value int }     // whose text forgets
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

func (l lossy) MarshalText() ([]byte, error) {
	return strconv.AppendInt(nil, int64(l.Value/10), 10), nil
}
func (l *lossy) UnmarshalText(text []byte) error { return (*byPointer)(l).UnmarshalText(text) }

// comesBack names keys that differ and finds them again by their names.
func comesBack[K comparable](t *testing.T, names *keyNames[K], keys ...K) {
	t.Helper()
	seen := make(map[string]K)
	for _, key := range keys {
		name := nameOf(t, names, key)
		if other, ok := seen[name.redis]; ok {
			t.Errorf("%v and %v have one Redis key", key, other)
		}
		seen[name.redis] = key
		full := ""
		if names.isHashed(name.redis) {
			full = name.bytes
		}
		again, ok := names.back(name.redis, full)
		require.True(t, ok, "%v", key)
		require.Equal(t, name, again)
		parsed, err := names.parse(again.bytes)
		require.NoError(t, err, "%v", key)
		require.Equal(t, key, parsed)
		require.True(t, names.parses())
	}
}

func TestKeysComeBack(t *testing.T) {
	awkward := []string{
		"", " ", "a b", "{", "}", "{}", "{a}b", "*", "k", "r", "h", "[a-z]?", "\\", "\x00", "a\x00b", "\r\n", "\xff\xfe",
		"日本", strings.Repeat("x", maxPlainKey), strings.Repeat("x", maxPlainKey+1), strings.Repeat("x", 64<<10),
		strings.Repeat("x", 64<<10) + "y", strings.Repeat("\x00", maxKey),
	}
	t.Run("strings", func(t *testing.T) { comesBack(t, newKeyNames[string]("users", 0, nil, nil), awkward...) })
	t.Run("a kind of string", func(t *testing.T) {
		comesBack(t, newKeyNames[kindOfString]("users", 1, nil, nil), "", "a", kindOfString(strings.Repeat("a", 200)))
	})
	t.Run("int", func(t *testing.T) {
		comesBack(t, newKeyNames[int]("users", 16384, nil, nil), 0, 1, -1, math.MaxInt, math.MinInt)
	})
	t.Run("int64", func(t *testing.T) {
		comesBack(t, newKeyNames[int64]("a b*[c]?:7", 3, nil, nil), 0, 42, math.MaxInt64, math.MinInt64)
	})
	t.Run("a kind of int8", func(t *testing.T) {
		comesBack(t, newKeyNames[kindOfInt8]("users", 0, nil, nil), 0, -1, 127, -128)
	})
	t.Run("int16", func(t *testing.T) {
		comesBack(t, newKeyNames[int16]("users", 0, nil, nil), 0, math.MaxInt16, math.MinInt16)
	})
	t.Run("int32", func(t *testing.T) {
		comesBack(t, newKeyNames[int32]("users", 0, nil, nil), 0, math.MaxInt32, math.MinInt32)
	})
	t.Run("uint8", func(t *testing.T) { comesBack(t, newKeyNames[uint8]("users", 0, nil, nil), 0, 255) })
	t.Run("uint32", func(t *testing.T) { comesBack(t, newKeyNames[uint32]("users", 0, nil, nil), 0, math.MaxUint32) })
	t.Run("uint64", func(t *testing.T) { comesBack(t, newKeyNames[uint64]("users", 0, nil, nil), 0, math.MaxUint64) })
	t.Run("uint", func(t *testing.T) { comesBack(t, newKeyNames[uint]("users", 0, nil, nil), 0, math.MaxUint) })
	t.Run("uintptr", func(t *testing.T) { comesBack(t, newKeyNames[uintptr]("users", 0, nil, nil), 0, 1<<20) })
	t.Run("a kind of uint16 is no text", func(t *testing.T) {
		comesBack(t, newKeyNames[level]("users", 0, nil, nil), 1, 2, math.MaxUint16)
	})
	t.Run("addresses", func(t *testing.T) {
		comesBack(t, newKeyNames[netip.Addr]("users", 0, nil, nil),
			netip.Addr{}, netip.MustParseAddr("::1"), netip.MustParseAddr("::ffff:1.2.3.4"), netip.MustParseAddr("1.2.3.4"),
			netip.MustParseAddr("fe80::1%eth0"))
	})
	t.Run("the text of a pointer", func(t *testing.T) {
		comesBack(t, newKeyNames[byPointer]("users", 0, nil, nil), byPointer{1}, byPointer{-7})
	})
	t.Run("own functions", func(t *testing.T) {
		comesBack(t, newKeyNames("users", 0,
			func(dst []byte, p point) ([]byte, error) { return fmt.Appendf(dst, "%d,%d", p.X, p.Y), nil },
			func(src []byte) (p point, err error) {
				_, err = fmt.Sscanf(string(src), "%d,%d", &p.X, &p.Y)
				return p, err
			}), point{}, point{1, 23}, point{12, 3}, point{X: math.MinInt})
	})
}

func TestKeysThatHaveNoBytes(t *testing.T) {
	long := newKeyNames[string]("users", 0, nil, nil)
	_, err := long.name(strings.Repeat("x", maxKey+1))
	require.ErrorIs(t, err, tarn.ErrTooHeavy)

	// Two times of one text are equal for a reader, and two keys for a map.
	_, err = newKeyNames[time.Time]("users", 0, nil, nil).name(time.Now())
	require.EqualError(t, err, "redisstore: key: its text does not give the same key back")
	require.True(t, tarn.IsPermanent(err))
	_, err = newKeyNames[lossy]("users", 0, nil, nil).name(lossy{17})
	require.ErrorContains(t, err, "same key back")
	_, err = newKeyNames[grade]("users", 0, nil, nil).name(grade{math.NaN()})
	require.ErrorContains(t, err, "same key back")
	comesBack(t, newKeyNames[grade]("users", 0, nil, nil), grade{0.5}, grade{math.Inf(1)})

	secret := errors.New("no such key: secret")
	_, err = newKeyNames("users", 0, func([]byte, point) ([]byte, error) { return nil, secret }, nil).name(point{})
	require.ErrorIs(t, err, secret)
	require.NotContains(t, err.Error(), "secret")
	require.True(t, tarn.IsPermanent(err), "it is the key's fault, not that of Redis")
}

func TestKeysThatCannotBeNamed(t *testing.T) {
	text := newKeyNames[onlyText]("users", 0, nil, nil)
	nameOf(t, text, onlyText{1})
	_, err := text.parse("1")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.False(t, text.parses())

	own := newKeyNames("users", 0, func(dst []byte, p point) ([]byte, error) { return dst, nil }, nil)
	_, err = own.parse("1")
	require.ErrorIs(t, err, errors.ErrUnsupported)
	require.False(t, own.parses())

	for _, bytes := range []string{"", "007", "+7", "-0", "128", "-129", " 7", "7 ", "0x7", "1_0", "secret"} {
		key, err := newKeyNames[int8]("users", 0, nil, nil).parse(bytes)
		require.Error(t, err, "%q", bytes)
		require.NotContains(t, err.Error(), "secret")
		require.Zero(t, key)
	}
	for _, bytes := range []string{"", "00", "+7", "-1", "256"} {
		_, err := newKeyNames[uint8]("users", 0, nil, nil).parse(bytes)
		require.Error(t, err, "%q", bytes)
	}
	key, err := newKeyNames[byPointer]("users", 0, nil, nil).parse("secret")
	require.ErrorIs(t, err, strconv.ErrSyntax)
	require.NotContains(t, err.Error(), "secret")
	require.Zero(t, key)
}

func TestBackRefuses(t *testing.T) {
	names := newKeyNames[string]("users", 0, nil, nil)
	plain, long := nameOf(t, names, "42"), nameOf(t, names, strings.Repeat("4", 200))
	other := (plain.partition + 1) % defaultPartitions
	tests := []struct{ rule, redis, full string }{
		{"empty", "", ""},
		{"no braces", "users", ""},
		{"braces alone", names.braces(plain.partition), ""},
		{"a record", names.record(plain.partition), ""},
		{"another mark", names.braces(plain.partition) + "x42", ""},
		{"another namespace", nameOf(t, newKeyNames[string]("user", 0, nil, nil), "42").redis, ""},
		{"another partition", names.braces(other) + "k42", ""},
		{"other partitions", nameOf(t, newKeyNames[string]("users", 16384, nil, nil), "42").redis, ""},
		{"a partition of two spellings", strings.Replace(plain.redis, ":", ":0", 1), ""},
		{"something before", "x" + plain.redis, ""},
		{"a long key in full", names.braces(long.partition) + "k" + long.bytes, ""},
		{"a hash without its key", long.redis, ""},
		{"a hash and another key", long.redis, strings.Repeat("4", 201)},
		{"a hash of a short key", names.nameHashed("42").redis, "42"},
	}
	for _, tt := range tests {
		_, ok := names.back(tt.redis, tt.full)
		require.False(t, ok, tt.rule)
	}
}

func TestNewKeyNamesPanics(t *testing.T) {
	type of = func()
	strs := func(namespace string, partitions int) of {
		return func() { newKeyNames[string](namespace, partitions, nil, nil) }
	}
	tests := []struct {
		rule string
		call of
		says string
	}{
		{"a namespace is needed", strs("", 0), "redisstore: Config.Namespace is empty"},
		{"braces would end the slot's tag", strs("a{b", 0), "Config.Namespace has braces"},
		{"closing ones too", strs("a}b", 0), "Config.Namespace has braces"},
		{"a new line would end the script's comment", strs("a\nb", 0), "Config.Namespace has control characters"},
		{"UTF-8", strs("a\xff", 0), "Config.Namespace is not UTF-8"},
		{"bounded", strs(strings.Repeat("a", 129), 0), "Config.Namespace is longer than 128 bytes"},
		{"partitions are counted from one", strs("a", -1), "Config.Partitions is -1"},
		{"there are no more than slots", strs("a", 16385), "Config.Partitions is 16385"},
		{"interfaces have no form", func() { newKeyNames[any]("a", 0, nil, nil) }, "keys of type interface {}"},
		{"interfaces with a text neither", func() { newKeyNames[interface{ MarshalText() ([]byte, error) }]("a", 0, nil, nil) },
			"Config.AppendKey is nil"},
		{"pointers to a text would be another key each", func() { newKeyNames[*byPointer]("a", 0, nil, nil) }, "*redisstore.byPointer"},
		{"structs have no form", func() { newKeyNames[point]("a", 0, nil, nil) }, "keys of type redisstore.point"},
		{"floats neither", func() { newKeyNames[float64]("a", 0, nil, nil) }, "keys of type float64"},
		{"channels neither", func() { newKeyNames[chan int]("a", 0, nil, nil) }, "keys of type chan int"},
		{"back goes with there", func() { newKeyNames("a", 0, nil, func([]byte) (string, error) { return "", nil }) },
			"Config.ParseKey is set, but Config.AppendKey is not"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			defer func() { require.Contains(t, fmt.Sprint(recover()), tt.says) }()
			tt.call()
		})
	}
}

func TestPartitionsAreEven(t *testing.T) {
	names := newKeyNames[int64]("users", 16, nil, nil)
	var count [16]int
	for i := range int64(16_000) {
		count[nameOf(t, names, i).partition]++
	}
	for p, n := range count {
		require.InDelta(t, 1000, n, 150, "partition %d", p)
	}
}

func TestNamespaceAndKeyAreNotSwapped(t *testing.T) {
	a := nameOf(t, newKeyNames[string]("a", 0, nil, nil), "b")
	b := nameOf(t, newKeyNames[string]("b", 0, nil, nil), "a")
	require.NotEqual(t, a.hash, b.hash)
}

// FuzzKeyNames looks for two keys, or two namespaces, of one Redis key.
func FuzzKeyNames(f *testing.F) {
	long := strings.Repeat("x", maxPlainKey+1)
	f.Add("users", "42", "users", "43", uint16(256))
	f.Add("a", "1}kb", "a:1", "b", uint16(3))
	f.Add("a b", "", "a b", "\x00", uint16(1))
	f.Add("a", long, "a", long+"x", uint16(2))
	f.Add("a", "{a:0}k*", "a:0", "k?[", uint16(16384))
	f.Fuzz(func(t *testing.T, ns1, key1, ns2, key2 string, partitions uint16) {
		if badNamespace(ns1) != "" || badNamespace(ns2) != "" || len(key1) > maxKey || len(key2) > maxKey {
			return
		}
		n1 := newKeyNames[string](ns1, int(partitions)%64+1, nil, nil)
		n2 := newKeyNames[string](ns2, int(partitions)%64+1, nil, nil)
		a, b := nameOf(t, n1, key1), nameOf(t, n2, key2)
		if same := ns1 == ns2 && key1 == key2; (a.redis == b.redis) != same {
			t.Fatalf("%q and %q, same: %v", a.redis, b.redis, same)
		}
		if a.redis == n2.record(b.partition) {
			t.Fatalf("%q is a record", a.redis)
		}
		if tag := a.redis[:strings.IndexByte(a.redis, '}')+1]; tag != n1.braces(a.partition) || tag[0] != '{' || strings.Count(tag, "{") > 1 {
			t.Fatalf("%q is of another slot than its record", a.redis)
		}
		comesBack(t, n1, key1)
		if _, ok := n2.back(a.redis, key1); ok != (ns1 == ns2) {
			t.Fatalf("%q is of namespace %q: %v", a.redis, ns2, ok)
		}
		// What is no name of ours is never taken for one.
		if name, ok := n1.back(key2, key1); ok && name.redis != key2 {
			t.Fatalf("%q is taken for %q", key2, name.redis)
		}
	})
}

// FuzzIntegerKeys looks for bytes that are taken for a key that has others.
func FuzzIntegerKeys(f *testing.F) {
	for _, s := range []string{"0", "-1", "007", "+7", "9223372036854775807", "-9223372036854775808", "9223372036854775808"} {
		f.Add(s)
	}
	signed, unsigned := newKeyNames[int64]("a", 1, nil, nil), newKeyNames[uint32]("a", 1, nil, nil)
	f.Fuzz(func(t *testing.T, bytes string) {
		if key, err := signed.parse(bytes); err == nil && nameOf(t, signed, key).bytes != bytes {
			t.Fatalf("%q is taken for %d", bytes, key)
		}
		if key, err := unsigned.parse(bytes); err == nil && nameOf(t, unsigned, key).bytes != bytes {
			t.Fatalf("%q is taken for %d", bytes, key)
		}
	})
}
