package redisstore_test

import (
	"context"
	"encoding/json"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// events is an Observer that keeps what it is told.
type events struct {
	mu   sync.Mutex
	seen []tarn.Event // protected by mu
}

func (o *events) Observe(_ context.Context, e tarn.Event) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.seen = append(o.seen, e)
}

func (o *events) take() []tarn.Event {
	o.mu.Lock()
	defer o.mu.Unlock()
	seen := o.seen
	o.seen = nil
	return seen
}

const headSize = 35 // of a value, before its payload

// TestUndecodable puts all kinds of bytes where a value was. Whichever way the store reads, it finds nothing, says so, and
// the key can be loaded again.
func TestUndecodable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	var o events
	cfg := redisstore.Config[string, json.RawMessage]{Namespace: "bad", Partitions: 1, Observer: &o, Codec: codec.JSON[json.RawMessage]{}}
	s := redisstore.New(scanning{server.Client()}, cfg)
	const redis, other = "{bad:0}kk", "{bad:0}kother"
	value := json.RawMessage(`{"a":1234567890}`)
	require.NoError(t, s.Set(ctx, "other", tarn.Entry[json.RawMessage]{Value: value}))
	require.NoError(t, s.Set(ctx, "absent", tarn.Entry[json.RawMessage]{Negative: true}))

	change := map[string]func(stored string) string{
		"cut off":                func(b string) string { return b[:len(b)-1] },
		"cut off in its head":    func(b string) string { return b[:headSize+3] },
		"no payload at all":      func(b string) string { return b[:headSize] },
		"rescued, it says":       func(b string) string { return b[:headSize-1] + "\x01" + b[headSize:] },
		"with tags, it says":     func(b string) string { return b[:headSize-1] + "\x02" + b[headSize:] },
		"an unknown mark":        func(b string) string { return b[:headSize-1] + "\x08" + b[headSize:] },
		"another key's value":    func(string) string { return server.Call("GET", other).Text },
		"another key's absence":  func(string) string { return server.Call("GET", "{bad:0}kabsent").Text },
		"an absence with a body": func(b string) string { return b[:9] + "n" + b[10:] },
		"of another codec":       func(b string) string { return b[:headSize+9] + "\x02" + b[headSize+10:] },
	}
	for i := headSize; i < headSize+20; i++ {
		change["a bit flipped in byte "+string(rune('0'+i/10))+string(rune('0'+i%10))] = func(b string) string {
			return b[:i] + string([]byte{b[i] ^ 1<<(i%8)}) + b[i+1:]
		}
	}
	reads := map[string]func(t *testing.T) bool{
		"Get": func(t *testing.T) bool {
			_, found, err := s.Get(ctx, "k")
			require.NoError(t, err)
			return found
		},
		"GetMany": func(t *testing.T) bool {
			into := make([]tarn.Lookup[json.RawMessage], 2)
			require.NoError(t, s.GetMany(ctx, []string{"k", "other"}, into))
			require.True(t, into[1].Found)
			return into[0].Found
		},
		"Lease": func(t *testing.T) bool {
			into := make([]tarn.Lease[json.RawMessage], 1)
			require.NoError(t, s.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute}, into))
			if !into[0].Found {
				require.Equal(t, tarn.Granted, into[0].State)
			}
			return into[0].Found
		},
		"Scan": func(t *testing.T) bool {
			seq, end := s.Scan(ctx)
			found := false
			for key := range seq {
				found = found || key == "k"
			}
			require.NoError(t, end())
			return found
		},
		"Compute": func(t *testing.T) (was bool) {
			_, _, err := s.Compute(ctx, "k", func(_ tarn.Entry[json.RawMessage], found bool) (tarn.Entry[json.RawMessage], tarn.ComputeOp) {
				was = was || found
				return tarn.Entry[json.RawMessage]{}, tarn.ComputeKeep
			})
			require.NoError(t, err)
			return was
		},
	}
	for how, change := range change {
		for name, read := range reads {
			t.Run(how+", "+name, func(t *testing.T) {
				require.NoError(t, s.Delete(ctx, "k"))
				require.NoError(t, s.Set(ctx, "k", tarn.Entry[json.RawMessage]{Value: value}))
				require.True(t, read(t), "as it was")
				require.NoError(t, s.Set(ctx, "k", tarn.Entry[json.RawMessage]{Value: value}))
				server.Call("SET", redis, change(server.Call("GET", redis).Text), "KEEPTTL")
				before := s.Stats().Undecodable
				o.take()
				require.False(t, read(t))
				seen := o.take()
				require.Len(t, seen, 1)
				require.Equal(t, tarn.EventUndecodable, seen[0].Kind)
				require.ErrorIs(t, seen[0].Err, redisstore.ErrUndecodable)
				require.Equal(t, before+1, s.Stats().Undecodable)
				if name != "Lease" {
					require.Zero(t, server.Call("EXISTS", redis).Int, "it is gone")
				}
			})
		}
	}
}

// What is not tarn's, and what a newer version wrote, is not there for reads, and in nobody's way.
func TestForeign(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	var told atomic.Uint64
	s := redisstore.New(scanning{server.Client()}, redisstore.Config[string, string]{
		Namespace: "foreign", Partitions: 1,
		Observer: tarn.ObserverFunc(func(_ context.Context, e tarn.Event) {
			if e.Kind == tarn.EventUndecodable && e.Err != nil {
				told.Add(uint64(e.N))
			}
		}),
	})
	const redis = "{foreign:0}kk"
	require.NoError(t, s.Set(ctx, "k", tarn.Entry[string]{Value: "v"}))
	stored := server.Call("GET", redis).Text
	for how, text := range map[string]string{
		"text":                 "hello, world",
		"one byte":             "x",
		"one byte of ours":     "\xa1",
		"JSON":                 `{"a":1}`,
		"a number":             "42",
		"a later version":      "\xa2" + stored[1:],
		"an unknown kind":      stored[:9] + "?" + stored[10:],
		"half a head":          stored[:headSize-1],
		"half a hold":          stored[:9] + "ha123",
		"no version":           "\x00" + stored[1:],
		"a hold that is empty": stored[:9] + "h",
	} {
		t.Run(how, func(t *testing.T) {
			put := func() { server.Call("SET", redis, text, "PX", "60000") }
			put()
			_, found, err := s.Get(ctx, "k")
			require.NoError(t, err)
			require.False(t, found)
			require.Equal(t, text, server.Call("GET", redis).Text, "it stays, for whoever can read it")
			n, err := s.Count(ctx)
			require.NoError(t, err)
			require.Zero(t, n)

			require.NoError(t, s.Set(ctx, "k", tarn.Entry[string]{Value: "v"}))
			e, _, err := s.Get(ctx, "k")
			require.NoError(t, err)
			require.Equal(t, "v", e.Value)

			put()
			into := make([]tarn.Lease[string], 1)
			require.NoError(t, s.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute}, into))
			require.Equal(t, tarn.Granted, into[0].State)
			put()
			require.NoError(t, s.Hold(ctx, []string{"k"}, time.Minute, make([]tarn.Token, 1)))
			require.ErrorIs(t, s.Set(ctx, "k", tarn.Entry[string]{}), tarn.ErrHeld)
			put()
			require.NoError(t, s.Delete(ctx, "k"))
			require.Zero(t, server.Call("EXISTS", redis).Int)
		})
	}
	require.NotZero(t, s.Stats().Foreign)
	require.Equal(t, s.Stats().Foreign, told.Load(), "each is an event")
	require.Zero(t, s.Stats().Undecodable)
}

// everything calls each operation on the key "k" and returns the errors.
func everything(ctx context.Context, s *redisstore.Store[string, string]) map[string]error {
	errs := make(map[string]error)
	e := tarn.Entry[string]{Value: "v"}
	_, _, errs["Get"] = s.Get(ctx, "k")
	errs["GetMany"] = s.GetMany(ctx, []string{"other", "k"}, make([]tarn.Lookup[string], 2))
	errs["Lease"] = s.Lease(ctx, []string{"k"}, tarn.LeaseTerms{Life: time.Minute}, make([]tarn.Lease[string], 1))
	errs["Stands"] = s.Stands(ctx, []string{"k"}, make([]tarn.Token, 1), make([]bool, 1))
	errs["Fill"] = s.Fill(ctx, []tarn.Fill[string, string]{{Key: "k", Store: true, Entry: e}})
	_, errs["Touch"] = s.Touch(ctx, "k", 0)
	_, errs["Add"] = s.Add(ctx, "k", e)
	_, _, errs["Compute"] = s.Compute(ctx, "k", func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
		return e, tarn.ComputeStore
	})
	errs["Set"] = s.Set(ctx, "k", e)
	errs["SetMany"] = s.SetMany(ctx, []string{"k"}, []tarn.Entry[string]{e})
	tagged := tarn.Entry[string]{Value: "v", Tags: must(tarn.NewTags(0, "a"))}
	errs["SettingTags"] = s.Set(ctx, "tagged", tagged)
	_, _, errs["GettingTags"] = s.Get(ctx, "tagged")
	tokens := make([]tarn.Token, 1)
	errs["Hold"] = s.Hold(ctx, []string{"k"}, time.Minute, tokens)
	errs["Settle"] = s.Settle(ctx, []tarn.Settlement[string, string]{{Key: "k", Token: tokens[0], Store: true, Entry: e}})
	errs["Delete"] = s.Delete(ctx, "k")
	errs["DeleteMany"] = s.DeleteMany(ctx, []string{"k"})
	errs["InvalidateTags"] = s.InvalidateTags(ctx, "a", "b")
	_, errs["Stamp"] = s.Stamp(ctx)
	errs["Clear"] = s.Clear(ctx)
	_, errs["Count"] = s.Count(ctx)
	seq, end := s.Scan(ctx)
	for range seq {
		break
	}
	errs["Scan"] = end()
	return errs
}

// failsWith requires that all but the exceptions failed, and how.
func failsWith(t *testing.T, errs map[string]error, text string, except ...string) {
	t.Helper()
	for op, err := range errs {
		if strings.Contains(strings.Join(except, " ")+" ", op+" ") {
			require.NoError(t, err, op)
			continue
		}
		require.Error(t, err, op)
		require.Contains(t, err.Error(), text, op)
		require.Contains(t, err.Error(), "redisstore: ", op)
		require.NotErrorIs(t, err, tarn.ErrNotFound)
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	const secretly = "quiet-secret"
	cfg := redisstore.Config[string, string]{Namespace: "faults", Partitions: 2}
	start := func(t *testing.T, options ...redistest.Option) (*redistest.Server, *redisstore.Store[string, string]) {
		t.Parallel()
		server := redistest.Start(t, options...)
		s := redisstore.New(scanning{server.Client()}, cfg)
		require.NoError(t, s.Set(t.Context(), "k", tarn.Entry[string]{Value: secretly}))
		return server, s
	}
	t.Run("a list under the key", func(t *testing.T) {
		server, s := start(t)
		redis := server.Call("KEYS", "{faults:*}kk").Items[0].Text
		server.Call("DEL", redis)
		server.Call("RPUSH", redis, "a")
		failsWith(t, everything(t.Context(), s), "WRONGTYPE", "InvalidateTags", "Stamp", "SettingTags", "GettingTags", "Count", "Scan", "Clear")
		for range 100 { // so that values are asked for the quick way
			require.NoError(t, s.Set(t.Context(), "good", tarn.Entry[string]{}))
			_, found, err := s.Get(t.Context(), "good")
			require.NoError(t, err)
			require.True(t, found)
		}
		_, _, err := s.Get(t.Context(), "k")
		require.ErrorContains(t, err, "WRONGTYPE")
	})
	t.Run("a list in the place of a record", func(t *testing.T) {
		server, s := start(t)
		_, _, err := s.Get(t.Context(), "k") // so that the time is known, which would be asked for by the script
		require.NoError(t, err)
		for _, record := range []string{"{faults:0}r", "{faults:1}r"} {
			server.Call("DEL", record)
			server.Call("RPUSH", record, "a")
		}
		failsWith(t, everything(t.Context(), s), "WRONGTYPE")
	})
	t.Run("a record of another shape", func(t *testing.T) {
		server, s := start(t)
		for _, text := range []string{"", "short", "12345678", "12345678x", "12345678 "} {
			server.Call("SET", "{faults:0}r", text)
			server.Call("SET", "{faults:1}r", text)
			failsWith(t, everything(t.Context(), s), "", "Get", "GetMany", "Lease", "Stands", "Fill", "Touch", "Add", "Compute", "Set",
				"SetMany", "Hold", "Settle", "Delete", "DeleteMany", "InvalidateTags", "Stamp", "SettingTags", "GettingTags", "Clear",
				"Count", "Scan")
		}
	})
	t.Run("a replica", func(t *testing.T) {
		server, s := start(t)
		server.Call("REPLICAOF", "127.0.0.1", "1")
		failsWith(t, everything(t.Context(), s), "READONLY", "Get", "GetMany", "Lease", "Stands", "Fill", "Add", "GettingTags", "Count", "Scan")
	})
	t.Run("a user who may not", func(t *testing.T) {
		server, _ := start(t, redistest.User("poor on >poor ~other &* +@all"))
		poor := redisstore.New(scanning{server.ClientAs(redistest.Config{Username: "poor", Password: "poor"})}, cfg)
		failsWith(t, everything(t.Context(), poor), "NOPERM")
	})
	t.Run("nobody", func(t *testing.T) {
		server, _ := start(t)
		server.Call("ACL", "SETUSER", "default", "resetpass", ">password")
		stranger := redisstore.New(scanning{server.Client()}, cfg)
		_, _, err := stranger.Get(t.Context(), "k")
		require.ErrorContains(t, err, "NOAUTH")
		failsWith(t, everything(t.Context(), stranger), "") // Redis closes the connection on some, which are too long for nobody
	})
	t.Run("Redis is gone", func(t *testing.T) {
		server, s := start(t)
		server.Kill()
		failsWith(t, everything(t.Context(), s), "")
	})
	t.Run("Redis is slow", func(t *testing.T) {
		server, _ := start(t)
		s := redisstore.New(scanning{server.ClientAs(redistest.Config{Timeout: 2 * patience})}, cfg)
		server.Freeze()
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		began := time.Now()
		errs := everything(ctx, s)
		require.Less(t, time.Since(began), patience)
		for op, err := range errs {
			require.ErrorIs(t, err, context.DeadlineExceeded, op)
		}
	})
	t.Run("the script is forgotten", func(t *testing.T) {
		server, s := start(t)
		for range 20 {
			// An operation is tried four times, and on a slow machine all that happens in a round may befall one.
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 3 {
					time.Sleep(5 * time.Millisecond)
					server.Call("SCRIPT", "FLUSH")
				}
			}()
			errs := everything(t.Context(), s)
			for op, err := range errs {
				require.NoError(t, err, op)
			}
			<-done
		}
		require.NotZero(t, s.Stats().Renewed)
	})
}

// A server that comes back with what it had earlier has nothing of it for anybody who used it before.
func TestRestartFromOlderSnapshot(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	cfg := redisstore.Config[string, string]{Namespace: "older"}
	s := redisstore.New(server.Client(), cfg)
	require.NoError(t, s.Set(ctx, "k", tarn.Entry[string]{Value: "old"}))
	snapshot := server.Snapshot()
	require.NoError(t, s.Set(ctx, "k", tarn.Entry[string]{Value: "new"}))
	server.RestartFrom(snapshot)
	other := redisstore.New(server.Client(), cfg)
	require.Eventually(t, func() bool {
		return other.Delete(ctx, "another") == nil
	}, patience, 10*time.Millisecond)
	_, found, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.False(t, found)
	require.Equal(t, uint64(256), other.Stats().Renewed)
}

// A read alone notices a restart too, once it asks for the time.
func TestReadNoticesRestart(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	s := redisstore.New(server.Client(), redisstore.Config[string, string]{Namespace: "reader"})
	require.NoError(t, s.Set(ctx, "k", tarn.Entry[string]{Value: "old"}))
	_, found, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.True(t, found)
	server.RestartFrom(server.Snapshot())
	require.Eventually(t, func() bool {
		_, found, err := s.Get(ctx, "k")
		return err == nil && !found
	}, patience, 20*time.Millisecond)
}

func TestManyNoticeARestartAtOnce(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := redisstore.Config[string, string]{Namespace: "many"}
	stores := []*redisstore.Store[string, string]{redisstore.New(server.Client(), cfg), redisstore.New(server.Client(), cfg)}
	for range 3 {
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				key := string(rune('a' + i))
				if err := stores[i%2].Set(t.Context(), key, tarn.Entry[string]{Value: "v"}); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		server.Call("SCRIPT", "FLUSH")
	}
	for _, s := range stores {
		require.LessOrEqual(t, s.Stats().Renewed, uint64(3*256))
	}
}

func TestHeavyAndUnencodable(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	s := redisstore.New(server.Client(), redisstore.Config[string, func()]{Namespace: "heavy"})
	require.NoError(t, s.Set(ctx, "k", tarn.Entry[func()]{Negative: true}))
	err := s.Set(ctx, "k", tarn.Entry[func()]{Value: func() {}})
	require.ErrorContains(t, err, "cannot be encoded")
	_, found, err := s.Get(ctx, "k")
	require.NoError(t, err)
	require.False(t, found, "what is refused leaves nothing")

	small := redisstore.New(server.Client(), redisstore.Config[string, string]{Namespace: "small", MaxValue: 3})
	require.NoError(t, small.Set(ctx, "k", tarn.Entry[string]{Value: "old"}))
	require.ErrorIs(t, small.Set(ctx, "k", tarn.Entry[string]{Value: "large"}), tarn.ErrTooHeavy)
	_, found, err = small.Get(ctx, "k")
	require.NoError(t, err)
	require.False(t, found, "what is refused leaves nothing")
	tokens := make([]tarn.Token, 1)
	require.NoError(t, small.Hold(ctx, []string{"k"}, time.Minute, tokens))
	settlements := []tarn.Settlement[string, string]{
		{Key: "k", Token: tokens[0], Store: true, Entry: tarn.Entry[string]{Value: "large"}},
	}
	require.NoError(t, small.Settle(ctx, settlements), "the source has it")
	require.False(t, settlements[0].Stored)
	require.Equal(t, uint64(1), small.Stats().Refused)
	require.NoError(t, small.Set(ctx, "k", tarn.Entry[string]{Value: "ok"}), "it is not held any more")
}
