package rueidisclient

import (
	"errors"
	"fmt"

	"github.com/redis/rueidis"

	"github.com/tarncache/tarn/store/redisstore"
)

func answer(result rueidis.RedisResult) redisstore.Reply {
	m, err := result.ToMessage()
	if err != nil {
		return failed(err)
	}
	return reply(&m)
}

// reply turns what rueidis makes of an answer into a Reply.
func reply(m *rueidis.RedisMessage) redisstore.Reply {
	switch {
	case m.IsString():
		text, err := m.ToString()
		if err != nil {
			return failed(err)
		}
		return redisstore.Reply{Kind: redisstore.Text, Text: text}
	case m.IsInt64():
		n, err := m.ToInt64()
		if err != nil {
			return failed(err)
		}
		return redisstore.Reply{Kind: redisstore.Int, Int: n}
	case m.IsArray():
		values, err := m.ToArray()
		if err != nil {
			return failed(err)
		}
		items := make([]redisstore.Reply, len(values))
		for i := range values {
			items[i] = reply(&values[i])
		}
		return redisstore.Reply{Kind: redisstore.Array, Items: items}
	}
	if err := m.Error(); err != nil {
		return failed(err)
	}
	return failed(errors.New("rueidisclient: an answer is neither a string, a number nor an array"))
}

func failed(err error) redisstore.Reply {
	e, ok := rueidis.IsRedisErr(err)
	switch {
	case rueidis.IsRedisNil(err):
		return redisstore.Reply{}
	case ok && !hasCode(e.Error()):
		err = fmt.Errorf("ERR %w", err) // rueidis takes that code away, and no other
	}
	return redisstore.Reply{Kind: redisstore.Failed, Err: err}
}

// hasCode reports whether the text of an error begins with a code: a word in capitals.
func hasCode(text string) bool {
	for i := range len(text) {
		if text[i] < 'A' || text[i] > 'Z' {
			return i > 0 && text[i] == ' '
		}
	}
	return text != ""
}
