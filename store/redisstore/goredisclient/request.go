package goredisclient

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/store/redisstore"
)

// newCmd returns a command in go-redis's form. It appends its words to args, which has room for them or is nil. What
// is known to answer with a string or a number is read as that, which spares an interface value.
func newCmd(ctx context.Context, c *redisstore.Command, args []any) redis.Cmder {
	if args == nil {
		args = make([]any, 0, length(c))
	}
	for i, word := range c.Words {
		if i == 0 {
			args = append(args, name(word))
		} else {
			args = append(args, word)
		}
	}
	for _, key := range c.Keys {
		args = append(args, key)
	}
	for _, arg := range c.Args {
		args = append(args, arg)
	}
	var cmd redis.Cmder
	if args[0] == "get" {
		cmd = redis.NewStringCmd(ctx, args...)
	} else {
		cmd = redis.NewCmd(ctx, args...)
	}
	if len(c.Keys) > 0 {
		cmd.SetFirstKeyPos(int8(len(c.Words)))
	}
	return cmd
}

func length(c *redisstore.Command) int { return len(c.Words) + len(c.Keys) + len(c.Args) }

// name returns a command's name in lower case, as go-redis wants it whenever it looks at one.
func name(word string) any {
	switch word { // constants are interface values without an allocation
	case "GET":
		return "get"
	case "MGET":
		return "mget"
	case "EVALSHA":
		return "evalsha"
	}
	return strings.ToLower(word)
}

// answer returns what came for a command that newCmd made.
func answer(cmd redis.Cmder) redisstore.Reply {
	if err := cmd.Err(); err != nil {
		return failed(err)
	}
	switch cmd := cmd.(type) {
	case *redis.StringCmd:
		return redisstore.Reply{Kind: redisstore.Text, Text: cmd.Val()}
	case *redis.Cmd:
		return reply(cmd.Val())
	}
	panic("goredisclient: not one of newCmd's commands")
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
