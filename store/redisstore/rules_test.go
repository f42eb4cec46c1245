package redisstore_test

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// edited is a client that changes the scripts on their way, so that a rule of theirs is off; and that keeps commands, so
// that they can be sent again, as clients do by themselves.
type edited struct {
	redistestClient
	from, to string // of a script's text; nothing: the scripts stay as they are

	mu     sync.Mutex
	hashes map[string]string                // of the texts as they are sent, by those of the originals; protected by mu
	sent   []redisstore.Command             // protected by mu
	before func(command redisstore.Command) // called before a command is sent, if set; protected by mu
	edits  int                              // how many texts were changed; protected by mu
}

// redistestClient is what the tests' client offers, under a name that does not hide Do.
type redistestClient interface {
	redisstore.Client
	redisstore.Subscriber
	redisstore.KeyScanner
	Call(ctx context.Context, command ...string) (redisstore.Reply, error)
}

func hashOf(text string) string {
	sum := sha1.Sum([]byte(text))
	return hex.EncodeToString(sum[:])
}

func (c *edited) edit(command redisstore.Command) redisstore.Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch command.Words[0] {
	case "EVAL":
		text := command.Words[1]
		changed := text
		if c.from != "" && strings.Count(text, c.from) == 1 {
			changed = strings.Replace(text, c.from, c.to, 1)
			c.edits++
		}
		c.hashes[hashOf(text)] = hashOf(changed)
		command.Words = []string{"EVAL", changed, command.Words[2]}
	case "EVALSHA":
		if hash, ok := c.hashes[command.Words[1]]; ok {
			command.Words = []string{"EVALSHA", hash, command.Words[2]}
		}
		c.sent = append(c.sent, command)
	}
	return command
}

func (c *edited) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	out := make([]redisstore.Command, len(commands))
	for i, command := range commands {
		if c.before != nil {
			c.before(command)
		}
		out[i] = c.edit(command)
	}
	c.redistestClient.Do(ctx, out, replies)
}

// again sends the last command of an operation once more, and returns the answer.
func (c *edited) again(op string) redisstore.Reply {
	c.mu.Lock()
	i := len(c.sent) - 1
	for c.sent[i].Args[0] != op {
		i--
	}
	command := c.sent[i]
	c.mu.Unlock()
	replies := make([]redisstore.Reply, 1)
	c.redistestClient.Do(context.Background(), []redisstore.Command{command}, replies)
	return replies[0]
}

// play is two processes that share a namespace. Its methods panic where a step cannot be done at all.
type play struct {
	*redisstore.Store[string, string]
	ctx    context.Context
	client *edited
	server *redistest.Server
	cfg    redisstore.Config[string, string]
	t      *testing.T
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func (p *play) set(key, value string) {
	must(0, p.Set(p.ctx, key, tarn.Entry[string]{Value: value}))
}

// get returns the value, or nothing.
func (p *play) get(key string) string {
	e, found, err := p.Get(p.ctx, key)
	if must(found, err) {
		return e.Value
	}
	return ""
}

func (p *play) del(key string) { must(0, p.Delete(p.ctx, key)) }

func (p *play) lease(key string, refresh bool) tarn.Lease[string] {
	into := make([]tarn.Lease[string], 1)
	must(0, p.Lease(p.ctx, []string{key}, tarn.LeaseTerms{Life: time.Minute, Refresh: refresh}, into))
	return into[0]
}

func (p *play) fill(key string, token tarn.Token) bool {
	fills := []tarn.Fill[string, string]{{Key: key, Token: token, Store: true, Entry: tarn.Entry[string]{Value: "filled"}}}
	must(0, p.Fill(p.ctx, fills))
	return fills[0].Stored
}

func (p *play) hold(key string, life time.Duration) tarn.Token {
	tokens := make([]tarn.Token, 1)
	must(0, p.Hold(p.ctx, []string{key}, life, tokens))
	return tokens[0]
}

func (p *play) settle(key string, token tarn.Token) bool {
	s := []tarn.Settlement[string, string]{{Key: key, Token: token, Store: true, Entry: tarn.Entry[string]{Value: "settled"}}}
	must(0, p.Settle(p.ctx, s))
	return s[0].Stored
}

func (p *play) held(key string) bool {
	err := p.Set(p.ctx, key, tarn.Entry[string]{Value: "set"})
	return errors.Is(err, tarn.ErrHeld)
}

func (p *play) clear() { must(0, p.Clear(p.ctx)) }

func (p *play) record() string { return p.server.Call("GET", "{"+p.cfg.Namespace+":0}r").Text }

// told returns what a Watch of another process is told of what do does, apart from what it is told anyway.
func (p *play) told(do func()) string {
	cfg := p.cfg
	cfg.Heartbeat, cfg.HeartbeatTimeout = time.Hour, time.Hour
	_, n := watching(p.t, p.client, cfg)
	do()
	limit := patience
	if p.client.from != "" {
		limit = 150 * time.Millisecond // nothing has to come
	}
	select {
	case s := <-n.told:
		return s
	case <-time.After(limit):
		return ""
	}
}

const (
	minute = time.Minute
	moment = 20 * time.Millisecond
	while  = 300 * time.Millisecond // in which something can be done on a busy machine
)

// past waits until a life has ended.
func past(life time.Duration) { time.Sleep(life + moment) }

// TestEachRuleIsNeeded switches the rules of the scripts off, one by one: what a row checks holds with the rule and does
// not without.
func TestEachRuleIsNeeded(t *testing.T) {
	t.Parallel()
	shared := redistest.Start(t)
	for _, tt := range rules {
		t.Run(tt.rule, func(t *testing.T) {
			t.Parallel()
			try := func(from, to string) bool {
				server := shared
				if tt.alone != nil {
					server = redistest.Start(t, tt.alone...)
				}
				c := &edited{redistestClient: scanning{server.Client()}, from: from, to: to, hashes: make(map[string]string)}
				cfg := redisstore.Config[string, string]{Namespace: unique(), Partitions: 1}
				p := &play{redisstore.New(c, cfg), t.Context(), c, server, cfg, t}
				p.get("begin")
				ok := p.holds(tt)
				require.Equal(t, from != "", c.edits > 0, "the fragment has to be in one of the scripts, once")
				return ok
			}
			with := try("", "")
			for tries := 1; !with && tries < 3; tries++ { // a machine may be so busy that a life ends between two steps
				with = try("", "")
			}
			require.True(t, with, "with the rule")
			require.False(t, try(tt.from, tt.to), "without the rule")
		})
	}
}

// holds reports whether the rule holds. A step that could not be done is a rule that does not hold.
func (p *play) holds(r rule) (ok bool) {
	defer func() {
		if err := recover(); err != nil {
			p.t.Log(err)
			ok = false
		}
	}()
	return r.holds(p)
}

type rule struct {
	rule     string
	from, to string // switches it off
	holds    func(p *play) bool
	alone    []redistest.Option // the server it needs for itself; nil: none
}

var nothing = []redistest.Option{}

var rules = slices.Concat(holdRules, leaseRules, repeatRules, generationRules, tellRules, fullRules, tagScriptRules)

var holdRules = []rule{
	{"a held key refuses a Set", "if op == 'set' then\n  if #live > 0 then return 'held' end", "if op == 'set' then",
		func(p *play) bool { p.hold("k", minute); return p.held("k") }, nil},
	{"a held key refuses an Add", "if #live > 0 then return 'held' end\n  local full = room()", "local full = room()",
		func(p *play) bool {
			p.hold("k", minute)
			return !must(p.Add(p.ctx, "k", tarn.Entry[string]{Value: "v"}))
		}, nil},
	{"a held key refuses what was computed before", "if op == 'compute' then\n  if #live > 0 then return 'held' end",
		"if op == 'compute' then", func(p *play) bool {
			_, _, err := p.Compute(p.ctx, "k", func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
				p.hold("k", minute)
				return tarn.Entry[string]{Value: "v"}, tarn.ComputeStore
			})
			return errors.Is(err, tarn.ErrHeld)
		}, nil},
	{"a held key has no lease", "if #live > 0 then return {'held'} end", "",
		func(p *play) bool { p.hold("k", minute); return p.lease("k", false).State == tarn.Held }, nil},
	{"a hold takes the value away", "rehold(live, shared)", "",
		func(p *play) bool { p.set("k", "v"); p.hold("k", minute); return p.get("k") == "" }, nil},
	{"a Delete keeps a hold", "if #live > 0 then rehold(live, true) else redis.call('DEL', key) end", "redis.call('DEL', key)",
		func(p *play) bool { p.hold("k", minute); p.del("k"); return p.held("k") }, nil},
	{"a Delete taints a hold", "then rehold(live, true) else", "then rehold(live, tainted) else",
		func(p *play) bool { h := p.hold("k", minute); p.del("k"); return !p.settle("k", h) }, nil},
	{"holds that overlap taint each other", "local shared = #live > 0", "local shared = false",
		func(p *play) bool {
			p.hold("k", while)
			h := p.hold("k", minute)
			past(while)
			return !p.settle("k", h)
		}, nil},
	{"a tainted hold stores nothing", "if mine and not tainted and", "if mine and",
		func(p *play) bool { h := p.hold("k", minute); p.del("k"); return !p.settle("k", h) }, nil},
	{"a settle leaves the others tainted", "rehold(others, true)", "rehold(others, false)", func(p *play) bool {
		a, b := p.hold("k", minute), p.hold("k", minute)
		p.settle("k", a)
		return !p.settle("k", b)
	}, nil},
	{"a settle leaves the others held", "  if #others > 0 then\n    rehold(others, true)", "  if false then\n    rehold(others, true)",
		func(p *play) bool {
			a := p.hold("k", minute)
			p.hold("k", minute)
			p.settle("k", a)
			return p.held("k")
		}, nil},
	{"a hold never shortens another's life", "last = math.max(last, ends)", "last = ends",
		func(p *play) bool { p.hold("k", minute); p.hold("k", moment); past(moment); return p.held("k") }, nil},
	{"a hold whose life has ended is shed", "if ends > now then", "if true then", func(p *play) bool {
		p.hold("k", while)
		h := p.hold("k", minute)
		past(while)
		p.settle("k", h)
		return !p.held("k")
	}, nil},
	{"a settle that finds its hold gone empties the key", "redis.call('DEL', key)\n  return full and 'refused'", "return full and 'refused'",
		func(p *play) bool {
			h := p.hold("k", moment)
			past(moment)
			p.set("k", "v")
			p.settle("k", h)
			return p.get("k") == ""
		}, nil},
	{"a hold is under its own token", "if sub(hold, 1, 16) == ARGV[6] then mine = true else", "if true then mine = true else",
		func(p *play) bool { p.hold("k", minute); p.settle("k", tarn.Token{1}); return p.held("k") }, nil},
	{"holds are bounded", "if #live >= MOST then return {'full'} end", "", func(p *play) bool {
		for range 1024 {
			p.hold("k", minute)
		}
		return errors.Is(p.Hold(p.ctx, []string{"k"}, minute, make([]tarn.Token, 1)), tarn.ErrTooManyHolds)
	}, nil},
	{"what a Hold that failed removed is put back", "elseif not tainted and ARGV[7] ~= '' then", "elseif false then",
		func(p *play) bool { p.set("a", "v"); p.holdInVain("a"); return p.get("a") == "v" }, nil},
	{"unless the key was changed meanwhile", "elseif not tainted and ARGV[7] ~= '' then", "elseif ARGV[7] ~= '' then",
		func(p *play) bool {
			p.set("a", "v")
			other := redisstore.New(p.client.redistestClient, p.cfg)
			once := sync.OnceFunc(func() { must(0, other.Delete(p.ctx, "a")) })
			must(0, other.Delete(p.ctx, "begin"))
			p.set("a", "v")
			p.client.before = func(c redisstore.Command) {
				if c.Args != nil && c.Args[0] == "unhold" {
					once()
				}
			}
			p.holdInVain("a")
			return p.get("a") == ""
		}, nothing},
}

// holdInVain holds the key and one more, which has too many holds.
func (p *play) holdInVain(key string) {
	for range 1024 {
		p.hold("full", minute)
	}
	if err := p.Hold(p.ctx, []string{key, "full"}, minute, make([]tarn.Token, 2)); !errors.Is(err, tarn.ErrTooManyHolds) {
		panic(fmt.Sprint("it was held: ", err))
	}
}

var leaseRules = []rule{
	{"a Delete voids a lease", "else redis.call('DEL', key) end\n  return 'deleted'", "end\n  return 'deleted'",
		func(p *play) bool { l := p.lease("k", false); p.del("k"); return !p.fill("k", l.Token) }, nil},
	{"a fill needs its lease", "if not leased(ARGV[6]) then return 0 end", "",
		func(p *play) bool { l := p.lease("k", false); p.del("k"); return !p.fill("k", l.Token) }, nil},
	{"a lease is under its own token", "return current and sub(head, 11, 26) == token", "return current",
		func(p *play) bool { p.lease("k", false); return !p.fill("k", tarn.Token{1}) }, nil},
	{"a key has one lease", "if other ~= token then return {'leased', other} end", "",
		func(p *play) bool { p.lease("k", false); return p.lease("k", false).State == tarn.Leased }, nil},
	{"a value has one lease", "if lease and sub(lease, 1, 8) == stands and sub(lease, 9) ~= token then", "if false then",
		func(p *play) bool {
			p.set("k", "v")
			p.lease("k", true)
			return p.lease("k", true).State == tarn.Leased
		}, nil},
	{"a changed value has no lease", "redis.call('GET', refresh) == stands .. token", "sub(redis.call('GET', refresh) or '', 9) == token",
		func(p *play) bool {
			p.set("k", "v")
			l := p.lease("k", true)
			p.set("k", "w")
			return !p.fill("k", l.Token)
		}, nil},
	{"a changed value can be leased", "if lease and sub(lease, 1, 8) == stands and sub(lease, 9) ~= token then",
		"if lease and sub(lease, 9) ~= token then", func(p *play) bool {
			p.set("k", "v")
			p.lease("k", true)
			p.set("k", "w")
			return p.lease("k", true).State == tarn.Granted
		}, nil},
	{"a touch voids the lease of a value", "redis.call('SETRANGE', key, 10, id .. pack(", "redis.call('SETRANGE', key, 18, pack(",
		func(p *play) bool {
			p.set("k", "v")
			l := p.lease("k", true)
			must(p.Touch(p.ctx, "k", 0))
			return !p.fill("k", l.Token)
		}, nil},
	{"what is damaged is removed if it still stands", "~= ARGV[6] then return 0 end", "== '' then return 0 end", func(p *play) bool {
		p.set("k", "v")
		redis := "{" + p.cfg.Namespace + ":0}kk"
		p.server.Call("SETRANGE", redis, "41", "~~~")
		p.get("k")
		p.set("k", "w")
		p.client.again("drop")
		return p.get("k") == "w"
	}, nil},
	{"a lease in a partition whose record was lost can be filled", "if minted then keep() end\n  redis.call('SET', key,", "redis.call('SET', key,",
		func(p *play) bool {
			p.server.Call("DEL", "{"+p.cfg.Namespace+":0}r")
			l := p.lease("k", false)
			return p.fill("k", l.Token)
		}, nil},
	{"a lease of a value is given back", "redis.call('DEL', refresh)", "", func(p *play) bool {
		p.set("k", "v")
		l := p.lease("k", true)
		must(0, p.Fill(p.ctx, []tarn.Fill[string, string]{{Key: "k", Token: l.Token}}))
		return p.lease("k", true).State == tarn.Granted && p.get("k") == "v"
	}, nil},
	{"a newer version's hold is no hold", "and head:byte() <= NEWEST then", "then", func(p *play) bool {
		p.hold("k", minute)
		p.server.Call("SETRANGE", "{"+p.cfg.Namespace+":0}kk", "0", "\xa9")
		return !p.held("k")
	}, nil},
}

// repeatRules are for commands that are sent twice, or late.
var repeatRules = []rule{
	{"a Set repeated is one Set", "if again then return 'stored' end\n  local full", "local full",
		func(p *play) bool { p.set("k", "v"); r := p.record(); p.client.again("set"); return p.record() == r }, nil},
	{"an Add repeated was added", "if op == 'add' then\n  if again then return 'stored' end", "if op == 'add' then",
		func(p *play) bool {
			must(p.Add(p.ctx, "k", tarn.Entry[string]{Value: "v"}))
			return p.client.again("add").Text == "stored"
		}, nil},
	{"a Touch repeated is one Touch", "if op == 'touch' then\n  if again then return 'touched' end", "if op == 'touch' then",
		func(p *play) bool {
			p.set("k", "v")
			must(p.Touch(p.ctx, "k", 1))
			return p.client.again("touch").Text == "touched"
		}, nil},
	{"a Compute repeated was computed", "if again then return 'stored' end\n  if stands", "if stands",
		func(p *play) bool { p.compute(tarn.ComputeStore); return p.client.again("compute").Text == "stored" }, nil},
	{"a Compute that deletes, repeated, has deleted", "redis.call('SET', key, wire .. generation .. 'd' .. id, 'PX', 60000)", "",
		func(p *play) bool {
			p.set("k", "v")
			p.compute(tarn.ComputeDelete)
			return p.client.again("compute").Text == "stored"
		}, nil},
	{"a Compute finds what it has seen", "if stands ~= ARGV[6] or overtaken(ARGV[11]) then", "if overtaken(ARGV[11]) then", func(p *play) bool {
		p.set("k", "v")
		p.compute(tarn.ComputeStore)
		p.set("k", "later")
		p.client.again("compute")
		return p.get("k") == "later"
	}, nil},
	{"a Lease repeated is granted", "if other ~= token then", "if true then",
		func(p *play) bool { p.lease("k", false); return p.client.again("lease").Items[0].Text == "granted" }, nil},
	{"a Lease to refresh repeated is granted", "and sub(lease, 9) ~= token then", "then",
		func(p *play) bool {
			p.set("k", "v")
			p.lease("k", true)
			return p.client.again("lease").Items[0].Text == "granted"
		}, nil},
	{"a Fill repeated has stored", "if again then return 1 end", "",
		func(p *play) bool {
			l := p.lease("k", false)
			return p.fill("k", l.Token) && p.client.again("fill").Int == 1
		}, nil},
	{"a Hold repeated is one Hold", "if sub(hold, 1, 16) == ARGV[6] then return {'held'} end", "",
		func(p *play) bool { h := p.hold("k", minute); p.client.again("hold"); return p.settle("k", h) }, nil},
	{"a Settle repeated leaves what it stored", "if not mine and again then return 'stored' end", "",
		func(p *play) bool {
			p.settle("k", p.hold("k", minute))
			p.client.again("settle")
			return p.get("k") == "settled"
		}, nil},
	{"a hold taken back is taken back once", "if not mine then return 'gone' end", "", func(p *play) bool {
		p.set("a", "v")
		p.holdInVain("a")
		p.set("a", "later")
		p.client.again("unhold")
		return p.get("a") == "later"
	}, nil},
	{"a Clear repeated late brings nothing back", "redis.sha1hex(id .. time[1] .. '.' .. time[2] .. (record or ''))", "redis.sha1hex(id)",
		func(p *play) bool {
			p.clear()
			p.client.mu.Lock()
			n := len(p.client.sent)
			p.client.mu.Unlock()
			p.set("k", "v")
			redisstore.New(p.client, p.cfg).Clear(p.ctx)
			p.client.mu.Lock()
			p.client.sent = p.client.sent[:n]
			p.client.mu.Unlock()
			p.client.again("clear")
			return p.get("k") == ""
		}, nil},
}

func (p *play) compute(op tarn.ComputeOp) {
	_, _, err := p.Compute(p.ctx, "k", func(tarn.Entry[string], bool) (tarn.Entry[string], tarn.ComputeOp) {
		return tarn.Entry[string]{Value: "computed"}, op
	})
	must(0, err)
}

var generationRules = []rule{
	{"Clear changes the generation", "mint()\n  tell('c', '')\n  return 'cleared'", "tell('c', '')\n  return 'cleared'",
		func(p *play) bool { p.set("k", "v"); p.clear(); return p.get("k") == "" }, nil},
	{"a value of another generation is not there", "sub(head, 2, 9) == generation", "true", func(p *play) bool {
		p.set("k", "v")
		p.clear()
		return must(p.Add(p.ctx, "k", tarn.Entry[string]{Value: "w"}))
	}, nil},
	{"a lease of another generation does not stand", "return current and sub(head, 11, 26) == token", "return sub(head, 11, 26) == token",
		func(p *play) bool { l := p.lease("k", false); p.clear(); return !p.fill("k", l.Token) }, nil},
	{"a lease of another generation is in nobody's way", "if kind == 'l' and current then", "if kind == 'l' then",
		func(p *play) bool { p.lease("k", false); p.clear(); return p.lease("k", false).State == tarn.Granted }, nil},
	{"a hold of another generation is tainted", "sub(all, 11, 11) == 't' or not current", "sub(all, 11, 11) == 't'",
		func(p *play) bool { h := p.hold("k", minute); p.clear(); return !p.settle("k", h) }, nil},
	{"a record that was lost is made anew", "generation = pack('>I4I4', tonumber(sub(hash, 1, 8), 16), tonumber(sub(hash, 9, 16), 16))",
		"generation = '12345678'", func(p *play) bool {
			p.del("other")
			p.server.Call("DEL", "{"+p.cfg.Namespace+":0}r")
			p.set("k", "v")
			p.server.Call("DEL", "{"+p.cfg.Namespace+":0}r")
			p.del("other")
			return p.get("k") == ""
		}, nil},
	{"a server that forgot the script is renewed", "mint()\ntell('c', '')\nreturn 'renewed'",
		"if not sequence then mint() end\ntell('c', '')\nreturn 'renewed'",
		func(p *play) bool {
			p.set("k", "v")
			p.server.Call("SCRIPT", "FLUSH")
			p.del("other")
			return p.get("k") == ""
		}, nothing},
	{"a renewal is told to everybody", "mint()\ntell('c', '')\nreturn 'renewed'", "mint()\nkeep()\nreturn 'renewed'",
		func(p *play) bool {
			return p.told(func() { p.server.Call("SCRIPT", "FLUSH"); p.lease("other", false) }) == "lost"
		}, nothing},
}

var tellRules = []rule{
	{"Delete tells", "proceed()\n  changed()\n  if #live", "proceed()\n  if #live",
		func(p *play) bool { return p.told(func() { p.del("k") }) == "changed k" }, nil},
	{"Set tells", "proceed()\n  changed()\n  if ARGV[6] == ''", "proceed()\n  if ARGV[6] == ''",
		func(p *play) bool { return p.told(func() { p.set("k", "v") }) == "changed k" }, nil},
	{"Add tells", "changed()\n  put(6)\n  return 'stored'\nend\n\n-- touch", "put(6)\n  return 'stored'\nend\n\n-- touch",
		func(p *play) bool {
			return p.told(func() { must(p.Add(p.ctx, "k", tarn.Entry[string]{Value: "v"})) }) == "changed k"
		}, nil},
	{"Touch tells", "changed()\n  redis.call('SETRANGE'", "redis.call('SETRANGE'", func(p *play) bool {
		p.set("k", "v")
		return p.told(func() { must(p.Touch(p.ctx, "k", p.Clock().Now().Add(minute))) }) == "changed k"
	}, nil},
	{"Touch into the past tells", "changed()\n    remove()\n    return 'touched'", "remove()\n    return 'touched'",
		func(p *play) bool {
			p.set("k", "v")
			return p.told(func() { must(p.Touch(p.ctx, "k", 1)) }) == "changed k"
		}, nil},
	{"Compute tells", "changed()\n  put(7)\n  return 'stored'\nend", "put(7)\n  return 'stored'\nend",
		func(p *play) bool { return p.told(func() { p.compute(tarn.ComputeStore) }) == "changed k" }, nil},
	{"Compute that deletes tells", "changed()\n    remove()\n    return 'stored'", "remove()\n    return 'stored'",
		func(p *play) bool {
			p.set("k", "v")
			return p.told(func() { p.compute(tarn.ComputeDelete) }) == "changed k"
		}, nil},
	{"a Fill that replaces tells", "if ARGV[7] == 'release' then return 0 end\n    changed()", "if ARGV[7] == 'release' then return 0 end",
		func(p *play) bool {
			p.set("k", "v")
			l := p.lease("k", true)
			return p.told(func() { p.fill("k", l.Token) }) == "changed k"
		}, nil},
	{"Hold tells", "changed()\n  local shared", "local shared",
		func(p *play) bool { return p.told(func() { p.hold("k", minute) }) == "changed k" }, nil},
	{"a settle that finds its hold gone tells", "if not mine then changed() end", "", func(p *play) bool {
		h := p.hold("k", moment)
		past(moment)
		return p.told(func() { p.settle("k", h) }) == "changed k"
	}, nil},
	{"Clear tells", "tell('c', '')\n  return 'cleared'", "keep()\n  return 'cleared'",
		func(p *play) bool {
			return p.told(func() { must(0, redisstore.New(p.client, p.cfg).Clear(p.ctx)) }) == "lost"
		}, nil},
	{"messages are numbered", "sequence = sequence + 1", "", func(p *play) bool {
		return p.told(func() {
			p.client.Call(p.ctx, "SET", "{"+p.cfg.Namespace+":0}r", p.record()[:8]+"7") // as if some were lost
			p.del("k")
		}) == "lost" && p.record()[8:] == "8"
	}, nil},
	{"a message that may not be sent leaves a gap", "keep()\n  redis.call('PUBLISH', CHANNEL, generation .. sub(who, 1, 8) .. pack('>I8', sequence) .. sub(who, 9) .. what .. name)",
		"redis.call('PUBLISH', CHANNEL, generation .. sub(who, 1, 8) .. pack('>I8', sequence) .. sub(who, 9) .. what .. name)\n  keep()",
		func(p *play) bool {
			p.set("k", "v")
			before := p.record()
			mute := p.server.ClientAs(redistest.Config{Username: "mute", Password: "mute"})
			c := &edited{redistestClient: scanning{mute}, from: p.client.from, to: p.client.to, hashes: p.client.hashes}
			err := redisstore.New(c, p.cfg).Delete(p.ctx, "k")
			if err == nil || !strings.Contains(err.Error(), "NOPERM") && !strings.Contains(err.Error(), "publish") {
				panic(fmt.Sprint("it could be told: ", err))
			}
			return p.get("k") == "v" && p.record() != before
		}, []redistest.Option{redistest.User("mute on >mute ~* resetchannels +@all")}},
}

// fill the server until it takes no more.
func (p *play) fillUp() {
	big := strings.Repeat("x", 100_000)
	for i := 0; ; i++ {
		if _, err := p.client.Call(p.ctx, "SET", fmt.Sprint("big", i), big); err != nil {
			break
		}
		if i > 1000 {
			panic("it is never full")
		}
	}
	// And some more, so that what a script frees does not make it roomy.
	p.server.Call("CONFIG", "SET", "maxmemory", "1mb")
}

var full = []redistest.Option{redistest.Line("maxmemory 10mb", "maxmemory-policy noeviction")}

var fullRules = []rule{
	{"a full Redis deletes", "local function proceed() redis.call('PERSIST', rec) end", "local function proceed() end",
		func(p *play) bool {
			p.hold("k", minute)
			p.fillUp()
			return p.Delete(p.ctx, "k") == nil
		}, full},
	{"a full Redis holds", "proceed()\n  changed()\n  local shared", "changed()\n  local shared", func(p *play) bool {
		p.set("k", "v")
		p.fillUp()
		tokens := make([]tarn.Token, 1)
		return p.Hold(p.ctx, []string{"k"}, minute, tokens) == nil && !p.settle("k", tokens[0]) && p.get("k") == "" &&
			!p.held("k")
	}, full},
	{"a full Redis settles", "  if ARGV[7] ~= '' then full = room() end\n  proceed()", "  proceed()", func(p *play) bool {
		h := p.hold("k", minute)
		p.fillUp()
		return !p.settle("k", h) && p.get("k") == "" && p.Stats().Refused == 1
	}, full},
	{"a Set that a full Redis refuses leaves nothing", "if ARGV[6] == '' or full then", "if full then return full end\n  if ARGV[6] == '' then",
		func(p *play) bool {
			p.set("k", "v")
			p.fillUp()
			err := p.Set(p.ctx, "k", tarn.Entry[string]{Value: "w"})
			return err != nil && strings.Contains(err.Error(), "OOM") && p.get("k") == ""
		}, full},
	{"a Fill that a full Redis refuses ends the lease", "redis.call('DEL', key)\n  return full or 0", "return full or 0",
		func(p *play) bool {
			l := p.lease("k", false)
			p.fillUp()
			fills := []tarn.Fill[string, string]{{Key: "k", Token: l.Token, Store: true}}
			stands := make([]bool, 1)
			err := p.Fill(p.ctx, fills)
			must(0, p.Stands(p.ctx, []string{"k"}, []tarn.Token{l.Token}, stands))
			return err != nil && strings.Contains(err.Error(), "OOM") && !stands[0]
		}, full},
}
