package clienttest

import (
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// ACL checks that a client works as a user who may do little, and that what such a user may not do is an error. The
// rule is a user's, without name and password, for the namespace "app".
func ACL(t *testing.T, dial Dial, rule string) {
	s := redistest.Start(t, redistest.User("default off", "app on >secret "+rule))
	c := must(t, dial, To{Addrs: []string{s.Addr()}, Username: "app", Password: "secret"})
	ctx := t.Context()
	l := listen(t, c, "tarn:{app}")
	l.stands(t)
	script := redisstore.Command{
		Words: []string{"EVAL", "redis.call('PUBLISH', ARGV[1], 'm') return redis.call('SET', KEYS[1], 'v')", "1"},
		Keys:  []string{"{app:1}kkey"}, Args: []string{"tarn:{app}"},
	}
	for _, got := range do(ctx, c, script, command("GET", "{app:1}kkey"), command("PTTL", "{app:1}kkey")) {
		if got.Kind == redisstore.Failed {
			t.Error(got.Err)
		}
	}
	within(t, 5*time.Second, "a message", l.messages)

	script.Args[0] = "another"
	forbidden := []struct {
		what    string
		command redisstore.Command
		says    string
	}{
		{"another's key", command("GET", "other"), "NOPERM"},
		{"another namespace's key", command("GET", "{other:1}kkey"), "NOPERM"},
		{"another command", command("FLUSHALL"), "NOPERM"},
		{"KEYS", command("KEYS", "*"), "NOPERM"},
		{"another's channel, in a script", script, "channel"}, // Redis has other words for it from version to version
	}
	for _, tt := range forbidden {
		if got := do(ctx, c, tt.command)[0]; got.Kind != redisstore.Failed || !strings.Contains(got.Err.Error(), tt.says) {
			t.Errorf("%s: %s", tt.what, short(got))
		}
	}
	if err := c.Subscribe(ctx, "another", func() { t.Error("it stands") }, func(string) {}); err == nil ||
		!strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("another's channel: %v", err)
	}
	for _, password := range []string{"", "guess"} {
		to := To{Addrs: []string{s.Addr()}, Password: password}
		if password != "" {
			to.Username = "app"
		}
		c, err := dial(t, to)
		if err == nil {
			err = call(ctx, c, "GET", "{app:1}kkey").Err
		}
		if err == nil || !strings.Contains(err.Error(), "NOAUTH") && !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("password %q: %v", password, err)
		}
	}
}
