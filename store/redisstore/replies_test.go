package redisstore_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/redisstore"
)

// foreign is a Client that gives every command the reply of another one. With clock, it answers rightly what time it is.
type foreign struct {
	reply redisstore.Reply
	clock bool
}

func (foreign) Sharded() bool { return false }

func (c foreign) Do(_ context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	for i, command := range commands {
		replies[i] = c.reply
		if c.clock && len(command.Args) > 0 && command.Args[0] == "time" {
			replies[i] = redisstore.Reply{Kind: redisstore.Int, Int: time.Now().UnixMilli()}
		}
	}
}

// TestAnotherCommandsReply checks that a reply that cannot be the command's own is an error of every operation, and never
// passes for "it is done" or "it is not there".
func TestAnotherCommandsReply(t *testing.T) {
	t.Parallel()
	item := redisstore.Reply{Kind: redisstore.Text, Text: "x"}
	for name, reply := range map[string]redisstore.Reply{
		"nothing":    {},
		"a text":     {Kind: redisstore.Text, Text: "QUEUED"},
		"a number":   {Kind: redisstore.Int, Int: 7},
		"an array":   {Kind: redisstore.Array, Items: []redisstore.Reply{item, item, item}},
		"many items": {Kind: redisstore.Array, Items: []redisstore.Reply{{Kind: redisstore.Int}, {Kind: redisstore.Int}}},
		"a failure": {Kind: redisstore.Array, Items: []redisstore.Reply{
			{Kind: redisstore.Failed, Err: context.Canceled}, {Kind: redisstore.Failed, Err: context.Canceled}}},
	} {
		for _, clock := range []bool{false, true} {
			t.Run(fmt.Sprint(name, clock), func(t *testing.T) {
				s := redisstore.New(foreign{reply, clock}, redisstore.Config[string, string]{Namespace: "n", Partitions: 1})
				ctx, keys, tokens := t.Context(), []string{"k"}, make([]tarn.Token, 1)
				e := tarn.Entry[string]{Value: "v"}
				errs := map[string]error{}
				_, _, errs["Get"] = s.Get(ctx, "k")
				errs["GetMany"] = s.GetMany(ctx, keys, make([]tarn.Lookup[string], 1))
				if clock && (name == "nothing" || name == "a text") { // as GET may answer; MGET may not
					require.Error(t, errs["GetMany"])
					delete(errs, "Get")
				}
				errs["Set"] = s.Set(ctx, "k", e)
				errs["SetMany"] = s.SetMany(ctx, keys, []tarn.Entry[string]{e})
				errs["Delete"] = s.Delete(ctx, "k")
				errs["DeleteMany"] = s.DeleteMany(ctx, keys)
				_, errs["Add"] = s.Add(ctx, "k", e)
				_, errs["Touch"] = s.Touch(ctx, "k", s.Clock().Now().Add(time.Hour))
				_, _, errs["Compute"] = s.Compute(ctx, "k", func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
					return e, tarn.ComputeStore
				})
				errs["Clear"] = s.Clear(ctx)
				errs["Lease"] = s.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Second}, make([]tarn.Lease[string], 1))
				errs["Fill"] = s.Fill(ctx, []tarn.Fill[string, string]{{Key: "k", Store: true, Entry: e}})
				errs["Stands"] = s.Stands(ctx, keys, tokens, make([]bool, 1))
				errs["Hold"] = s.Hold(ctx, keys, time.Second, tokens)
				errs["Settle"] = s.Settle(ctx, []tarn.Settlement[string, string]{{Key: "k", Store: true, Entry: e}})
				tagged := tarn.Entry[string]{Tags: tags(1, "a")}
				errs["Set with tags"] = s.Set(ctx, "k", tagged)
				errs["Fill with tags"] = s.Fill(ctx, []tarn.Fill[string, string]{{Key: "k", Store: true, Entry: tagged}})
				errs["Settle with tags"] = s.Settle(ctx, []tarn.Settlement[string, string]{{Key: "k", Store: true, Entry: tagged}})
				errs["InvalidateTags"] = s.InvalidateTags(ctx, "a")
				_, errs["Stamp"] = s.Stamp(ctx)
				errs["Lease with a stamp"] = s.Lease(ctx, keys, tarn.LeaseTerms{Life: time.Second, Stamp: true}, make([]tarn.Lease[string], 1))
				for op, err := range errs {
					require.Error(t, err, op)
				}
			})
		}
	}
}
