package redisstore

import (
	"encoding/hex"
	"math/bits"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

func tagsFor(t testing.TB, stamp tarn.Stamp, names ...string) *tarn.Tags {
	t.Helper()
	tags, err := tarn.NewTags(stamp, names...)
	require.NoError(t, err)
	return tags
}

// TestMarksFormat pins the bytes, which outlive the program.
func TestMarksFormat(t *testing.T) {
	most := make([]string, tarn.MaxTags)
	for i := range most {
		most[i] = strings.Repeat("x", tarn.MaxTagLength-3) + strconv.Itoa(100+i)
	}
	for _, tt := range []struct {
		rescued bool
		tags    *tarn.Tags
		bytes   string // empty: too long to be shown
	}{
		{false, nil, "00"},
		{true, nil, "01"},
		{false, tagsFor(t, 1_700_000_000_000_000, "b", "aa"), "02" + "00060a24181e4000" + "02" + "026161" + "0162"},
		{true, tagsFor(t, largestStamp, "\x00"), "03" + "001ff973cafa8000" + "01" + "0100"},
		{true, tagsFor(t, 1, most...), ""},
	} {
		marks := appendMarks([]byte("head"), tt.rescued, tt.tags)
		require.Equal(t, "head", string(marks[:4]))
		marks = marks[4:]
		if tt.bytes != "" {
			require.Equal(t, tt.bytes, hex.EncodeToString(marks))
		}
		for _, payload := range []string{"", "payload"} {
			cut, rest, ok := cutMarks(string(marks) + payload)
			require.True(t, ok)
			require.Equal(t, string(marks), cut)
			require.Equal(t, payload, rest)
		}
		tags, ok := tagsOf(string(marks))
		require.True(t, ok)
		require.Equal(t, tt.tags.Names(), tags.Names())
		require.Equal(t, tt.tags.Stamp(), tags.Stamp())
	}
}

func TestBadMarks(t *testing.T) {
	stamp := "\x00\x00\x00\x00\x00\x00\x00\x01"
	for why, marks := range map[string]string{
		"nothing":                    "",
		"a mark that is not known":   "\x04",
		"no stamp":                   "\x02",
		"half a stamp":               "\x02" + stamp[1:],
		"no number of tags":          "\x02" + stamp,
		"no tags":                    "\x02" + stamp + "\x00",
		"a number without an end":    "\x02" + stamp + strings.Repeat("\xff", 20),
		"too many tags":              "\x02" + stamp + "\x81\x01" + strings.Repeat("\x01a", 129),
		"fewer tags than it says":    "\x02" + stamp + "\x02\x01a",
		"an empty tag":               "\x02" + stamp + "\x01\x00",
		"a tag beyond the end":       "\x02" + stamp + "\x01\x02a",
		"a tag that is too long":     "\x02" + stamp + "\x01\x81\x08" + strings.Repeat("a", 1025),
		"a tag of 2^63 bytes":        "\x02" + stamp + "\x01" + strings.Repeat("\xff", 9) + "\x01" + "a",
		"a tag that comes twice":     "\x02" + stamp + "\x02\x01a\x01a",
		"a stamp of nothing":         "\x02" + strings.Repeat("\x00", 8) + "\x01\x01a",
		"a stamp that is impossible": "\x02" + strings.Repeat("\xff", 8) + "\x01\x01a",
	} {
		cut, _, ok := cutMarks(marks)
		if ok {
			_, ok = tagsOf(cut)
		}
		require.False(t, ok, why)
	}
}

// TestMarksAreSealed flips each bit of marks and payload, and cuts at each byte: an entry never has other tags, another
// stamp or another value than it was stored with.
func TestMarksAreSealed(t *testing.T) {
	s := New(Client(nobody{}), Config[string, string]{Namespace: "users"})
	name := nameOf(t, s.names, "42")
	const generation = "12345678"
	head := s.wire + generation + string(rune(kindValue)) + "identity" + strings.Repeat("\x7f", 8) + strings.Repeat("\x00", 8)
	for _, tags := range []*tarn.Tags{nil, tagsFor(t, 1_700_000_000_000_000, "a", "bcd")} {
		for _, negative := range []bool{false, true} {
			args, _, err := s.lives(name, &tarn.Entry[string]{Value: "Ada", Negative: negative, Tags: tags}, s.aTagging(tags), false)
			require.NoError(t, err)
			head := strings.Replace(head, string(rune(kindValue)), args[2], 1)
			var clock serverClock
			read := func(text string) (tarn.Entry[string], bool, error) {
				seen := s.see(t.Context(), text, generation+"7")
				if !seen.isEntry() {
					return tarn.Entry[string]{}, false, ErrUndecodable
				}
				return s.entry(seen, name, &clock)
			}
			e, ok, err := read(head + args[3])
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, tags.Names(), e.Tags.Names())
			require.Equal(t, tags.Stamp(), e.Tags.Stamp())
			for i := range len(args[3]) * 8 {
				bad := []byte(args[3])
				bad[i/8] ^= 1 << (i % 8)
				_, _, err := read(head + string(bad))
				require.ErrorIs(t, err, ErrUndecodable, "bit %d", i)
			}
			for i := range args[3] {
				_, _, err := read(head + args[3][:i])
				require.ErrorIs(t, err, ErrUndecodable, "%d bytes", i)
			}
		}
	}
}

// aTagging is one that knows of no invalidation.
func (s *Store[K, V]) aTagging(tags *tarn.Tags) *tagging {
	t := &tagging{tagRecords: *newTagRecords(s.names, []*tarn.Tags{tags}), counter: largestStamp}
	t.uses = make([]tagUse, len(t.names))
	for i := range t.records {
		t.records[i].at = 1
	}
	return t
}

// TestTagNames checks that no two of a namespace's Redis keys are the same.
func TestTagNames(t *testing.T) {
	n := newKeyNames[string]("users", 4, nil, nil)
	long := strings.Repeat("t", maxPlainKey+1)
	seen := map[string]string{n.counter().redis: "counter"}
	for p := range 4 {
		seen[n.record(p)] = "record"
	}
	for _, text := range []string{"", "s", "r", "k", "h", "t", "T", "f", "}r", "}s", long, digest(long), "T" + digest(long), "kk"} {
		key := nameOf(t, n, text)
		names := []string{key.redis, refreshKey(n.record(key.partition), key.redis)}
		if text != "" {
			names = append(names, n.tag(text).redis)
		}
		for _, redis := range names {
			require.Empty(t, seen[redis], redis)
			seen[redis] = text
			require.Equal(t, n.braces(0)[:7], redis[:7])
		}
		_, is := n.back(n.tag(text).redis, "")
		require.False(t, is, "a tag's record is no key")
	}
	require.Equal(t, "{users:0}tbooks", n.tag("books").redis)
	require.Equal(t, "{users:0}s", n.counter().redis)
}

// FuzzTagRecord reads any bytes as the records of a tag and of its partition.
func FuzzTagRecord(f *testing.F) {
	f.Add("123456781700000000000000 1700000000000001", "1234567842:1700000000000002")
	f.Add("123456781700000000000000 1700000000000001", "1234567842~1700000000000002")
	f.Add("", "12345678")
	f.Add("1", "")
	f.Fuzz(func(t *testing.T, text, partition string) {
		r := tagRecordOf(text, partition)
		require.LessOrEqual(t, max(r.at, r.floor), uint64(largestStamp))
		if r.at != 0 {
			require.Equal(t, text[:8], partition[:8])
			require.Equal(t, r.generation, text[:8])
		}
		if r.generation == "" {
			require.Zero(t, r)
		}
		require.LessOrEqual(t, bits.Len64(momentOf(text)), 53)
		if marks, payload, ok := cutMarks(text); ok {
			require.Equal(t, text, marks+payload)
			if tags, ok := tagsOf(marks); ok && tags != nil {
				require.True(t, slices.IsSorted(tags.Names()))
				require.LessOrEqual(t, len(tags.Names()), tarn.MaxTags)
				require.NotZero(t, tags.Stamp())
			}
		}
	})
}
