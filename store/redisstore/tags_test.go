package redisstore_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

type store = redisstore.Store[string, string]

// tags returns tags with a stamp.
func tags(stamp tarn.Stamp, names ...string) *tarn.Tags { return must(tarn.NewTags(stamp, names...)) }

// tagged is a store on a server of its own, with what the tests of tags do with it. Its methods panic where a step fails.
type tagged struct {
	*store
	ctx    context.Context
	server *redistest.Server
	client redisstore.Client
	config redisstore.Config[string, string]
	prefix string // of the Redis keys of the first partition
}

func newTagged(t *testing.T, client redisstore.Client, server *redistest.Server) *tagged {
	cfg := redisstore.Config[string, string]{Namespace: unique(), Partitions: 1, MaxLife: time.Minute}
	return &tagged{redisstore.New(client, cfg), t.Context(), server, client, cfg, "{" + cfg.Namespace + ":0}"}
}

// another is that of another process.
func (s *tagged) another() *tagged {
	other := *s
	other.store = redisstore.New(s.client, s.config)
	return &other
}

func (s *tagged) set(key string, names ...string) {
	must(0, s.Set(s.ctx, key, tarn.Entry[string]{Value: "v", Tags: tags(0, names...)}))
}

func (s *tagged) invalidate(names ...string) { must(0, s.InvalidateTags(s.ctx, names...)) }

func (s *tagged) has(key string) bool {
	_, found, err := s.Get(s.ctx, key)
	return must(found, err)
}

func (s *tagged) lease(key string, refresh bool) tarn.Lease[string] {
	into := make([]tarn.Lease[string], 1)
	must(0, s.Lease(s.ctx, []string{key}, tarn.LeaseTerms{Life: time.Minute, Stamp: true, Refresh: refresh}, into))
	return into[0]
}

func (s *tagged) fill(key string, token tarn.Token, t *tarn.Tags) bool {
	fills := []tarn.Fill[string, string]{
		{Key: key, Token: token, Store: true, Entry: tarn.Entry[string]{Value: "filled", Tags: t}},
	}
	must(0, s.Fill(s.ctx, fills))
	return fills[0].Stored
}

// replace fills in an entry over the one that the lease has found.
func (s *tagged) replace(key string, l tarn.Lease[string], t *tarn.Tags) bool {
	fills := []tarn.Fill[string, string]{{
		Key: key, Token: l.Token, Store: true, Entry: tarn.Entry[string]{Value: "filled", Tags: t}, Over: l.Entry.Tags,
	}}
	must(0, s.Fill(s.ctx, fills))
	return fills[0].Stored
}

func (s *tagged) settle(key string, t *tarn.Tags) bool {
	tokens := make([]tarn.Token, 1)
	must(0, s.Hold(s.ctx, []string{key}, time.Minute, tokens))
	settlements := []tarn.Settlement[string, string]{
		{Key: key, Token: tokens[0], Store: true, Entry: tarn.Entry[string]{Value: "settled", Tags: t}},
	}
	must(0, s.Settle(s.ctx, settlements))
	return settlements[0].Stored
}

// TestTags has a row for each thing that is said of entries with tags, on one server and on what says that it is a
// cluster.
func TestTags(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for name, client := range map[string]redisstore.Client{
		"one server": scanning{server.Client()}, "sharded": sharded{scanning{server.Client()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, tt := range tagRules {
				t.Run(tt.rule, func(t *testing.T) {
					t.Parallel()
					require.True(t, tt.holds(newTagged(t, client, server)))
				})
			}
		})
	}
}

var tagRules = []struct {
	rule  string
	holds func(s *tagged) bool
}{
	{"an entry with tags is there", func(s *tagged) bool { s.set("k", "a", "b"); return s.has("k") }},
	{"Get returns tags and stamp", func(s *tagged) bool {
		stamp := must(s.Stamp(s.ctx))
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Value: "v", Tags: tags(stamp, "b", "a")}))
		e, _, err := s.Get(s.ctx, "k")
		must(0, err)
		return slices.Equal(e.Tags.Names(), []string{"a", "b"}) && e.Tags.Stamp() == stamp
	}},
	{"an invalidation reaches an entry by each of its tags", func(s *tagged) bool {
		s.set("k", "a", "b")
		s.invalidate("b")
		return !s.has("k")
	}},
	{"and no other", func(s *tagged) bool { s.set("k", "a"); s.set("l", "b"); s.invalidate("b", "c"); return s.has("k") }},
	{"nor an entry without tags", func(s *tagged) bool { s.set("k"); s.invalidate("a"); return s.has("k") }},
	{"what is stored after an invalidation is there", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("a")
		s.set("k", "a")
		return s.has("k")
	}},
	{"a stamp is never zero, and moves with an invalidation alone", func(s *tagged) bool {
		a, b := must(s.Stamp(s.ctx)), must(s.Stamp(s.ctx))
		s.invalidate("a")
		return a != 0 && a == b && must(s.Stamp(s.ctx)) > b
	}},
	{"a lease has a stamp if one is asked for", func(s *tagged) bool {
		into := make([]tarn.Lease[string], 1)
		must(0, s.Lease(s.ctx, []string{"l"}, tarn.LeaseTerms{Life: time.Minute}, into))
		return into[0].Stamp == 0 && s.lease("k", false).Stamp == must(s.Stamp(s.ctx))
	}},
	{"what lacked the record of its tag for a while is not leased away", func(s *tagged) bool {
		for _, look := range []func() bool{
			func() bool { return s.has("k") },
			func() bool {
				into := make([]tarn.Lookup[string], 2)
				must(0, s.GetMany(s.ctx, []string{"k", "l"}, into))
				return into[0].Found
			},
		} {
			s.set("k", "a")
			s.server.Call("DEL", s.prefix+"ta") // as eviction does
			if look() {
				return false
			}
			if s.set("l", "a"); !look() || !s.lease("k", false).Found {
				return false
			}
		}
		return true
	}},
	{"a fill after an invalidation stores nothing", func(s *tagged) bool {
		l := s.lease("k", false)
		s.invalidate("a")
		return !s.fill("k", l.Token, tags(l.Stamp, "a")) && !s.has("k")
	}},
	{"also where the tag was used before", func(s *tagged) bool {
		s.set("other", "a")
		l := s.lease("k", false)
		s.invalidate("a")
		return !s.fill("k", l.Token, tags(l.Stamp, "a")) && !s.has("k") && s.lease("k", false).State == tarn.Granted
	}},
	{"a fill after an invalidation of another tag stores", func(s *tagged) bool {
		s.set("other", "a")
		l := s.lease("k", false)
		s.invalidate("b")
		return s.fill("k", l.Token, tags(l.Stamp, "a")) && s.has("k")
	}},
	{"a fill without a stamp stores nothing", func(s *tagged) bool {
		return !s.fill("k", s.lease("k", false).Token, tags(0, "a")) && !s.has("k")
	}},
	{"a fill with a stamp of another store stores nothing", func(s *tagged) bool {
		return !s.fill("k", s.lease("k", false).Token, tags(1<<63, "a")) && !s.has("k")
	}},
	{"a fill with a stamp that another process has asked for stores", func(s *tagged) bool {
		l := s.lease("k", false)
		other := s.another()
		other.invalidate("b")
		return s.fill("k", l.Token, tags(must(other.Stamp(s.ctx)), "a")) && s.has("k")
	}},
	{"a settle after an invalidation stores nothing", func(s *tagged) bool {
		stamp := must(s.Stamp(s.ctx))
		s.invalidate("a")
		return !s.settle("k", tags(stamp, "a")) && !s.has("k")
	}},
	{"a settle stores", func(s *tagged) bool {
		return s.settle("k", tags(must(s.Stamp(s.ctx)), "a")) && s.has("k")
	}},
	{"a settle without a stamp stores nothing", func(s *tagged) bool { return !s.settle("k", tags(0, "a")) && !s.has("k") }},
	{"a Set with an old stamp leaves nothing", func(s *tagged) bool {
		stamp := must(s.Stamp(s.ctx))
		s.set("k")
		s.invalidate("a")
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(stamp, "a")}))
		return !s.has("k")
	}},
	{"GetMany finds what is there", func(s *tagged) bool {
		s.set("k", "a")
		s.set("l", "b")
		s.set("m")
		s.invalidate("a")
		into := make([]tarn.Lookup[string], 3)
		must(0, s.GetMany(s.ctx, []string{"k", "l", "m"}, into))
		return !into[0].Found && into[0].Entry.Tags == nil && into[1].Found && into[2].Found
	}},
	{"SetMany stamps", func(s *tagged) bool {
		entries := []tarn.Entry[string]{{Tags: tags(0, "a")}, {Tags: tags(0, "b")}}
		must(0, s.SetMany(s.ctx, []string{"k", "l"}, entries))
		s.invalidate("a")
		return !s.has("k") && s.has("l")
	}},
	{"Lease finds what is there", func(s *tagged) bool {
		s.set("k", "a")
		l := s.lease("k", false)
		return l.State == tarn.Hit && l.Found && l.Entry.Tags.Names()[0] == "a"
	}},
	{"Lease leases what is gone", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("a")
		l := s.lease("k", false)
		return l.State == tarn.Granted && !l.Found && s.fill("k", l.Token, tags(l.Stamp, "a")) && s.has("k")
	}},
	{"and so does one to refresh", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("a")
		l := s.lease("k", true)
		again := s.lease("k", true)
		other := s.lease("k", false)
		return l.State == tarn.Granted && !l.Found && again.State == tarn.Leased && !again.Found &&
			other.State == tarn.Leased && !other.Found && s.fill("k", l.Token, tags(l.Stamp, "a")) && s.has("k")
	}},
	{"a refresh has a stamp from before", func(s *tagged) bool {
		s.set("k", "a")
		l := s.lease("k", true)
		s.invalidate("a")
		return l.Found && !s.fill("k", l.Token, tags(l.Stamp, "a")) && !s.has("k")
	}},
	{"a refresh stores nothing, with whatever tags, once the tags of what it replaces were invalidated", func(s *tagged) bool {
		for i, names := range [][]string{nil, {"b"}, {"a"}, {"a", "b"}} {
			key := fmt.Sprint(i)
			s.set("other", "b")
			s.set(key, "a", "c")
			l := s.lease(key, true)
			s.invalidate("c")
			if s.replace(key, l, tags(l.Stamp, names...)) || s.has(key) || s.lease(key, false).State != tarn.Granted {
				return false
			}
		}
		return true
	}},
	{"nor where their records were lost", func(s *tagged) bool {
		s.set("k", "a")
		l := s.lease("k", true)
		s.server.Call("DEL", s.prefix+"ta")
		return !s.replace("k", l, nil) && !s.has("k")
	}},
	{"nor where they have a stamp of another store", func(s *tagged) bool {
		s.set("k", "a")
		l := s.lease("k", true)
		l.Entry.Tags = tags(1<<63, "a")
		return !s.replace("k", l, nil) && !s.has("k")
	}},
	{"and stores if none of them was", func(s *tagged) bool {
		for i, names := range [][]string{nil, {"b"}, {"a", "c"}} {
			key := fmt.Sprint(i)
			s.set("other", "b")
			s.set(key, "a", "c")
			l := s.lease(key, true)
			s.invalidate("d")
			if !s.replace(key, l, tags(l.Stamp, names...)) || !s.has(key) {
				return false
			}
			s.invalidate("a")
			if s.has(key) == slices.Contains(names, "a") {
				return false
			}
		}
		return true
	}},
	{"a refresh whose tags cannot be looked up leaves nothing, and is an error", func(s *tagged) bool {
		s.set("k", "a")
		s.set("l")
		l, other := s.lease("k", true), s.lease("l", true)
		s.server.Call("DEL", s.prefix+"s")
		s.server.Call("RPUSH", s.prefix+"s", "x")
		fills := []tarn.Fill[string, string]{ // with a stamp that nobody knows of
			{Key: "k", Token: l.Token, Store: true, Over: tags(1<<52, "a")}, {Key: "l", Token: other.Token, Store: true},
		}
		failed := s.Fill(s.ctx, fills) != nil && !fills[0].Stored && fills[1].Stored
		return failed && s.server.Call("EXISTS", s.prefix+"kk").Int == 0
	}},
	{"a lease that is given back asks for no tags", func(s *tagged) bool {
		s.set("k", "a")
		l := s.lease("k", true)
		must(0, s.Fill(s.ctx, []tarn.Fill[string, string]{{Key: "k", Token: l.Token, Over: tags(1, "a")}}))
		return s.has("k")
	}},
	{"Add adds where an entry is gone", func(s *tagged) bool {
		s.set("k", "a")
		e := tarn.Entry[string]{Value: "added", Tags: tags(0, "a")}
		before := must(s.Add(s.ctx, "k", e))
		s.invalidate("a")
		return !before && must(s.Add(s.ctx, "k", e)) && s.has("k")
	}},
	{"Touch keeps tags, and their records", func(s *tagged) bool {
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(0, "a"), Expires: s.Clock().Now().Add(20 * time.Second)}))
		touched := must(s.Touch(s.ctx, "k", s.Clock().Now().Add(30*time.Second)))
		left := s.server.Call("PTTL", s.prefix+"ta").Int
		s.invalidate("a")
		return touched && left > 25_000 && !s.has("k")
	}},
	{"Touch finds nothing where an entry is gone", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("a")
		return !must(s.Touch(s.ctx, "k", s.Clock().Now().Add(time.Minute))) && !s.has("k")
	}},
	{"Touch ends an entry with tags", func(s *tagged) bool {
		s.set("k", "a")
		return must(s.Touch(s.ctx, "k", 1)) && !s.has("k")
	}},
	{"Compute finds nothing where an entry is gone", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("a")
		was := true
		e, found, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], found bool) (tarn.Entry[string], tarn.ComputeOp) {
			was = found || e.Tags != nil
			return tarn.Entry[string]{Value: "computed", Tags: tags(0, "a")}, tarn.ComputeStore
		})
		must(0, err)
		stamp := e.Tags.Stamp()
		s.invalidate("b")
		return !was && found && stamp != 0 && stamp == e.Tags.Original().Stamp() && s.has("k")
	}},
	{"Compute that keeps what is gone finds nothing", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("a")
		_, found, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], found bool) (tarn.Entry[string], tarn.ComputeOp) {
			return e, tarn.ComputeKeep
		})
		return !must(found, err)
	}},
	{"Compute keeps the stamp of what it stores again", func(s *tagged) bool {
		s.set("k", "a")
		s.invalidate("b")
		e, _, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], found bool) (tarn.Entry[string], tarn.ComputeOp) {
			e.Value = "computed"
			return e, tarn.ComputeStore
		})
		must(0, err)
		return e.Tags.Stamp() < must(s.Stamp(s.ctx)) && s.has("k")
	}},
	{"Scan leaves out what is gone", func(s *tagged) bool {
		s.set("k", "a")
		s.set("l", "b")
		s.invalidate("a")
		var keys []string
		seq, end := s.Scan(s.ctx)
		for k := range seq {
			keys = append(keys, k)
		}
		return must(slices.Equal(keys, []string{"l"}), end())
	}},
	{"a Negative entry has tags", func(s *tagged) bool {
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Negative: true, Tags: tags(0, "a")}))
		there := s.has("k")
		s.invalidate("a")
		return there && !s.has("k")
	}},
	{"a key, a tag and a value may be long and odd", func(s *tagged) bool {
		key, tag := strings.Repeat("{}*", 100), strings.Repeat("\x00}{é", 200)
		s.set(key, tag, "t", "}k", "s")
		there := s.has(key)
		s.invalidate(tag)
		return there && !s.has(key)
	}},
	{"a hold in vain puts back the tags", func(s *tagged) bool {
		s.set("k", "a")
		for range 1024 {
			must(0, s.Hold(s.ctx, []string{"full"}, time.Minute, make([]tarn.Token, 1)))
		}
		if s.Hold(s.ctx, []string{"k", "full"}, time.Minute, make([]tarn.Token, 2)) == nil {
			return false
		}
		there := s.has("k")
		s.invalidate("a")
		return there && !s.has("k")
	}},
	{"after a Clear, tags can be used", func(s *tagged) bool {
		s.set("k", "a")
		must(0, s.Clear(s.ctx))
		gone := !s.has("k")
		s.set("k", "a")
		there := s.has("k")
		s.invalidate("a")
		return gone && there && !s.has("k")
	}},
	{"after a Clear, a load from before is refused", func(s *tagged) bool {
		l := s.lease("k", false)
		s.invalidate("a")
		must(0, s.Clear(s.ctx))
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(l.Stamp, "a")}))
		return !s.has("k")
	}},
	{"an entry that was rescued stays so", func(s *tagged) bool {
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Rescued: true, Tags: tags(0, "a")}))
		must(0, s.Set(s.ctx, "l", tarn.Entry[string]{Rescued: true}))
		s.set("m")
		into := make([]tarn.Lookup[string], 3)
		must(0, s.GetMany(s.ctx, []string{"k", "l", "m"}, into))
		must(s.Touch(s.ctx, "l", s.Clock().Now().Add(time.Minute)))
		e, _, err := s.Get(s.ctx, "l")
		must(0, err)
		return into[0].Entry.Rescued && into[1].Entry.Rescued && !into[2].Entry.Rescued && e.Rescued
	}},
	{"a tag whose record was lost was invalidated", func(s *tagged) bool {
		s.set("k", "a")
		s.server.Call("DEL", s.prefix+"ta")
		gone := !s.has("k")
		s.set("k", "a")
		return gone && s.has("k")
	}},
	{"and so was one whose record is none", func(s *tagged) bool {
		s.set("k", "a")
		whole := s.server.Call("GET", s.prefix+"ta").Text
		for _, text := range []string{
			"", "x", whole[:8], whole[:9], whole[:len(whole)-1] + "x", "12345678" + whole[8:], whole[:8] + "1", whole[:8] + "1 ",
			whole[:8] + " 1", whole[:8] + "0 1", whole[:8] + "-1 1", whole[:8] + "1e0 1", whole[:8] + "9999999999999999 1",
			whole[:8] + "11111111111111111111111111111111 1", whole + " 1", strings.Repeat("1 ", 5000),
		} {
			s.server.Call("SET", s.prefix+"ta", text, "KEEPTTL")
			if s.has("k") && text != whole {
				return false
			}
			s.invalidate("a")
			l := s.lease("k", false)
			if l.State != tarn.Granted || !s.fill("k", l.Token, tags(l.Stamp, "a")) || !s.has("k") {
				return false
			}
		}
		return true
	}},
	{"a tag whose record is a list was invalidated, until it is removed", func(s *tagged) bool {
		s.set("k", "a")
		s.server.Call("DEL", s.prefix+"ta")
		s.server.Call("RPUSH", s.prefix+"ta", "x")
		gone := !s.has("k")
		err := s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(0, "a")})
		return gone && err != nil && strings.Contains(err.Error(), "WRONGTYPE") && s.InvalidateTags(s.ctx, "a") != nil
	}},
	{"where a record is a list, nothing is left, no lease, and no hold", func(s *tagged) bool { return s.without("ta") }},
	{"nor where the counter is one", func(s *tagged) bool { return s.without("s") }},
	{"a counter that was lost does not come back lower", func(s *tagged) bool {
		for range 10 {
			stamp := must(s.Stamp(s.ctx))
			s.set("k", "a")
			s.server.Call("DEL", s.prefix+"s")
			s.invalidate("a")
			if must(s.Stamp(s.ctx)) <= stamp || s.has("k") {
				return false
			}
		}
		return true
	}},
	{"a partition that was lost has lost its tags", func(s *tagged) bool {
		s.set("k", "a")
		s.server.Call("DEL", s.prefix+"r")
		gone := !s.has("k")
		s.set("k", "a")
		there := s.has("k")
		s.invalidate("a")
		return gone && there && !s.has("k")
	}},
	{"a load that is old stores nothing in a partition that was lost", func(s *tagged) bool {
		stamp := must(s.Stamp(s.ctx))
		s.invalidate("a")
		s.server.Call("DEL", s.prefix+"r", s.prefix+"ta")
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(stamp, "a")}))
		return !s.has("k")
	}},
	{"a counter that is behind a record is raised", func(s *tagged) bool {
		s.set("k", "a")
		s.server.Call("SET", s.prefix+"s", "7000000000000000")
		s.invalidate("a")
		s.server.Call("SET", s.prefix+"s", "6000000000000000")
		other := s.another()
		other.set("k", "a")
		s.server.Call("SET", s.prefix+"s", "6000000000000000")
		another := s.another()
		l := another.lease("l", false)
		refused := !another.fill("l", l.Token, tags(l.Stamp, "a"))
		l = another.lease("l", false)
		return s.has("k") && refused && another.fill("l", l.Token, tags(l.Stamp, "a")) && s.has("l")
	}},
	{"a tag that is new is loaded in the end, whatever else is invalidated meanwhile", func(s *tagged) bool {
		for _, tag := range []string{"a", "b"} {
			stored := false
			for range 2 {
				l := s.lease("k", true)
				s.invalidate("other")
				stored = s.fill("k", l.Token, tags(l.Stamp, tag))
			}
			if !stored || !s.has("k") {
				return false
			}
		}
		return true
	}},
	{"nothing is left over by tags that nobody uses", func(s *tagged) bool {
		for i := range 100 {
			s.invalidate(fmt.Sprint("never used ", i))
		}
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(0, "a"), Expires: s.Clock().Now().Add(20 * time.Second)}))
		s.invalidate("a")
		left := s.server.Call("PTTL", s.prefix+"ta").Int
		return left > 0 && left < 22_000 && len(s.server.Call("KEYS", s.prefix+"*").Items) <= 4
	}},
	{"tags without names are none", func(s *tagged) bool {
		must(0, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: &tarn.Tags{}}))
		return s.has("k") && s.fill("l", s.lease("l", false).Token, &tarn.Tags{}) && s.has("l")
	}},
}

// without puts a list where something has to be known of tags, and reports whether what cannot be stored then leaves
// nothing, and what has no tags is stored.
func (s *tagged) without(what string) bool {
	stamp := must(s.Stamp(s.ctx))
	s.server.Call("DEL", s.prefix+what)
	s.server.Call("RPUSH", s.prefix+what, "x")
	lease := func(key string) tarn.Lease[string] {
		into := make([]tarn.Lease[string], 1)
		must(0, s.Lease(s.ctx, []string{key}, tarn.LeaseTerms{Life: time.Minute}, into))
		return into[0]
	}
	s.set("k")
	failed := s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(0, "a")}) != nil && !s.has("k")
	s.set("k")
	entries := []tarn.Entry[string]{{Tags: tags(0, "a")}, {}}
	failed = failed && s.SetMany(s.ctx, []string{"k", "l"}, entries) != nil && !s.has("k") && s.has("l")
	_, err := s.Add(s.ctx, "m", entries[0])
	failed = failed && err != nil && !s.has("m") && s.Delete(s.ctx, "m") == nil
	fills := []tarn.Fill[string, string]{
		{Key: "m", Token: lease("m").Token, Store: true, Entry: tarn.Entry[string]{Tags: tags(stamp, "a")}},
		{Key: "n", Token: lease("n").Token, Store: true},
	}
	err = s.Fill(s.ctx, fills)
	return failed && err != nil && !fills[0].Stored && fills[1].Stored && lease("m").State != tarn.Leased &&
		!s.settle("o", tags(stamp, "a")) && lease("o").State == tarn.Granted && !s.has("m")
}

// Bad tags change nothing.
func TestBadTags(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	s := newTagged(t, server.Client(), server)
	s.set("k", "a")
	before := must(s.Stamp(s.ctx))
	for _, bad := range [][]string{{}, {""}, {"a", ""}, {"a", strings.Repeat("x", tarn.MaxTagLength+1)}} {
		require.ErrorIs(t, s.InvalidateTags(s.ctx, bad...), tarn.ErrTags)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	require.ErrorIs(t, s.InvalidateTags(ctx, "a"), context.Canceled)
	_, err := s.Stamp(ctx)
	require.ErrorIs(t, err, context.Canceled)
	require.True(t, s.has("k"))
	require.Equal(t, before, must(s.Stamp(s.ctx)))
	s.invalidate("a", "a", "b", "a")
	require.False(t, s.has("k"))
}
