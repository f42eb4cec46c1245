package redisstore

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzStored takes any bytes for what stands under a key: an entry is seen only of this generation, decoded only if its
// payload is this key's, and nothing panics.
func FuzzStored(f *testing.F) {
	s := New(Client(nobody{}), Config[string, string]{Namespace: "users", MaxValue: 1 << 12})
	name, other := nameOf(f, s.names, "42"), nameOf(f, s.names, "43")
	payload, err := s.payloads.append(nil, name, "Ada")
	require.NoError(f, err)
	const generation = "12345678"
	head := func(kind byte) string { return s.wire + generation + string(rune(kind)) }
	numbers := strings.Repeat("\x7f", atMarks-atID)
	f.Add(head(kindValue)+numbers+"\x00"+string(payload), generation+"7")
	f.Add(head(kindValue)+numbers+"\x00"+string(payload), "87654321"+"7")
	f.Add(head(kindNegative)+numbers+"\x00"+string(s.payloads.appendNone(nil, name)), generation+"7")
	marks := appendMarks(nil, true, tagsFor(f, 1_700_000_000_000_000, "a", "bcd"))
	tagged, err := s.payloads.append(marks, name.marked(string(marks)), "Ada")
	require.NoError(f, err)
	f.Add(head(kindValue)+numbers+string(tagged), generation+"7:8")
	f.Add(head(kindLease)+numbers, generation+"7")
	f.Add(head(kindHold)+"t"+numbers, generation+"7")
	f.Add(head(kindRemoved), generation)
	f.Add("", "")

	f.Fuzz(func(t *testing.T, text, record string) {
		seen := s.see(context.Background(), text, record)
		if seen.kind == 0 || !seen.isEntry() {
			require.Empty(t, seen.id())
			return
		}
		require.Equal(t, record[:atKind-atGeneration], text[atGeneration:atKind], "another generation's")
		require.Len(t, seen.id(), atExpires-atID)
		var clock serverClock
		e, ok, err := s.entry(seen, name, &clock)
		if err != nil || !ok {
			require.Zero(t, e)
			return
		}
		require.LessOrEqual(t, len(e.Value), 1<<12)
		_, ok, err = s.entry(seen, other, &clock)
		require.False(t, ok, "another key's")
		require.ErrorIs(t, err, ErrUndecodable)
	})
}
