package otel_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	tarnotel "github.com/tarncache/tarn/observe/otel"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
)

// A store in Redis works through the wrapper as it does without, and says what it goes to Redis for.
func TestRoundTripsOfAStore(t *testing.T) {
	s := newSDK(t)
	client, err := tarnotel.Client("users", redistest.Start(t).Client(), s.options())
	require.NoError(t, err)
	far := redisstore.New(client, redisstore.Config[string, string]{Namespace: "users"})
	near := memory.New(memory.Options[string, string]{MaxEntries: 10})
	defer near.Close()
	both := tiered.New(near, far)
	defer both.Close()
	find := tarn.LoadFunc(func(context.Context, string) (string, error) { return "Ada", nil })
	users := strategies.WriteThrough(strategies.ReadThrough(both, tarnotel.Loader("users", find, s.options())),
		tarn.WriteFuncs(func(context.Context, string, string) error { return nil },
			func(context.Context, string) error { return nil }))
	defer users.Close(t.Context())

	ctx, request := s.tracers.Tracer("test").Start(t.Context(), "request")
	_, err = users.Get(ctx, "ada@example.org")
	require.NoError(t, err)
	require.NoError(t, users.Set(ctx, "ada@example.org", "Ada L."))
	request.End()

	var names []string
	for _, ended := range s.recorder.Ended() {
		if ended.SpanContext().TraceID() != request.SpanContext().TraceID() {
			continue // the heartbeat, for which no caller waits
		}
		names = append(names, ended.Name())
		for _, a := range ended.Attributes() {
			require.NotContains(t, a.Value.String(), "ada", "%s %s", ended.Name(), a.Key)
		}
	}
	said := strings.Join(names, ", ")
	for _, name := range []string{"EVALSHA lease", "load users", "EVALSHA fill", "EVALSHA hold", "EVALSHA settle"} {
		require.Contains(t, said, name)
	}
	require.Eventually(t, func() bool { // by Subscribe, which the wrapper passes on: nothing near is kept without it
		_, err := users.Get(ctx, "ada@example.org")
		return err == nil && both.Stats().Kept > 0
	}, 20*time.Second, 10*time.Millisecond)
}
