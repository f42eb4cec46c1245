package redisstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// counting is a client that counts its calls, each of which is one round trip to a server.
type counting struct {
	redisstore.Client
	calls int
}

func (c *counting) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	c.calls++
	c.Client.Do(ctx, commands, replies)
}

// TestRoundTrips counts how often each operation waits for Redis, on one key and on a hundred.
func TestRoundTrips(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	c := &counting{Client: redistest.Start(t).Client()}
	s := redisstore.New(c, redisstore.Config[string, string]{Namespace: "trips"})
	require.NoError(t, s.Clear(ctx)) // the script is there, and the records
	const n = 100
	keys, entries, tokens := make([]string, n), make([]tarn.Entry[string], n), make([]tarn.Token, n)
	leases, fills, settlements := make([]tarn.Lease[string], n), make([]tarn.Fill[string, string], n), make([]tarn.Settlement[string, string], n)
	for i := range keys {
		keys[i], entries[i] = fmt.Sprint("key ", i), tarn.Entry[string]{Value: "v"}
	}
	lookups := make([]tarn.Lookup[string], n)
	get := func(key string, want bool) func() error {
		return func() error {
			_, found, err := s.Get(ctx, key)
			require.Equal(t, want, found)
			return err
		}
	}
	for _, step := range []struct {
		op    string
		trips int
		do    func() error
	}{
		{"Get of nothing", 1, get("key 0", false)},
		{"Lease", 1, func() error { return s.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Minute}, leases) }},
		{"Stands", 1, func() error {
			for i := range keys {
				tokens[i] = leases[i].Token
				fills[i] = tarn.Fill[string, string]{Key: keys[i], Token: tokens[i], Store: true, Entry: entries[i]}
			}
			return s.Stands(ctx, keys, tokens, make([]bool, n))
		}},
		{"Fill", 1, func() error { return s.Fill(ctx, fills) }},
		{"Get", 1, get("key 0", true)},
		{"GetMany", 1, func() error { return s.GetMany(ctx, keys, lookups) }},
		{"Hold", 1, func() error { return s.Hold(ctx, keys, time.Minute, tokens) }},
		{"Settle", 1, func() error {
			for i := range keys {
				settlements[i] = tarn.Settlement[string, string]{Key: keys[i], Token: tokens[i], Store: true, Entry: entries[i]}
			}
			return s.Settle(ctx, settlements)
		}},
		{"SetMany", 1, func() error { return s.SetMany(ctx, keys, entries) }},
		{"DeleteMany", 1, func() error { return s.DeleteMany(ctx, keys) }},
		{"GetMany of nothing, which looks again", 2, func() error { return s.GetMany(ctx, keys, lookups) }},
		{"Set", 1, func() error { return s.Set(ctx, "key 0", entries[0]) }},
		{"40 hits", 40, func() error {
			for range 40 {
				require.NoError(t, get("key 0", true)())
			}
			return nil
		}},
		{"Get of nothing after many hits", 1, get("key 1", false)},
		{"Delete", 1, func() error { return s.Delete(ctx, "key 0") }},
		{"Set of an entry with tags", 2, func() error { return s.Set(ctx, "key 0", tarn.Entry[string]{Tags: tags(0, "a", "b")}) }},
		{"Get of one", 2, get("key 0", true)},
		{"InvalidateTags", 2, func() error { return s.InvalidateTags(ctx, "a", "b", "c") }},
		{"Get of one that is gone", 2, get("key 0", false)},
		{"Stamp", 1, func() error { _, err := s.Stamp(ctx); return err }},
		{"Lease of one that is known to be gone, and others, with a stamp", 1, func() error {
			return s.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Minute, Stamp: true}, leases)
		}},
		{"Fill of many", 1, func() error {
			for i := range fills {
				fills[i].Token, fills[i].Entry.Tags = leases[i].Token, tags(leases[i].Stamp, "a", fmt.Sprint(i))
			}
			return s.Fill(ctx, fills)
		}},
		{"GetMany of many", 2, func() error { return s.GetMany(ctx, keys, lookups) }},
		{"Lease of many that are there", 2, func() error {
			return s.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Minute, Stamp: true}, leases)
		}},
		{"Touch of one", 3, func() error { _, err := s.Touch(ctx, "key 1", 0); return err }},
		{"Add where there is one", 2, func() error { _, err := s.Add(ctx, "key 1", entries[0]); return err }},
		{"SetMany of many", 2, func() error {
			for i := range entries {
				entries[i].Tags = tags(0, "a")
			}
			return s.SetMany(ctx, keys, entries)
		}},
		{"Hold of many", 1, func() error { return s.Hold(ctx, keys, time.Minute, tokens) }},
		{"Settle of many", 2, func() error {
			for i := range settlements {
				settlements[i].Token, settlements[i].Entry.Tags = tokens[i], tags(leases[1].Entry.Tags.Stamp(), "a")
			}
			return s.Settle(ctx, settlements)
		}},
		{"Delete of one", 1, func() error { return s.Delete(ctx, "key 0") }},
		{"InvalidateTags of one", 2, func() error { return s.InvalidateTags(ctx, "a") }},
		{"GetMany of many that are gone", 2, func() error { return s.GetMany(ctx, keys[1:], lookups[1:]) }},
		{"Lease of them", 1, func() error {
			return s.Lease(ctx, keys[1:], tarn.LeaseTerms{Life: time.Minute, Stamp: true}, leases[1:])
		}},
		{"Clear", 1, func() error { return s.Clear(ctx) }},
	} {
		before := c.calls
		require.NoError(t, step.do(), step.op)
		require.Equal(t, step.trips, c.calls-before, step.op)
	}
}
