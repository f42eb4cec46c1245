package redisstore_test

import (
	"fmt"
	"strings"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/redisstore"
)

// two is a play's store of two partitions: keys lie in the one, and what is known of a tag in the other. other is another
// process's, which knows nothing of the counter.
type two struct {
	*tagged
	tag      string
	key, far string // what the Redis keys of the two partitions begin with
	other    *redisstore.Store[string, string]
}

func (p *play) two() two {
	cfg := p.cfg
	cfg.Namespace, cfg.Partitions = cfg.Namespace+"-two", 2
	t := two{tagged: &tagged{
		ctx: p.ctx, server: p.server, client: p.client, config: cfg, prefix: "{" + cfg.Namespace + ":0}",
	}}
	t.store, t.other = t.another().store, t.another().store
	must(0, t.Delete(t.ctx, "begin"))
	t.set("k")
	for n := range 2 {
		if prefix := fmt.Sprintf("{%s:%d}", cfg.Namespace, n); t.server.Call("EXISTS", prefix+"kk").Int == 1 {
			t.key, t.far = prefix, fmt.Sprintf("{%s:%d}", cfg.Namespace, 1-n)
		}
	}
	for n := 0; t.server.Call("EXISTS", t.far+"t"+t.tag).Int == 0; n++ {
		t.tag = fmt.Sprint("tag ", n)
		t.set("begin", t.tag)
	}
	return t
}

func (t two) record() string { return t.far + "t" + t.tag }

// counter sets the counter, as if it had been lost and come back.
func (t two) counter(n int64) { t.server.Call("SET", t.prefix+"s", fmt.Sprint(n)) }

// before does something once, before an operation is sent.
func (p *play) before(op string, do func()) {
	done := false
	p.client.before = func(c redisstore.Command) {
		if !done && len(c.Args) > 0 && c.Args[0] == op {
			done = true
			do()
		}
	}
}

// ahead is a counter that is ahead of every clock.
const ahead = 7e15

var tagScriptRules = []rule{
	{"an invalidation moves the counter", "if move then n = n + 1 end", "", func(p *play) bool {
		s := p.two()
		s.counter(ahead)
		s.set("k", s.tag)
		s.invalidate(s.tag)
		return !s.has("k")
	}, nil},
	{"a counter that was lost goes on by the clock", "if move or before == 0 then n =", "if false then n =", func(p *play) bool {
		s := p.two()
		l := s.lease("new", false)
		s.server.Call("DEL", s.prefix+"s")
		must(0, s.other.InvalidateTags(s.ctx, s.tag+"new"))
		return !s.fill("new", l.Token, tags(l.Stamp, s.tag+"new")) && !s.has("new")
	}, nil},
	{"a counter is not behind what the process knows", "local n = math.max(before, least)", "local n = before", func(p *play) bool {
		s := p.two()
		s.counter(ahead)
		stamp := must(s.Stamp(s.ctx))
		s.server.Call("DEL", s.prefix+"s")
		return must(s.Stamp(s.ctx)) >= stamp
	}, nil},
	{"a counter that is no number is none", "not string.find(text, '^%d+$')", "false", func(p *play) bool {
		s := p.two()
		for _, text := range []string{"", "x", "1e3", "-5", "0", "9000000000000001", "0x10", " 7", "99999999999999999999"} {
			s.server.Call("SET", s.prefix+"s", text)
			if n := must(s.another().Stamp(s.ctx)); n < 1e15 || n > ahead {
				return false
			}
		}
		return true
	}, nil},
	{"an invalidation is in the records", "if at and at < n then", "if false then", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		s.invalidate(s.tag)
		return !s.has("k")
	}, nil},
	{"one that arrives late takes no record back", "if at and at < n then", "if at then", func(p *play) bool {
		s := p.two()
		s.invalidate(s.tag)
		p.client.mu.Lock()
		n := len(p.client.sent)
		p.client.mu.Unlock()
		s.set("k", s.tag)
		s.invalidate(s.tag)
		p.client.mu.Lock()
		p.client.sent = p.client.sent[:n]
		p.client.mu.Unlock()
		p.client.again("mark")
		return !s.has("k")
	}, nil},
	{"a record keeps its end", ", 'KEEPTTL')", ")", func(p *play) bool {
		s := p.two()
		s.invalidate(s.tag)
		return s.server.Call("PTTL", s.record()).Int > 0
	}, nil},
	{"and lives as long as the last that has the tag", "math.max(tonumber(ARGV[9]), redis.call('PTTL', key))", "tonumber(ARGV[9])",
		func(p *play) bool {
			s := p.two()
			s.set("k", s.tag)
			e := tarn.Entry[string]{Tags: tags(0, s.tag), Expires: s.Clock().Now().Add(time.Second)}
			must(0, s.Set(s.ctx, "l", e))
			return s.server.Call("PTTL", s.record()).Int > 10_000
		}, nil},
	{"an invalidation is told", "else tell('t', name) end", "else keep() end", func(p *play) bool {
		return p.told(func() { must(0, p.InvalidateTags(p.ctx, "a")) }) == "lost"
	}, nil},
	{"an invalidation of a tag without a record is remembered",
		"floor = (sub(floor, 1, 1) == ':' and ':' or '~') .. decimal(math.max(lowest(), n))\n", "", func(p *play) bool {
			s := p.two()
			l := s.lease("k", true)
			p.before("ensure", func() { must(0, s.other.InvalidateTags(s.ctx, s.tag)) })
			s.server.Call("DEL", s.record())
			return !s.fill("k", l.Token, tags(l.Stamp, s.tag)) && !s.has("k")
		}, nil},
	{"and the last of them is", "decimal(math.max(lowest(), n))", "decimal(n)", func(p *play) bool {
		s := p.two()
		s.invalidate(s.tag)
		p.client.mu.Lock()
		n := len(p.client.sent)
		p.client.mu.Unlock()
		s.set("k", s.tag)
		s.invalidate(s.tag)
		p.client.mu.Lock()
		p.client.sent = p.client.sent[:n]
		p.client.mu.Unlock()
		p.client.again("mark")
		s.server.Call("DEL", s.record())
		s.set("l", s.tag)
		return !s.has("k") && s.has("l")
	}, nil},
	{"a record is made no lower than the counter where nothing is remembered", "at = math.max(at, base)", "at = math.max(at, 1)",
		func(p *play) bool {
			s := p.two()
			s.set("k", s.tag)
			s.invalidate(s.tag)
			s.server.Call("DEL", s.far+"r")
			s.set("l", s.tag)
			return !s.has("k") && s.has("l")
		}, nil},
	{"what is remembered of only some invalidations is not enough", "if sub(floor, 1, 1) ~= ':' then\n", "if floor == '' then\n",
		func(p *play) bool {
			s := p.two()
			before := must(s.Stamp(s.ctx))
			p.before("mark", func() { // which is sent once the counter has moved, and is overtaken
				s.set("k", s.tag)
				must(0, s.other.InvalidateTags(s.ctx, s.tag))
				s.server.Call("DEL", s.far+"r", s.record())
			})
			s.invalidate(s.tag)
			s.set("l", s.tag)
			return before != 0 && !s.has("k") && s.has("l")
		}, nil},
	{"a record of another generation is none", "if not text or sub(text, 1, 8) ~= generation then", "if not text then", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		old := s.server.Call("GET", s.record()).Text
		s.invalidate(s.tag)
		s.server.Call("DEL", s.far+"r")
		s.server.Call("SET", s.record(), old)
		s.set("l", s.tag)
		return !s.has("k")
	}, nil},
	{"a record is not made in another generation than was seen", "(not sequence or ARGV[6] ~= generation)", "not sequence", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		p.before("ensure", func() {
			must(0, s.other.InvalidateTags(s.ctx, s.tag))
			s.server.Call("DEL", s.far+"r", s.record())
			for n := range 20 { // so that both partitions have records
				must(0, s.other.Delete(s.ctx, fmt.Sprint(n)))
			}
		})
		s.set("l", s.tag)
		return !s.has("k")
	}, nil},
	{"a record knows the latest stamp", "decimal(math.max(latest, tonumber(ARGV[8])))", "decimal(latest)", lostCounter, nil},
	{"and an invalidation comes after it", "return math.max(at or 0, latest or 0)", "return at or 0", lostCounter, nil},
	{"what is gone can be leased", "local gone = stands == ARGV[9]", "local gone = false", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		s.invalidate(s.tag)
		return s.lease("k", false).State == tarn.Granted
	}, nil},
	{"what is gone can be added", "if found and stands ~= ARGV[10] then", "if found then", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		s.invalidate(s.tag)
		return must(s.Add(s.ctx, "k", tarn.Entry[string]{}))
	}, nil},
	{"what is gone cannot be touched", "if tagged and stands ~= known then", "if false then", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		s.invalidate(s.tag)
		return !must(s.Touch(s.ctx, "k", 0))
	}, nil},
	{"a renewal forgets what is remembered", "floor = ''\nif key", "if key", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		old := s.server.Call("GET", s.far+"r").Text
		s.invalidate(s.tag)
		s.server.Call("SET", s.far+"r", old) // an older snapshot
		s.server.Call("SCRIPT", "FLUSH")
		s.server.Call("SET", s.prefix+"s", fmt.Sprint(int64(ahead)))
		s.set("l", s.tag)
		return strings.HasSuffix(s.server.Call("GET", s.far+"r").Text, fmt.Sprint(":", int64(ahead+1)))
	}, nothing},
	{"and moves the counter", "if key and redis.call('GET', key) then count(key, 0, true) end", "", func(p *play) bool {
		s := p.two()
		s.counter(ahead)
		p.server.Call("SCRIPT", "FLUSH")
		return must(s.other.Stamp(s.ctx)) > ahead
	}, nothing},
	{"nothing is computed of what is gone", " or overtaken(ARGV[11])", "", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		p.before("compute", func() { must(0, s.other.InvalidateTags(s.ctx, s.tag)) })
		_, found, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], found bool) (tarn.Entry[string], tarn.ComputeOp) {
			return tarn.Entry[string]{}, map[bool]tarn.ComputeOp{true: tarn.ComputeStore}[found]
		})
		return !must(found, err)
	}, nil},
	{"nothing is filled in over what is gone", " and not overtaken(ARGV[12])", "", overtakenFill, nil},
	{"nor over what has no record", "if not at or at > tonumber(stamp)", "if at and at > tonumber(stamp)", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		l := s.lease("k", true)
		p.before("fill", func() { s.server.Call("DEL", s.record()) })
		return !s.replace("k", l, nil)
	}, nil},
	{"nor by the record of another generation", "moments(texts[1], parts(texts[2]))", "moments(texts[1], sub(texts[1], 1, 8))", func(p *play) bool {
		s := p.two()
		s.set("k", s.tag)
		l := s.lease("k", true)
		p.before("fill", func() {
			record := s.server.Call("GET", s.record()).Text
			s.forget()
			s.server.Call("SET", s.record(), record)
		})
		return !s.replace("k", l, nil)
	}, nil},
	{"a partition without a record is begun by a fill", "if any and not sequence then", "if false then", func(p *play) bool {
		s := p.two()
		l := s.lease("new", false)
		s.server.Call("DEL", s.far+"r")
		return s.fill("new", l.Token, tags(l.Stamp, s.tag)) && s.has("new")
	}, nil},
	{"a full Redis invalidates", "  proceed()\n  local n = tonumber(ARGV[6])", "  local n = tonumber(ARGV[6])", fullInvalidates, full},
	{"a full Redis counts", "    proceed()\n    redis.call('SET', key, decimal(n))", "    redis.call('SET', key, decimal(n))",
		fullInvalidates, full},
}

func fullInvalidates(p *play) bool {
	s := p.two()
	s.set("k", s.tag)
	p.fillUp()
	must(0, s.InvalidateTags(s.ctx, s.tag, "a tag that is new"))
	return !s.has("k")
}

func overtakenFill(p *play) bool {
	s := p.two()
	s.set("k", s.tag)
	l := s.lease("k", true)
	p.before("fill", func() { must(0, s.other.InvalidateTags(s.ctx, s.tag)) })
	return !s.replace("k", l, nil)
}

// lostCounter brings the counter back lower than it was, between what the record of a tag says and the stamp of an entry.
func lostCounter(p *play) bool {
	s := p.two()
	s.counter(ahead)
	must(0, s.other.InvalidateTags(s.ctx, s.tag))
	s.counter(ahead + 2000)
	s.set("k", s.tag)
	s.counter(ahead + 1000)
	must(0, s.another().InvalidateTags(s.ctx, s.tag))
	return !s.has("k")
}
