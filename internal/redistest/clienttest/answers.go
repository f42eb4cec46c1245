package clienttest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// Single is what has to hold of any server, on one.
func Single(t *testing.T, dial Dial) {
	s := redistest.Start(t)
	c := must(t, dial, to(s))
	if c.Sharded() {
		t.Error("one server is no cluster")
	}
	t.Run("answers", func(t *testing.T) { answers(t, c) })
	t.Run("errors", func(t *testing.T) { codes(t, c) })
	t.Run("contexts", func(t *testing.T) { contexts(t, s, c) })
	t.Run("callers", func(t *testing.T) { callers(t, c) })
	t.Run("scan", func(t *testing.T) { scan(t, c) })
	t.Run("subscriptions", func(t *testing.T) { subscriptions(t, s, c) })
	t.Run("watch", func(t *testing.T) { watching(t, s, c) })
	t.Run("script flush", func(t *testing.T) { scriptFlush(t, s, c) })
	t.Run("restart", func(t *testing.T) { restart(t, s, c) })
}

func answers(t *testing.T, c Client) {
	binary, long := "a\r\n\x00\xff{}$-1\r\n", strings.Repeat("0123456789", 200_000)
	eval := func(script string) redisstore.Command {
		return redisstore.Command{Words: []string{"EVAL", script, "1"}, Keys: []string{"k"}}
	}
	tests := []struct {
		rule    string
		command redisstore.Command
		want    redisstore.Reply
	}{
		{"a status is a text", command("SET", "k", binary), text("OK")},
		{"a string comes back byte by byte", command("GET", "k"), text(binary)},
		{"an empty string is one", command("SET", "empty", ""), text("OK")},
		{"and not the answer for no key", command("GET", "empty"), text("")},
		{"no key is Nil", command("GET", "absent"), redisstore.Reply{}},
		{"a long string is whole", command("SET", "long", long), text("OK")},
		{"a long string comes back whole", command("GET", "long"), text(long)},
		{"a number", command("PTTL", "absent"), number(-2)},
		{"a negative number of a key that is there", command("PTTL", "k"), number(-1)},
		{"a great number", eval("return 9007199254740991"), number(9007199254740991)},
		{"an array has what is there and what is not",
			redisstore.Command{Words: []string{"MGET"}, Keys: []string{"k", "absent", "empty"}},
			array(text(binary), redisstore.Reply{}, text(""))},
		{"an array in an array", eval("return {1, {KEYS[1], {}}, 'x'}"),
			array(number(1), array(text("k"), array()), text("x"))},
		{"false is Nil", eval("return false"), redisstore.Reply{}},
		{"a name in small letters", command("get", "k"), text(binary)},
		{"keys and arguments", redisstore.Command{Words: []string{"EVAL", "return {KEYS[1], KEYS[2], ARGV[1]}", "2"},
			Keys: []string{"a", "b"}, Args: []string{binary}}, array(text("a"), text("b"), text(binary))},
		{"a command that is not a key's", command("PING"), text("PONG")},
	}
	commands := make([]redisstore.Command, len(tests))
	for i, tt := range tests {
		commands[i] = tt.command
		if got := do(t.Context(), c, tt.command)[0]; !same(got, tt.want) {
			t.Errorf("%s: %s", tt.rule, short(got))
		}
	}
	for i, got := range do(t.Context(), c, commands...) {
		if !same(got, tests[i].want) {
			t.Errorf("among others: %s: %s", tests[i].rule, short(got))
		}
	}
	do(t.Context(), c) // nothing to send
}

// same compares replies; an empty array may have no slice.
func same(a, b redisstore.Reply) bool {
	if a.Kind == redisstore.Array && b.Kind == redisstore.Array && len(a.Items) == len(b.Items) {
		for i := range a.Items {
			if !same(a.Items[i], b.Items[i]) {
				return false
			}
		}
		return true
	}
	return reflect.DeepEqual(a, b)
}

// short describes a reply in a line.
func short(r redisstore.Reply) string {
	switch r.Kind {
	case redisstore.Nil:
		return "got nil"
	case redisstore.Text:
		return fmt.Sprintf("got %.100q", r.Text)
	case redisstore.Int:
		return fmt.Sprintf("got %d", r.Int)
	case redisstore.Failed:
		return fmt.Sprintf("got an error: %v", r.Err)
	}
	return fmt.Sprintf("got %d items: %.200v", len(r.Items), r.Items)
}

// codes checks that the text of an error begins with its code, and that an error is that of its own command.
func codes(t *testing.T, c Client) {
	ctx := t.Context()
	call(ctx, c, "RPUSH", "list", "x")
	eval := func(script string) redisstore.Command {
		return redisstore.Command{Words: []string{"EVAL", script, "1"}, Keys: []string{"k"}}
	}
	tests := []struct {
		code    string
		command redisstore.Command
	}{
		{"WRONGTYPE", command("GET", "list")},
		{"NOSCRIPT", redisstore.Command{Words: []string{"EVALSHA", strings.Repeat("0", 40), "1"}, Keys: []string{"k"}}},
		{"ERR", command("GET", "k", "too", "many")},
		{"ERR", command("NOSUCHCOMMAND", "k")},
		{"MINE", eval("return redis.error_reply('MINE it is')")},
		{"WRONGTYPE", eval("return redis.call('GET', 'list')")},
	}
	commands := []redisstore.Command{command("SET", "k", "v")}
	for _, tt := range tests {
		if got := do(ctx, c, tt.command)[0]; !failedWith(got, tt.code) {
			t.Errorf("%s of %s: %s", tt.code, tt.command.Words[0], short(got))
		}
		commands = append(commands, tt.command, command("GET", "k"))
	}
	for i, got := range do(ctx, c, commands...) {
		if i%2 == 1 {
			if tt := tests[i/2]; !failedWith(got, tt.code) {
				t.Errorf("among others: %s of %s: %s", tt.code, tt.command.Words[0], short(got))
			}
		} else if i > 0 && !same(got, text("v")) {
			t.Errorf("what comes after an error: %s", short(got))
		}
	}
	inside := do(ctx, c, eval("return {1, redis.error_reply('MINE inside'), 'x'}"))[0]
	if inside.Kind != redisstore.Array || len(inside.Items) != 3 || !failedWith(inside.Items[1], "MINE") ||
		!same(inside.Items[2], text("x")) {
		t.Errorf("an error in an array: %s", short(inside))
	}
}

func failedWith(r redisstore.Reply, code string) bool {
	return r.Kind == redisstore.Failed && r.Err != nil && strings.HasPrefix(r.Err.Error(), code+" ")
}

func contexts(t *testing.T, s *redistest.Server, c Client) {
	over, cancel := context.WithCancel(t.Context())
	cancel()
	for _, n := range []int{1, 3} {
		commands := make([]redisstore.Command, n)
		for i := range commands {
			commands[i] = command("SET", "late", "v")
		}
		for _, got := range do(over, c, commands...) {
			if got.Kind != redisstore.Failed || !errors.Is(got.Err, context.Canceled) {
				t.Errorf("%d commands under a context that was cancelled: %s", n, short(got))
			}
		}
	}
	if got := s.Call("EXISTS", "late"); got.Int != 0 {
		t.Error("a context that was cancelled sends nothing")
	}

	// Clients give up by themselves after some seconds.
	if took := fastest(time.Second, func() time.Duration { return untilDeadline(t, s, c) }); took > time.Second {
		t.Errorf("a deadline of 50ms took %v", took)
	}
	patient, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	call(patient, c, "SET", "k", "v")
	if got := call(patient, c, "GET", "k"); !same(got, text("v")) {
		t.Errorf("the late answer belongs to nobody else: %s", short(got))
	}
}

// untilDeadline returns how long two commands take whose deadline passes while the server stands still.
func untilDeadline(t *testing.T, s *redistest.Server, c Client) time.Duration {
	s.Freeze()
	defer s.Thaw()
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	for _, got := range do(brief, c, command("GET", "k"), command("GET", "absent")) {
		if got.Kind != redisstore.Failed || !timedOut(got.Err) {
			t.Errorf("a deadline while the server stands still: %s", short(got))
		}
	}
	return time.Since(began)
}

// fastest measures until something took no longer than is enough, a few times: a machine that is busy makes one take
// longer, and not all.
func fastest(enough time.Duration, measure func() time.Duration) time.Duration {
	best := measure()
	for tries := 1; best > enough && tries < 5; tries++ {
		best = min(best, measure())
	}
	return best
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded) ||
		errors.As(err, &timeout) && timeout.Timeout()
}

// callers checks that answers go to whom they belong, and come in the order of their commands.
func callers(t *testing.T, c Client) {
	var wg sync.WaitGroup
	for i := range 64 {
		wg.Go(func() {
			key := "caller-" + strconv.Itoa(i)
			for n := range 20 {
				v := strconv.Itoa(i*1000 + n)
				got := do(t.Context(), c, command("SET", key, v), command("GET", key), command("STRLEN", key))
				if !same(got[0], text("OK")) || !same(got[1], text(v)) || !same(got[2], number(int64(len(v)))) {
					t.Errorf("a batch of caller %d: %s %s %s", i, short(got[0]), short(got[1]), short(got[2]))
				}
				if got := call(t.Context(), c, "GET", key); !same(got, text(v)) {
					t.Errorf("a command of caller %d: %s", i, short(got))
				}
			}
		})
	}
	wg.Wait()
	var incr []redisstore.Command
	for range 3000 {
		incr = append(incr, command("INCR", "count"))
	}
	for i, got := range do(t.Context(), c, incr...) {
		if !same(got, number(int64(i+1))) {
			t.Fatalf("command %d of a long batch: %s", i, short(got))
		}
	}
}

// restart checks that a client gets over the loss of its connections, and fails while there is no server.
func restart(t *testing.T, s *redistest.Server, c Client) {
	s.Kill()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	began := time.Now()
	for _, got := range append(do(ctx, c, command("GET", "k"), command("GET", "k")), call(ctx, c, "GET", "k")) {
		if got.Kind != redisstore.Failed {
			t.Errorf("no server: %s", short(got))
		}
	}
	if took := time.Since(began); took > patience {
		t.Errorf("without a server two calls took %v", took)
	}
	s.Restart()
	eventually(t, "a command after a restart", func() error {
		return call(t.Context(), c, "SET", "k", "v").Err
	})
}
