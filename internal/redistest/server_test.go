package redistest_test

import (
	"context"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// gone requires that there is no process with the id.
func gone(t *testing.T, pid int) {
	t.Helper()
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d is left over", pid)
}

// text sends a command and returns the string that was answered.
func text(t *testing.T, c interface {
	Call(context.Context, ...string) (redisstore.Reply, error)
}, command ...string) string {
	t.Helper()
	reply, err := c.Call(t.Context(), command...)
	require.NoError(t, err)
	return reply.Text
}

// patience is for what a busy machine does in the end.
const patience = 30 * time.Second

// within returns what ch gives, for which it waits no longer than that.
func within[T any](t *testing.T, what string, ch <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-ch:
	case <-time.After(patience):
		t.Fatalf("not within %v: %s", patience, what)
	}
	return v
}

func TestStart(t *testing.T) {
	var pid int
	t.Run("answers", func(t *testing.T) {
		began := time.Now()
		s := redistest.Start(t)
		t.Logf("started in %v", time.Since(began))
		pid = s.PID()
		require.NoError(t, syscall.Kill(pid, 0))
		require.Equal(t, "PONG", text(t, s.Client(), "PING"))
	})
	gone(t, pid)
}

func TestLinesCountMoreThanDefaults(t *testing.T) {
	s := redistest.Start(t, redistest.Line("maxmemory 3mb", "databases 2"))
	require.Equal(t, "3145728", s.Call("CONFIG", "GET", "maxmemory").Items[1].Text)
	require.Equal(t, "2", s.Call("CONFIG", "GET", "databases").Items[1].Text)
}

func TestKillAndRestart(t *testing.T) {
	tests := []struct {
		rule    string
		options []redistest.Option
		want    redisstore.ReplyKind
	}{
		{"memory alone forgets", nil, redisstore.Nil},
		{"an append-only file remembers", []redistest.Option{redistest.AppendOnly()}, redisstore.Text},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			s := redistest.Start(t, tt.options...)
			c, before, addr := s.Client(), s.PID(), s.Addr()
			require.Equal(t, "OK", text(t, c, "SET", "k", "v"))
			s.Kill()
			gone(t, before)
			_, err := c.Call(t.Context(), "GET", "k")
			require.ErrorIs(t, err, syscall.ECONNREFUSED)
			s.Restart()
			require.Equal(t, addr, s.Addr())
			require.NotEqual(t, before, s.PID())
			reply, err := c.Call(t.Context(), "GET", "k")
			require.NoError(t, err, "a client does not use a connection that was closed")
			require.Equal(t, tt.want, reply.Kind)
		})
	}
}

func TestRestartFromSnapshot(t *testing.T) {
	s := redistest.Start(t)
	s.Call("SET", "k", "old")
	snapshot := s.Snapshot()
	s.Call("SET", "k", "new")
	s.Snapshot()
	s.RestartFrom(snapshot)
	require.Equal(t, "old", s.Call("GET", "k").Text)
}

func TestFreeze(t *testing.T) {
	s := redistest.Start(t)
	c := s.ClientAs(redistest.Config{Timeout: 50 * time.Millisecond})
	s.Freeze()
	_, err := c.Call(t.Context(), "PING")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	s.Thaw()
	require.Eventually(t, func() bool {
		_, err := c.Call(t.Context(), "PING")
		return err == nil
	}, patience, time.Millisecond)
}

func TestUsers(t *testing.T) {
	s := redistest.Start(t, redistest.User("default off", "reader on >secret ~public:* +get +ping"))
	s.Call("SET", "public:k", "v")
	reader := s.ClientAs(redistest.Config{Username: "reader", Password: "secret"})
	require.Equal(t, "v", text(t, reader, "GET", "public:k"))
	for _, tt := range []struct {
		code   string
		client *redistest.Client
		key    string
	}{
		{"NOPERM", reader, "private"},
		{"NOAUTH", s.Client(), "public:k"},
		{"WRONGPASS", s.ClientAs(redistest.Config{Username: "reader", Password: "guess"}), "public:k"},
	} {
		_, err := tt.client.Call(t.Context(), "GET", tt.key)
		var said redistest.ServerError
		require.ErrorAs(t, err, &said)
		require.True(t, strings.HasPrefix(string(said), tt.code+" "), "%v, want %s", said, tt.code)
	}
}

func TestClient(t *testing.T) {
	s := redistest.Start(t)
	for _, tt := range []struct {
		name  string
		resp3 bool
	}{{"RESP2", false}, {"RESP3", true}} {
		t.Run(tt.name, func(t *testing.T) {
			c := s.ClientAs(redistest.Config{RESP3: tt.resp3})
			s.Call("FLUSHALL")
			commands := []redisstore.Command{
				{Words: []string{"SET"}, Keys: []string{"k"}, Args: []string{"a\r\n\x00b"}},
				{Words: []string{"GET"}, Keys: []string{"k"}},
				{Words: []string{"GET"}, Keys: []string{"absent"}},
				{Words: []string{"STRLEN"}, Keys: []string{"k"}},
				{Words: []string{"LPUSH"}, Keys: []string{"k"}, Args: []string{"x"}},
				{Words: []string{"MGET"}, Keys: []string{"k", "absent"}},
				{Words: []string{"EVAL", "return {1, redis.error_reply('MINE of an item')}", "0"}},
				{Words: []string{"EVAL", "return false", "0"}},
			}
			replies := make([]redisstore.Reply, len(commands))
			c.Do(t.Context(), commands, replies)
			txt := func(s string) redisstore.Reply { return redisstore.Reply{Kind: redisstore.Text, Text: s} }
			require.Equal(t, []redisstore.Reply{
				txt("OK"), txt("a\r\n\x00b"), {}, {Kind: redisstore.Int, Int: 5},
				{Kind: redisstore.Failed, Err: redistest.ServerError(
					"WRONGTYPE Operation against a key holding the wrong kind of value")},
				{Kind: redisstore.Array, Items: []redisstore.Reply{txt("a\r\n\x00b"), {}}},
				{Kind: redisstore.Array, Items: []redisstore.Reply{{Kind: redisstore.Int, Int: 1},
					{Kind: redisstore.Failed, Err: redistest.ServerError("MINE of an item")}}},
				{},
			}, replies)
		})
	}
}

func TestContextEndsCall(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	c := s.Client()
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 {
		require.Equal(t, "PONG", text(t, c, "PING")) // so that there is a connection
		_, err := c.Call(over, "SET", "k", "v")
		require.ErrorIs(t, err, context.Canceled)
	}
	require.Equal(t, redisstore.Nil, s.Call("GET", "k").Kind, "a context that was cancelled sends nothing")

	c = s.ClientAs(redistest.Config{Timeout: 2 * patience}) // so that it is not its own time that is over
	require.Equal(t, "PONG", text(t, c, "PING"))
	s.Freeze()
	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := c.Call(short, "GET", "k")
	s.Thaw()
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Less(t, time.Since(began), patience)
	require.Equal(t, "PONG", text(t, c, "PING"), "the late reply belongs to nobody else")
}

func TestSubscribe(t *testing.T) {
	s := redistest.Start(t)
	c := s.Client()
	tests := []struct {
		ends string
		how  func(cancel func())
		want error
	}{
		{"its context", func(cancel func()) { cancel() }, context.Canceled},
		{"its connection", func(func()) { s.Call("CLIENT", "KILL", "TYPE", "pubsub") }, nil},
		{"its server", func(func()) { s.Kill() }, nil},
	}
	for _, tt := range tests {
		t.Run("ended by "+tt.ends, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			messages, ended := make(chan string, 10), make(chan error, 1)
			ready := make(chan struct{})
			go func() {
				ended <- c.Subscribe(ctx, "news", func() { close(ready) }, func(m string) { messages <- m })
			}()
			within(t, "the subscription stands", ready)
			s.Call("PUBLISH", "news", "one")
			s.Call("PUBLISH", "other", "no")
			s.Call("PUBLISH", "news", "two")
			require.Equal(t, "one", within(t, "a message", messages))
			require.Equal(t, "two", within(t, "a message", messages))
			tt.how(cancel)
			err := within(t, "the end of the subscription", ended)
			require.Error(t, err)
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
			}
			require.Equal(t, tt.want == nil, !errors.Is(err, context.Canceled))
		})
	}
}
