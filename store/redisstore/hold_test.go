package redisstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// unreliable is a client that loses an operation on a key, before Redis runs it or after.
type unreliable struct {
	scanning
	op, key string
	after   bool
}

var errLost = errors.New("the connection was lost")

func (c unreliable) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	i := slices.IndexFunc(commands, func(command redisstore.Command) bool {
		return len(command.Keys) > 1 && len(command.Args) > 0 && command.Args[0] == c.op && command.Keys[1] == c.key
	})
	if i < 0 || c.after {
		c.scanning.Do(ctx, commands, replies)
	} else {
		c.scanning.Do(ctx, commands[:i], replies[:i])
		c.scanning.Do(ctx, commands[i+1:], replies[i+1:])
	}
	if i >= 0 {
		replies[i] = redisstore.Reply{Kind: redisstore.Failed, Err: errLost}
	}
}

// A Hold that fails holds nothing, whether Redis ran it or not, and what it had removed is back.
func TestHoldIsTakenBack(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	for _, after := range []bool{false, true} {
		cfg := redisstore.Config[string, string]{Namespace: unique(), Partitions: 1}
		s := redisstore.New(unreliable{scanning{server.Client()}, "hold", "{" + cfg.Namespace + ":0}kb", after}, cfg)
		keys := []string{"a", "b", "c"}
		for _, key := range keys {
			require.NoError(t, s.Set(ctx, key, tarn.Entry[string]{Value: key}))
		}
		err := s.Hold(ctx, keys, time.Minute, make([]tarn.Token, 3))
		require.ErrorIs(t, err, errLost)
		for _, key := range []string{"a", "c"} {
			e, found, err := s.Get(ctx, key)
			require.NoError(t, err)
			require.True(t, found)
			require.Equal(t, key, e.Value)
		}
		for _, key := range keys {
			require.NoError(t, s.Set(ctx, key, tarn.Entry[string]{}), "it is not held")
		}
	}
}

// Settlements fail one by one.
func TestSettleFailsByIndex(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	ctx := t.Context()
	cfg := redisstore.Config[string, string]{Namespace: unique(), Partitions: 1}
	s := redisstore.New(unreliable{scanning{server.Client()}, "settle", "{" + cfg.Namespace + ":0}kb", false}, cfg)
	tokens := make([]tarn.Token, 2)
	require.NoError(t, s.Hold(ctx, []string{"a", "b"}, time.Minute, tokens))
	settlements := []tarn.Settlement[string, string]{
		{Key: "a", Token: tokens[0], Store: true, Entry: tarn.Entry[string]{Value: "a"}}, {Key: "b", Token: tokens[1], Store: true},
	}
	err := s.Settle(ctx, settlements)
	require.NoError(t, tarn.ErrAt(err, 0, 2))
	require.ErrorIs(t, tarn.ErrAt(err, 1, 2), errLost)
	require.True(t, settlements[0].Stored)
	require.False(t, settlements[1].Stored)
	require.ErrorIs(t, s.Set(ctx, "b", tarn.Entry[string]{}), tarn.ErrHeld)
}
