package goredisclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/store/redisstore"
)

// request is a command in go-redis's form. What is known to answer with a string or a number is read as that, which
// spares the allocation of an interface value.
type request struct {
	text *redis.StringCmd
	num  *redis.IntCmd
	any  *redis.Cmd
}

func length(c *redisstore.Command) int { return len(c.Words) + len(c.Keys) + len(c.Args) }

// newRequest appends the command's words to args, which has room for them, or is nil.
func newRequest(ctx context.Context, c *redisstore.Command, args []any) request {
	if args == nil {
		args = make([]any, 0, length(c))
	}
	for i, w := range c.Words {
		if i == 0 {
			args = append(args, name(w))
			continue
		}
		args = append(args, w)
	}
	for _, k := range c.Keys {
		args = append(args, k)
	}
	for _, a := range c.Args {
		args = append(args, a)
	}
	var r request
	switch args[0] {
	case "get":
		r.text = redis.NewStringCmd(ctx, args...)
	case "pttl":
		r.num = redis.NewIntCmd(ctx, args...)
	default:
		r.any = redis.NewCmd(ctx, args...)
	}
	if len(c.Keys) > 0 {
		r.cmd().SetFirstKeyPos(int8(len(c.Words)))
	}
	return r
}

// name returns a command's name in lower case, as go-redis wants it whenever it looks at one.
func name(word string) any {
	switch word { // constants are interface values without an allocation
	case "GET":
		return "get"
	case "MGET":
		return "mget"
	case "PTTL":
		return "pttl"
	case "EVALSHA":
		return "evalsha"
	}
	return strings.ToLower(word)
}

func (r request) cmd() redis.Cmder {
	switch {
	case r.text != nil:
		return r.text
	case r.num != nil:
		return r.num
	}
	return r.any
}

func (r request) reply() redisstore.Reply {
	switch {
	case r.text != nil:
		text, err := r.text.Result()
		if err != nil {
			return failed(err)
		}
		return redisstore.Reply{Kind: redisstore.Text, Text: text}
	case r.num != nil:
		n, err := r.num.Result()
		if err != nil {
			return failed(err)
		}
		return redisstore.Reply{Kind: redisstore.Int, Int: n}
	}
	v, err := r.any.Result()
	if err != nil {
		return failed(err)
	}
	return reply(v)
}

func failed(err error) redisstore.Reply {
	if errors.Is(err, redis.Nil) {
		return redisstore.Reply{}
	}
	return redisstore.Reply{Kind: redisstore.Failed, Err: err}
}

// reply turns what go-redis makes of an answer into a Reply.
func reply(v any) redisstore.Reply {
	switch v := v.(type) {
	case nil:
		return redisstore.Reply{}
	case string:
		return redisstore.Reply{Kind: redisstore.Text, Text: v}
	case int64:
		return redisstore.Reply{Kind: redisstore.Int, Int: v}
	case []any:
		items := make([]redisstore.Reply, len(v))
		for i := range v {
			items[i] = reply(v[i])
		}
		return redisstore.Reply{Kind: redisstore.Array, Items: items}
	case error:
		return failed(v)
	}
	return redisstore.Reply{Kind: redisstore.Failed, Err: fmt.Errorf("goredisclient: an answer is a %T", v)}
}
