package clienttest

import (
	"strings"
	"testing"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// ACL checks that a client works as a user who may do little, by TLS, and that what such a user may not do is an error.
// The rule is that of the adapter's documentation, which says "users" where the namespace is.
func ACL(t *testing.T, dial Dial, rule string) {
	rule = strings.ReplaceAll(rule, "{users:", "{app*:") // namespaces here are app, app-watched, app-1 and so on
	rule = strings.ReplaceAll(rule, "{users}", "{app*}")
	ca := redistest.NewCA(t)
	s := redistest.Start(t, redistest.MutualTLS(ca), redistest.User("default off", "app on >secret "+rule))
	c := must(t, dial, To{
		Addrs: []string{s.TLSAddr()}, TLS: ca.TrustingAndKnown(), Username: "app", Password: "secret",
	})
	ctx := t.Context()
	const key, channel = "{app:1}kkey", "tarn:{app}"
	l := listen(t, c, channel)
	l.stands(t)
	script := redisstore.Command{
		Words: []string{"EVAL", "redis.call('PUBLISH', ARGV[1], 'm') return redis.call('SET', KEYS[1], 'v')", "1"},
		Keys:  []string{key}, Args: []string{channel},
	}
	for _, got := range do(ctx, c, script, command("GET", key), command("PTTL", key)) {
		if got.Kind == redisstore.Failed {
			t.Error(got.Err)
		}
	}
	within(t, "a message", l.messages)

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
			err = call(ctx, c, "GET", key).Err
		}
		if err == nil || !strings.Contains(err.Error(), "NOAUTH") && !strings.Contains(err.Error(), "WRONGPASS") {
			t.Errorf("password %q: %v", password, err)
		}
	}
	t.Run("watch", func(t *testing.T) { watching(t, s, c) })
	t.Run("store", func(t *testing.T) { conformance(t, c, "app") })
}
