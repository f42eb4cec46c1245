package otel_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"

	tarnotel "github.com/tarncache/tarn/observe/otel"
	"github.com/tarncache/tarn/store/redisstore"
)

// redis answers every command with one reply.
type redis struct{ reply redisstore.Reply }

func (r redis) Sharded() bool { return true }

func (r redis) Do(_ context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	for i := range commands {
		replies[i] = r.reply
	}
}

type listening struct{ redis }

func (listening) Subscribe(context.Context, string, func(), func(string)) error { return errDown }

type naming struct{ redis }

func (naming) ScanKeys(context.Context, string, func([]string) error) error { return errDown }

type able struct {
	listening
	scan naming
}

func (a able) ScanKeys(ctx context.Context, pattern string, f func([]string) error) error {
	return a.scan.ScanKeys(ctx, pattern, f)
}

func TestSpansOfRoundTrips(t *testing.T) {
	get := redisstore.Command{Words: []string{"GET"}, Keys: []string{"{users:1}kada@example.org"}}
	script := func(op string) redisstore.Command {
		return redisstore.Command{Words: []string{"EVALSHA", "c0ffee", "1"}, Args: []string{op, "v", "ada@example.org"}}
	}
	refused := func(err error) redisstore.Reply { return redisstore.Reply{Kind: redisstore.Failed, Err: err} }
	redisAttrs := func(more ...any) map[string]any {
		all := map[string]any{"tarn.cache.name": "users", "db.system.name": "redis"}
		for i := 0; i < len(more); i += 2 {
			all[more[i].(string)] = more[i+1]
		}
		return all
	}
	tests := []struct {
		rule     string
		reply    redisstore.Reply
		commands []redisstore.Command
		want     span
		metric   string
	}{
		{"a command", redisstore.Reply{}, []redisstore.Command{get},
			span{name: "GET", attrs: redisAttrs("db.operation.name", "GET")}, "GET redis users"},
		{"a script says what it is called for", redisstore.Reply{}, []redisstore.Command{script("lease")},
			span{name: "EVALSHA lease", attrs: redisAttrs("db.operation.name", "EVALSHA", "db.stored_procedure.name", "lease")},
			"EVALSHA lease redis users"},
		{"and no more than that", redisstore.Reply{}, []redisstore.Command{script("ada@example.org")},
			span{name: "EVALSHA", attrs: redisAttrs("db.operation.name", "EVALSHA")}, "EVALSHA redis users"},
		{"several alike", redisstore.Reply{}, []redisstore.Command{get, get, get},
			span{name: "PIPELINE GET", attrs: redisAttrs("db.operation.name", "PIPELINE GET", "db.operation.batch.size", int64(3))},
			"PIPELINE GET redis users"},
		{"several scripts alike", redisstore.Reply{}, []redisstore.Command{script("hold"), script("hold")},
			span{name: "PIPELINE EVALSHA hold", attrs: redisAttrs("db.operation.name", "PIPELINE EVALSHA",
				"db.operation.batch.size", int64(2), "db.stored_procedure.name", "hold")},
			"PIPELINE EVALSHA hold redis users"},
		{"several that differ", redisstore.Reply{}, []redisstore.Command{get, script("hold")},
			span{name: "PIPELINE", attrs: redisAttrs("db.operation.name", "PIPELINE", "db.operation.batch.size", int64(2))},
			"PIPELINE redis users"},
		{"what Redis refused has its code", refused(errors.New("MOVED 17 10.0.0.1:6379")), []redisstore.Command{get},
			span{name: "GET", status: codes.Error, attrs: redisAttrs("db.operation.name", "GET",
				"db.response.status_code", "MOVED", "error.type", "MOVED")}, "GET MOVED redis MOVED users"},
		{"a connection that failed has its type", refused(fmt.Errorf("dial: %w", errDown)), []redisstore.Command{get},
			span{name: "GET", status: codes.Error, attrs: redisAttrs("db.operation.name", "GET",
				"error.type", "*errors.errorString")}, "GET redis *errors.errorString users"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSDK(t)
			c, err := tarnotel.Client("users", redis{tt.reply}, s.options())
			require.NoError(t, err)
			require.True(t, c.Sharded())
			replies := make([]redisstore.Reply, len(tt.commands))
			c.Do(t.Context(), tt.commands, replies)
			require.Equal(t, tt.reply, replies[len(replies)-1])
			tt.want.kind = "client"
			require.Equal(t, []span{tt.want}, s.spans())
			measured := s.numbers(t)
			require.Contains(t, measured, "db.client.operation.duration "+tt.metric)
			require.EqualValues(t, 1, measured["db.client.operation.duration "+tt.metric].count)
		})
	}
}

func TestTheClientsCapabilities(t *testing.T) {
	for _, tt := range []struct {
		rule              string
		inner             redisstore.Client
		subscribes, scans bool
	}{
		{"neither", redis{}, false, false},
		{"one", listening{}, true, false},
		{"the other", naming{}, false, true},
		{"both", able{}, true, true},
	} {
		t.Run(tt.rule, func(t *testing.T) {
			s := newSDK(t)
			c, err := tarnotel.Client("users", tt.inner, s.options())
			require.NoError(t, err)
			subscriber, ok := c.(redisstore.Subscriber)
			require.Equal(t, tt.subscribes, ok)
			if ok {
				require.ErrorIs(t, subscriber.Subscribe(t.Context(), "", nil, nil), errDown)
			}
			scanner, ok := c.(redisstore.KeyScanner)
			require.Equal(t, tt.scans, ok)
			if ok {
				require.ErrorIs(t, scanner.ScanKeys(t.Context(), "", nil), errDown)
			}
			c.Do(t.Context(), []redisstore.Command{{Words: []string{"GET"}}}, make([]redisstore.Reply, 1))
			require.Len(t, s.spans(), 1)
			c.Do(t.Context(), nil, nil)
			require.Len(t, s.spans(), 1, "nothing is no round trip")
		})
	}
}
