package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/ttl"
)

// notes is a Watch that writes down what it is told.
type notes struct {
	clock ttl.Clock
	told  chan string // "changed KEY", "lost", "current"

	mu    sync.Mutex
	until ttl.Time // protected by mu
}

func (n *notes) Changed(keys []string) {
	for _, key := range keys {
		n.told <- "changed " + key
	}
}
func (n *notes) Lost() { n.told <- "lost" }
func (n *notes) Current(until ttl.Time) {
	n.mu.Lock()
	n.until = until
	n.mu.Unlock()
	n.told <- "current"
}

// next returns what is told next, leaving out "current".
func (n *notes) next(t testing.TB) string {
	t.Helper()
	for {
		if s := n.any(t); s != "current" {
			return s
		}
	}
}

func (n *notes) any(t testing.TB) string {
	t.Helper()
	select {
	case s := <-n.told:
		return s
	case <-time.After(patience):
		t.Fatalf("nothing was told within %v", patience)
		return ""
	}
}

// watching returns a store, and what its Watch is told. The Watch is current.
func watching(t testing.TB, client redisstore.Client, cfg redisstore.Config[string, string]) (
	*redisstore.Store[string, string], *notes,
) {
	t.Helper()
	s := redisstore.New(client, cfg)
	n := &notes{clock: s.Clock(), told: make(chan string, 10_000)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx, n) }()
	t.Cleanup(func() {
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	})
	require.Equal(t, "current", n.any(t))
	return s, n
}

// patience is for what happens in the end, on a machine that has much else to do.
const patience = 30 * time.Second

// frequent has heartbeats that tests can wait for, and does not take for lost what is late.
func frequent(namespace string) redisstore.Config[string, string] {
	return redisstore.Config[string, string]{
		Namespace: namespace, Partitions: 4, Heartbeat: 100 * time.Millisecond, HeartbeatTimeout: patience,
	}
}

// quick is frequent, and soon finds that something is lost. It finds so as well where something takes long.
func quick(namespace string) redisstore.Config[string, string] {
	cfg := frequent(namespace)
	cfg.HeartbeatTimeout = 100 * time.Millisecond
	return cfg
}

// goesOn requires that a Watch is told of changes again. What was lost may be noticed in several parts.
func (n *notes) goesOn(t *testing.T, writer *redisstore.Store[string, string]) {
	t.Helper()
	for s := ""; s != "changed b"; {
		if s = n.any(t); s == "current" {
			require.NoError(t, writer.Delete(t.Context(), "b"))
		}
	}
}

func TestWatchTellsChanges(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := frequent(unique())
	reader, told := watching(t, server.Client(), cfg)
	writer := redisstore.New[string, string](server.Client(), cfg)
	ctx := t.Context()
	long := make([]byte, 1000)
	for i := range long {
		long[i] = byte(i)
	}
	key := string(long)
	e := tarn.Entry[string]{Value: "v"}
	lease := func(refresh bool) tarn.Token {
		into := make([]tarn.Lease[string], 1)
		require.NoError(t, writer.Lease(ctx, []string{key}, tarn.LeaseTerms{Life: time.Minute, Refresh: refresh}, into))
		return into[0].Token
	}
	fill := func(token tarn.Token) {
		fills := []tarn.Fill[string, string]{{Key: key, Token: token, Store: true, Entry: e}}
		require.NoError(t, writer.Fill(ctx, fills))
		require.True(t, fills[0].Stored)
	}
	hold := func(life time.Duration) tarn.Token {
		tokens := make([]tarn.Token, 1)
		require.NoError(t, writer.Hold(ctx, []string{key}, life, tokens))
		return tokens[0]
	}
	settle := func(token tarn.Token) {
		settlements := []tarn.Settlement[string, string]{{Key: key, Token: token, Store: true, Entry: e}}
		require.NoError(t, writer.Settle(ctx, settlements))
	}
	var token tarn.Token
	for _, tt := range []struct {
		name string
		do   func()
		want string
	}{
		{"Set", func() { require.NoError(t, writer.Set(ctx, key, e)) }, "changed " + key},
		{"Delete", func() { require.NoError(t, writer.Delete(ctx, key)) }, "changed " + key},
		{"Delete of what is not there", func() { require.NoError(t, writer.Delete(ctx, key)) }, "changed " + key},
		{"Set of another", func() { require.NoError(t, writer.Set(ctx, "other", e)) }, "changed other"},
		{"Add", func() { _, err := writer.Add(ctx, key, e); require.NoError(t, err) }, "changed " + key},
		{"Add of what is there", func() { _, err := writer.Add(ctx, key, e); require.NoError(t, err) }, ""},
		{"Touch", func() {
			_, err := writer.Touch(ctx, key, writer.Clock().Now().Add(time.Minute))
			require.NoError(t, err)
		}, "changed " + key},
		{"Touch into the past", func() { _, err := writer.Touch(ctx, key, 1); require.NoError(t, err) }, "changed " + key},
		{"Compute", func() {
			_, _, err := writer.Compute(ctx, key, func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
				return e, tarn.ComputeStore
			})
			require.NoError(t, err)
		}, "changed " + key},
		{"a Fill that replaces", func() { fill(lease(true)) }, "changed " + key},
		{"Compute that deletes", func() {
			_, _, err := writer.Compute(ctx, key, func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
				return e, tarn.ComputeDelete
			})
			require.NoError(t, err)
		}, "changed " + key},
		{"a Fill where nothing was", func() { fill(lease(false)) }, ""},
		{"Hold", func() { token = hold(time.Minute) }, "changed " + key},
		{"Settle of a hold that stands", func() { settle(token) }, ""},
		{"Hold that ends", func() { token = hold(time.Millisecond) }, "changed " + key},
		{"Settle of a hold that is gone", func() { time.Sleep(5 * time.Millisecond); settle(token) }, "changed " + key},
		{"one's own changes", func() {
			require.NoError(t, reader.Set(ctx, key, e))
			require.NoError(t, reader.Delete(ctx, key))
			require.NoError(t, reader.Clear(ctx))
		}, ""},
		{"Clear", func() { require.NoError(t, writer.Clear(ctx)) }, "lost"},
	} {
		tt.do()
		// The next row's message would be taken for this one's, so send one that is known.
		if tt.want != "lost" {
			require.NoError(t, writer.Delete(ctx, "mark"))
		}
		if tt.want != "" {
			require.Equal(t, tt.want, told.next(t), tt.name)
		}
		if tt.want != "lost" {
			require.Equal(t, "changed mark", told.next(t), tt.name)
		}
	}
	require.Equal(t, "current", told.any(t), "it goes on")
}

// tagNotes is a Watch that is told of tags, too.
type tagNotes struct{ *notes }

func (n tagNotes) Invalidated(tags []string) {
	for _, tag := range tags {
		n.told <- "invalidated " + tag
	}
}

// A tag is told by its name to who can take it, and to others as that everything may have changed.
func TestWatchTellsTags(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	long := strings.Repeat("\x00{}", tarn.MaxTagLength/3)
	for _, byName := range []bool{true, false} {
		cfg := frequent(unique())
		n := &notes{told: make(chan string, 10_000)}
		reader, writer := redisstore.New[string, string](server.Client(), cfg), redisstore.New[string, string](server.Client(), cfg)
		var w tarn.Watch[string] = n
		if byName {
			w = tagNotes{n}
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- reader.Watch(ctx, w) }()
		require.Equal(t, "current", n.any(t))
		require.NoError(t, reader.InvalidateTags(ctx, "own"))
		for _, tag := range []string{"a", "k", long} {
			require.NoError(t, writer.InvalidateTags(ctx, tag))
			want := "lost"
			if byName {
				want = "invalidated " + tag
			}
			require.Equal(t, want, n.next(t))
			require.NoError(t, writer.Delete(ctx, tag))
			require.Equal(t, "changed "+tag, n.next(t), "it goes on")
		}
		require.Zero(t, reader.Stats().Lost)
		cancel()
		require.ErrorIs(t, <-done, context.Canceled)
	}
}

// subscriptions is a client whose messages a test can lose.
type subscriptions struct {
	scanning
	lose func(message string) bool
	stop chan struct{} // ends subscriptions
}

func (c subscriptions) Subscribe(ctx context.Context, channel string, ready func(), receive func(string)) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-c.stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	return c.Client.Subscribe(ctx, channel, ready, func(m string) {
		if !c.lose(m) {
			receive(m)
		}
	})
}

func TestWatchNotices(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	type scene struct {
		server *redistest.Server
		writer *redisstore.Store[string, string]
		drop   func(n int) // so many messages are lost
		cut    func()      // the connection is lost
	}
	for _, tt := range []struct {
		rule string
		do   func(s scene)
	}{
		{"a message lost before another", func(s scene) {
			s.drop(1)
			require.NoError(t, s.writer.Delete(ctx, "a"))
			require.NoError(t, s.writer.Delete(ctx, "a"))
		}},
		{"the last message lost", func(s scene) {
			s.drop(1)
			require.NoError(t, s.writer.Delete(ctx, "a"))
		}},
		{"a lost connection", func(s scene) { s.cut() }},
		{"a lost record", func(s scene) { s.server.Call("FLUSHALL") }},
		{"a restart", func(s scene) { s.server.Restart() }},
		{"a subscriber that Redis threw out", func(s scene) { s.server.Call("CLIENT", "KILL", "TYPE", "pubsub") }},
		{"a script that was forgotten", func(s scene) {
			s.server.Call("SCRIPT", "FLUSH")
			require.NoError(t, s.writer.Delete(ctx, "a"))
		}},
		{"something that is no message", func(s scene) { s.server.Call("PUBLISH", "tarn:{notices}", "hello") }},
		{"a message of an earlier generation", func(s scene) {
			s.server.Call("PUBLISH", "tarn:{notices}", "12345678publishe\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00ka")
		}},
		{"a message of a tag that can be none", func(s scene) {
			record := s.server.Call("GET", "{notices:1}r").Text
			s.server.Call("PUBLISH", "tarn:{notices}", record[:8]+"publishe\x00\x00\x00\x00\x00\x00\x00"+record[8:9]+"\x00\x01t")
		}},
		{"a message of no partition", func(s scene) {
			s.server.Call("PUBLISH", "tarn:{notices}", "12345678publishe\x00\x00\x00\x00\x00\x00\x00\x01\x00\x09ka")
		}},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			var mu sync.Mutex
			dropping := 0
			client := subscriptions{scanning{server.Client()}, func(string) bool {
				mu.Lock()
				defer mu.Unlock()
				dropping--
				return dropping >= 0
			}, make(chan struct{})}
			cfg := quick("notices")
			_, told := watching(t, client, cfg)
			tt.do(scene{
				server: server, writer: redisstore.New[string, string](server.Client(), cfg),
				drop: func(n int) { mu.Lock(); dropping = n; mu.Unlock() },
				cut:  func() { client.stop <- struct{}{} },
			})
			require.Equal(t, "lost", told.next(t))
			mu.Lock()
			dropping = 0
			mu.Unlock()
			told.goesOn(t, redisstore.New[string, string](server.Client(), cfg))
		})
	}
}

// What Current says is never later than a heartbeat and its timeout from now.
// TestWatchNoticesAFallBack has a record that is not as far as it was, as on a server that became master again, or after
// somebody else's SET: the numbers that follow were told before, of other keys.
func TestWatchNoticesAFallBack(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		back  uint64
		write bool
		beat  time.Duration
	}{
		"found by a heartbeat":   {back: 20, beat: 100 * time.Millisecond},
		"found by a message":     {back: 1, write: true, beat: time.Minute},
		"found by many messages": {back: 20, write: true, beat: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := redistest.Start(t)
			cfg := frequent(unique())
			cfg.Partitions, cfg.Heartbeat = 1, tt.beat
			_, told := watching(t, server.Client(), cfg)
			writer := redisstore.New[string, string](server.Client(), cfg)
			for range 40 {
				require.NoError(t, writer.Delete(t.Context(), "k"))
				require.Equal(t, "changed k", told.next(t))
			}
			record := "{" + cfg.Namespace + ":0}r"
			text := server.Call("GET", record).Text
			at, err := strconv.ParseUint(text[8:], 10, 64)
			require.NoError(t, err)
			server.Call("SET", record, text[:8]+strconv.FormatUint(at-tt.back, 10))
			if tt.write {
				require.NoError(t, writer.Delete(t.Context(), "k"))
			}
			require.Equal(t, "lost", told.next(t))
		})
	}
}

func TestWatchIsCurrentForAWhile(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	s, told := watching(t, server.Client(), cfg)
	for range 3 {
		require.Equal(t, "current", told.any(t))
		told.mu.Lock()
		left := told.until.Sub(s.Clock().Now())
		told.mu.Unlock()
		require.LessOrEqual(t, left, cfg.Heartbeat+cfg.HeartbeatTimeout)
		require.Greater(t, left, -patience)
	}
	server.Freeze()
	defer server.Thaw()
	time.Sleep(cfg.Heartbeat + 2*cfg.HeartbeatTimeout)
	for len(told.told) > 0 {
		<-told.told
	}
	told.mu.Lock()
	require.True(t, told.until.Passed(s.Clock().Now()), "with Redis out of reach nothing is current")
	told.mu.Unlock()
	server.Thaw()
	for told.any(t) != "current" {
	}
}

func TestWatchOfKeysWithoutNames(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	cfg.HeartbeatTimeout = patience
	cfg.AppendKey = func(dst []byte, key string) ([]byte, error) { return append(dst, key...), nil }
	_, told := watching(t, server.Client(), cfg)
	writer := redisstore.New[string, string](server.Client(), cfg)
	require.NoError(t, writer.Delete(t.Context(), "a"))
	require.Equal(t, "lost", told.next(t))
	require.Equal(t, "current", told.any(t))
}

// A Watch of many changes at once either tells them all, or that some are lost.
func TestWatchUnderLoad(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	cfg.Heartbeat, cfg.HeartbeatTimeout = time.Second, patience
	_, told := watching(t, server.Client(), cfg)
	writer := redisstore.New[string, string](server.Client(), cfg)
	keys := make([]string, 500)
	for i := range keys {
		keys[i] = fmt.Sprint(i)
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			if err := writer.DeleteMany(t.Context(), keys); err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	count := make(map[string]int)
	for range 4 * len(keys) {
		s := told.next(t)
		require.NotEqual(t, "lost", s)
		count[s]++
	}
	require.Len(t, count, len(keys))
}

// slow is a Watch that stops at the first change until it is let go.
type slow struct {
	*notes
	stopped, letGo chan struct{}
	once           sync.Once
}

func (s *slow) Changed(keys []string) {
	s.once.Do(func() { close(s.stopped); <-s.letGo })
	s.notes.Changed(keys)
}

// More messages than a Watch takes note of are lost, and it says so.
func TestWatchThatIsSlow(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	cfg.Heartbeat, cfg.HeartbeatTimeout = time.Hour, time.Hour // so that it is no heartbeat that notices
	received := make(chan struct{}, 10_000)
	client := subscriptions{scanning{server.Client()}, func(string) bool { received <- struct{}{}; return false }, nil}
	s := redisstore.New[string, string](client, cfg)
	w := &slow{notes: &notes{told: make(chan string, 100_000)}, stopped: make(chan struct{}), letGo: make(chan struct{})}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Watch(ctx, w) }()
	letGo := sync.OnceFunc(func() { close(w.letGo) })
	defer func() { cancel(); letGo(); <-done }()
	require.Equal(t, "current", w.any(t))
	writer := redisstore.New[string, string](server.Client(), cfg)
	require.NoError(t, writer.Delete(ctx, "a"))
	<-w.stopped
	keys := make([]string, 5000)
	require.NoError(t, writer.DeleteMany(ctx, keys))
	require.Empty(t, w.told)
	require.Eventually(t, func() bool { return len(received) >= 1+len(keys) }, patience, time.Millisecond, "the messages arrive")
	letGo()
	require.Equal(t, "changed a", w.next(t))
	for told := ""; told != "lost"; {
		told = w.next(t)
	}
	require.Equal(t, "current", w.any(t))
}

// A subscription that stands and tells nothing any more is given up for another.
func TestWatchThatIsDeaf(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	client := &deaf{scanning: scanning{server.Client()}}
	_, told := watching(t, client, cfg)
	writer := redisstore.New[string, string](server.Client(), cfg)
	require.NoError(t, writer.Delete(t.Context(), "a"))
	require.Equal(t, "lost", told.next(t))
	told.goesOn(t, writer)
}

// deaf is a client whose first subscription has no messages.
type deaf struct {
	scanning
	subscribed bool // used by one goroutine after the other
}

func (c *deaf) Subscribe(ctx context.Context, channel string, ready func(), receive func(string)) error {
	if !c.subscribed {
		c.subscribed = true
		receive = func(string) {}
	}
	return c.scanning.Subscribe(ctx, channel, ready, receive)
}

// What was lost while the records were being read is not made good by what they said.
func TestWatchLosesWhileItReads(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	cfg.HeartbeatTimeout = patience
	client := &paused{scanning: scanning{server.Client()}, read: make(chan struct{}), goOn: make(chan struct{})}
	_, told := watching(t, client, cfg)
	<-client.read
	// A heartbeat has read the records, and nothing was told yet.
	server.Call("PUBLISH", "tarn:{"+cfg.Namespace+"}", "no message")
	require.Equal(t, "lost", told.next(t))
	before := client.reads.Load()
	close(client.goOn)
	require.Equal(t, "current", told.any(t))
	require.Greater(t, client.reads.Load(), before, "it was read again")
}

// paused is a client that has the answer to the second reading of the records wait.
type paused struct {
	scanning
	reads      atomic.Int32
	read, goOn chan struct{}
}

func (c *paused) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	c.scanning.Do(ctx, commands, replies)
	if commands[0].Words[0] == "MGET" && c.reads.Add(1) == 2 {
		close(c.read)
		<-c.goOn
	}
}

// A message that comes after a reading of the records which has it already says nothing new.
func TestWatchKnowsWhatItHasRead(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	cfg := quick(unique())
	cfg.Heartbeat, cfg.HeartbeatTimeout = time.Hour, time.Hour
	writer := redisstore.New[string, string](server.Client(), cfg)
	client := &late{scanning: scanning{server.Client()}, gate: make(chan struct{}), before: sync.OnceFunc(func() {
		if err := writer.Delete(t.Context(), "a"); err != nil {
			t.Error(err)
		}
	})}
	_, told := watching(t, client, cfg)
	close(client.gate)
	require.NoError(t, writer.Delete(t.Context(), "b"))
	require.Equal(t, "changed b", told.next(t))
}

// late is a client whose messages wait at a gate, and that does something before it reads the records.
type late struct {
	scanning
	gate   chan struct{}
	before func()
}

func (c *late) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	if commands[0].Words[0] == "MGET" {
		c.before()
	}
	c.scanning.Do(ctx, commands, replies)
}

func (c *late) Subscribe(ctx context.Context, channel string, ready func(), receive func(string)) error {
	return c.scanning.Subscribe(ctx, channel, ready, func(m string) {
		select {
		case <-c.gate:
			receive(m)
		case <-ctx.Done():
		}
	})
}
