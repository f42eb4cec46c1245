package redisstore_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/ttl"
)

var namespaces atomic.Int64

// unique returns a namespace that no other test has.
func unique() string { return fmt.Sprintf("test-%d", namespaces.Add(1)) }

// scanning is a client that can name keys.
type scanning struct{ *redistest.Client }

func (c scanning) ScanKeys(ctx context.Context, pattern string, f func(keys []string) error) error {
	for cursor := "0"; ; {
		r, err := c.Call(ctx, "SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
		if err != nil {
			return err
		}
		var keys []string
		for _, item := range r.Items[1].Items {
			keys = append(keys, item.Text)
		}
		if len(keys) > 0 {
			if err := f(keys); err != nil {
				return err
			}
		}
		if cursor = r.Items[0].Text; cursor == "0" {
			return nil
		}
	}
}

// sharded is a client that says that it speaks to a cluster.
type sharded struct{ scanning }

func (sharded) Sharded() bool { return true }

func TestConformance(t *testing.T) {
	t.Parallel()
	const all = storetest.All &^ storetest.Closer &^ storetest.Hitter
	client := scanning{redistest.Start(t).Client()}
	for _, tt := range []struct {
		name   string
		client redisstore.Client
		config redisstore.Config[string, string]
	}{
		{"one server", client, redisstore.Config[string, string]{
			Partitions: 16, // each row has a namespace of its own, whose partitions begin by a command each
		}},
		{"sharded, unpublished, few partitions, never forgotten", sharded{client}, redisstore.Config[string, string]{
			Unpublished: true, Partitions: 3, MaxLife: ttl.Forever,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
				tt.config.Namespace = unique()
				return redisstore.New(tt.client, tt.config)
			}, storetest.RealTime(500*time.Millisecond), storetest.Beside(), storetest.Require(all))
		})
	}
}

type key struct{ a, b int }

func TestNewPanics(t *testing.T) {
	client := redistest.Dial("127.0.0.1:1", redistest.Config{})
	type config = redisstore.Config[string, string]
	for _, tt := range []struct {
		names string // in the message
		do    func()
	}{
		{"client is nil", func() { redisstore.New[string, string](nil, config{Namespace: "n"}) }},
		{"Config.Namespace", func() { redisstore.New(client, config{}) }},
		{"Config.Namespace", func() { redisstore.New(client, config{Namespace: "a{b"}) }},
		{"Config.Partitions", func() { redisstore.New(client, config{Namespace: "n", Partitions: -1}) }},
		{"Config.MaxLife", func() { redisstore.New(client, config{Namespace: "n", MaxLife: -1}) }},
		{"Config.MaxValue", func() { redisstore.New(client, config{Namespace: "n", MaxValue: -1}) }},
		{"Config.WireVersion", func() { redisstore.New(client, config{Namespace: "n", WireVersion: 2}) }},
		{"Config.WireVersion", func() { redisstore.New(client, config{Namespace: "n", WireVersion: -1}) }},
		{"Config.Heartbeat", func() { redisstore.New(client, config{Namespace: "n", Heartbeat: -1}) }},
		{"Config.HeartbeatTimeout", func() { redisstore.New(client, config{Namespace: "n", HeartbeatTimeout: -1}) }},
		{"Config.AppendKey", func() { redisstore.New(client, redisstore.Config[key, string]{Namespace: "n"}) }},
	} {
		t.Run(tt.names, func(t *testing.T) {
			defer func() { require.Contains(t, recover(), tt.names) }()
			tt.do()
		})
	}
}

// What the store cannot do for want of the client or of the config, it does not offer.
func TestAs(t *testing.T) {
	client := redistest.Dial("127.0.0.1:1", redistest.Config{})
	own := func(dst []byte, k key) ([]byte, error) { return fmt.Append(dst, k.a, k.b), nil }
	for _, tt := range []struct {
		rule           string
		store          tarn.Store[key, string]
		watches, scans bool
	}{
		{"a client that only sends", redisstore.New(struct{ redisstore.Client }{client}, keyed("n", own)), false, false},
		{"a client that subscribes", redisstore.New(client, keyed("n", own)), true, false},
		{"keys that cannot be parsed", redisstore.New(scanning{client}, keyed("n", own)), true, false},
		{"unpublished", redisstore.New(client, func() redisstore.Config[key, string] {
			cfg := keyed("n", own)
			cfg.Unpublished = true
			return cfg
		}()), false, false},
		{"keys that can be parsed", redisstore.New(scanning{client}, func() redisstore.Config[key, string] {
			cfg := keyed("n", own)
			cfg.ParseKey = func([]byte) (key, error) { return key{}, nil }
			return cfg
		}()), true, true},
	} {
		_, watches := tarn.As[tarn.Watcher[key]](tt.store)
		_, scans := tarn.As[tarn.Scanner[key, string]](tt.store)
		require.Equal(t, tt.watches, watches, tt.rule)
		require.Equal(t, tt.scans, scans, tt.rule)
		_, leases := tarn.LeaserOf(tt.store)
		require.True(t, leases, tt.rule)
		_, hits := tarn.As[tarn.Hitter[key, string]](tt.store)
		require.False(t, hits, tt.rule)
	}
	s := redisstore.New(client, redisstore.Config[string, string]{Namespace: "n", Unpublished: true})
	require.Error(t, s.Watch(t.Context(), nil))
}

func keyed(namespace string, appendKey func([]byte, key) ([]byte, error)) redisstore.Config[key, string] {
	return redisstore.Config[key, string]{Namespace: namespace, AppendKey: appendKey}
}

// Everything but the records has an end, and none later than MaxLife.
func TestEverythingEnds(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	s := redisstore.New(scanning{server.Client()}, redisstore.Config[string, string]{Namespace: "ends", MaxLife: time.Minute})
	e := tarn.Entry[string]{Value: "v", Expires: s.Clock().Now().Add(time.Hour)}
	require.NoError(t, s.Set(ctx, "set", e))
	require.NoError(t, s.Set(ctx, "never", tarn.Entry[string]{}))
	require.NoError(t, s.Set(ctx, "touched", e))
	_, err := s.Touch(ctx, "touched", ttl.End)
	require.NoError(t, err)
	_, err = s.Add(ctx, "added", e)
	require.NoError(t, err)
	into := make([]tarn.Lease[string], 2)
	require.NoError(t, s.Lease(ctx, []string{"leased", "set"}, tarn.LeaseTerms{Life: time.Minute, Refresh: true}, into))
	require.NoError(t, s.Hold(ctx, []string{"held"}, time.Minute, make([]tarn.Token, 1)))
	_, _, err = s.Compute(ctx, "never", func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
		return e, tarn.ComputeDelete
	})
	require.NoError(t, err)
	n := 0
	for _, k := range server.Call("KEYS", "{ends:*").Items {
		left := time.Duration(server.Call("PTTL", k.Text).Int) * time.Millisecond
		if strings.HasSuffix(k.Text, "}r") {
			require.Negative(t, left)
			continue
		}
		n++
		require.Greater(t, left, time.Duration(0), k.Text)
		require.LessOrEqual(t, left, time.Minute, k.Text)
	}
	require.Equal(t, 7, n)
	got, found, err := s.Get(ctx, "set")
	require.NoError(t, err)
	require.True(t, found)
	left := got.Expires.Sub(s.Clock().Now())
	require.LessOrEqual(t, left, time.Minute)
	require.Greater(t, left, 50*time.Second)
}

// What a reader is told of an end is never later than that of the key in Redis, so that no near copy outlives it.
func TestExpiresIsNeverLate(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	s := redisstore.New(scanning{server.Client()}, redisstore.Config[string, string]{Namespace: "late", Partitions: 1})
	into, leased := make([]tarn.Lookup[string], 1), make([]tarn.Lease[string], 1)
	for range 50 {
		require.NoError(t, s.Set(ctx, "k", tarn.Entry[string]{Expires: s.Clock().Now().Add(time.Minute)}))
		e, _, err := s.Get(ctx, "k")
		require.NoError(t, err)
		require.NoError(t, s.GetMany(ctx, []string{"k"}, into))
		require.NoError(t, s.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute}, leased))
		left := server.Call("PTTL", "{late:0}kk").Int
		now := s.Clock().Now()
		for _, expires := range []ttl.Time{e.Expires, into[0].Entry.Expires, leased[0].Entry.Expires} {
			require.LessOrEqual(t, expires, now.Add(time.Duration(left+1)*time.Millisecond))
		}
	}
}

// A near copy of what was filled must not outlive it, so a Fill says when that is gone.
func TestAFillTellsOfAShorterLife(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	for name, row := range map[string]struct {
		maxLife time.Duration
		asked   func(now ttl.Time) ttl.Time
		shorter bool
	}{
		"never, capped":   {time.Minute, func(ttl.Time) ttl.Time { return 0 }, true},
		"for ever":        {time.Minute, func(ttl.Time) ttl.Time { return ttl.End }, true},
		"later, capped":   {time.Minute, func(now ttl.Time) ttl.Time { return now.Add(time.Hour) }, true},
		"sooner":          {time.Minute, func(now ttl.Time) ttl.Time { return now.Add(30 * time.Second) }, false},
		"never, uncapped": {ttl.Forever, func(ttl.Time) ttl.Time { return 0 }, false},
	} {
		s := redisstore.New(server.Client(), redisstore.Config[string, string]{Namespace: "fill", MaxLife: row.maxLife})
		asked := row.asked(s.Clock().Now())
		leases := make([]tarn.Lease[string], 1)
		require.NoError(t, s.Lease(ctx, []string{name}, tarn.LeaseTerms{Life: time.Minute}, leases), name)
		fills := []tarn.Fill[string, string]{
			{Key: name, Token: leases[0].Token, Store: true, Entry: tarn.Entry[string]{Value: "v", Expires: asked}},
		}
		require.NoError(t, s.Fill(ctx, fills), name)
		require.True(t, fills[0].Stored, name)
		if !row.shorter {
			require.Equal(t, asked, fills[0].Entry.Expires, name)
			continue
		}
		left := time.Duration(server.Call("PTTL", "{fill:"+partition(t, server, name)).Int) * time.Millisecond
		told := fills[0].Entry.Expires.Sub(s.Clock().Now())
		require.Greater(t, told, 50*time.Second, name)
		require.LessOrEqual(t, told, left+time.Millisecond, name)
	}
}

// TestAKeyWithoutBytesHindersNoOther checks that a batch with a key that has no bytes deletes the others, also where a
// cache repairs what it could not invalidate.
func TestAKeyWithoutBytesHindersNoOther(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	long := strings.Repeat("k", 1<<20+1)
	s := redisstore.New(server.Client(), redisstore.Config[string, string]{Namespace: unique()})
	require.NoError(t, s.Set(t.Context(), "a", tarn.Entry[string]{Value: "old"}))
	require.NoError(t, s.Set(t.Context(), "z", tarn.Entry[string]{Value: "old"}))

	err := s.DeleteMany(t.Context(), []string{"a", long, "z"})
	require.ErrorIs(t, tarn.ErrAt(err, 1, 3), tarn.ErrTooHeavy)
	for i, key := range []string{"a", long, "z"} {
		if i == 1 {
			continue
		}
		require.NoError(t, tarn.ErrAt(err, i, 3))
		_, found, err := s.Get(t.Context(), key)
		require.NoError(t, err)
		require.False(t, found, key)
	}
}

// partition returns what follows the namespace's colon in the Redis key of a key.
func partition(t *testing.T, server *redistest.Server, key string) string {
	t.Helper()
	for _, k := range server.Call("KEYS", "{fill:*}k"+key).Items {
		return strings.TrimPrefix(k.Text, "{fill:")
	}
	t.Fatal("nothing is stored")
	return ""
}
