package redisstore_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/faultproxy"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

// source has a version for each tag, which a write raises before it invalidates the tag.
type source struct {
	written, acked [4]atomic.Int64
}

// key n has two tags.
func tagsOfKey(n int) [2]int { return [2]int{n % 4, (n/4 + 1 + n) % 4} }

func tagName(n int) string { return fmt.Sprint("tag ", n) }

// load returns the value of a key: the versions of its tags.
func (s *source) load(n int) string {
	t := tagsOfKey(n)
	return fmt.Sprint(s.written[t[0]].Load(), " ", s.written[t[1]].Load())
}

// seen returns the versions that a read of a key may not fall behind.
func (s *source) seen(n int) [2]int64 {
	t := tagsOfKey(n)
	return [2]int64{s.acked[t[0]].Load(), s.acked[t[1]].Load()}
}

func old(value string, seen [2]int64) bool {
	for i, text := range strings.Fields(value) {
		if n, _ := strconv.ParseInt(text, 10, 64); n < seen[i] {
			return true
		}
	}
	return false
}

// read reads a key through a store, and loads what is not there. It reports whether it found something, and something
// old.
func (s *source) read(ctx context.Context, store *redisstore.Store[string, string], n int) (hit, wrong bool, err error) {
	seen, key, t := s.seen(n), fmt.Sprint("key ", n), tagsOfKey(n)
	var e tarn.Entry[string]
	switch rand.N(4) {
	case 0:
		into := make([]tarn.Lookup[string], 1)
		err = store.GetMany(ctx, []string{key}, into)
		e, hit = into[0].Entry, into[0].Found
	default:
		e, hit, err = store.Get(ctx, key)
	}
	if err != nil || hit && rand.N(16) > 0 {
		return hit, hit && old(e.Value, seen), err
	}
	into := make([]tarn.Lease[string], 1)
	seen = s.seen(n)
	if err = store.Lease(ctx, []string{key}, tarn.LeaseTerms{Life: time.Second, Stamp: true, Refresh: hit}, into); err != nil {
		return hit, false, err
	}
	if into[0].Found && old(into[0].Entry.Value, seen) {
		return true, true, nil
	}
	if into[0].State != tarn.Granted {
		return hit, false, nil
	}
	e = tarn.Entry[string]{Value: s.load(n), Tags: tags(into[0].Stamp, tagName(t[0]), tagName(t[1]))}
	time.Sleep(rand.N(300 * time.Microsecond))
	return hit, false, store.Fill(ctx, []tarn.Fill[string, string]{{Key: key, Token: into[0].Token, Store: true, Entry: e}})
}

// TestTagsNeverReturnToThePast has processes that read, load and invalidate, while records, partitions and the counter
// are lost, as by eviction: no read gives less than what an invalidation that was acknowledged before it began was for.
func TestTagsNeverReturnToThePast(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, tt := range []struct {
		name   string
		client redisstore.Client
		evicts []string // what is lost once in a while; what follows the namespace
	}{
		{"nothing is lost", server.Client(), nil},
		{"records are lost", server.Client(), []string{":%d}ttag 0", ":%d}ttag 1", ":%d}ttag 2", ":%d}ttag 3"}},
		{"partitions are lost", server.Client(), []string{":%d}r"}},
		{"all is lost, on a cluster", sharded{scanning{server.Client()}}, []string{":%d}ttag 1", ":%d}r", ":0}s%.0d"}},
		{"the counter is lost", server.Client(), []string{":0}s%.0d"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var s source
			var hits, reads, writes atomic.Int64
			var wg sync.WaitGroup
			namespace := unique()
			for range 3 {
				store := redisstore.New(tt.client, redisstore.Config[string, string]{Namespace: namespace, Partitions: 3})
				require.NoError(t, store.Delete(ctx, "begin"))
				for range 2 {
					wg.Go(func() {
						for ctx.Err() == nil {
							hit, wrong, err := s.read(ctx, store, rand.N(16))
							if wrong || err != nil && ctx.Err() == nil {
								t.Errorf("old: %v, %v", wrong, err)
								return
							}
							reads.Add(1)
							if hit {
								hits.Add(1)
							}
						}
					})
				}
				wg.Go(func() {
					for ctx.Err() == nil {
						n := rand.N(4)
						version := s.written[n].Add(1)
						if store.InvalidateTags(ctx, tagName(n)) == nil {
							raise(&s.acked[n], version)
							writes.Add(1)
						}
						time.Sleep(rand.N(20 * time.Millisecond))
					}
				})
			}
			wg.Go(func() {
				for tt.evicts != nil && ctx.Err() == nil {
					what := tt.evicts[rand.N(len(tt.evicts))]
					server.Call("DEL", "{"+namespace+fmt.Sprintf(what, rand.N(3)))
					time.Sleep(rand.N(20 * time.Millisecond))
				}
			})
			time.Sleep(time.Second)
			assert.Eventually(t, func() bool { return hits.Load() > 0 && writes.Load() > 0 }, patience, time.Millisecond)
			cancel()
			wg.Wait()
			t.Logf("%d reads, %d hits, %d invalidations", reads.Load(), hits.Load(), writes.Load())
		})
	}
}

func raise(a *atomic.Int64, n int64) {
	for {
		if was := a.Load(); was >= n || a.CompareAndSwap(was, n) {
			return
		}
	}
}

// An invalidation that arrives when its caller has given up removes what was loaded before it, and nothing else.
func TestLateInvalidation(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	proxy := faultproxy.Start(t, server.Addr())
	slow := redistest.Dial(proxy.Addr(), redistest.Config{})
	t.Cleanup(slow.Close)
	s := newTagged(t, server.Client(), server)
	late := redisstore.New(slow, s.config)
	s.set("before", "a")
	proxy.Set(faultproxy.Fault{Match: "mark", Requests: faultproxy.Way{Stall: true}})
	require.ErrorIs(t, late.InvalidateTags(whenStruck(t, proxy), "a"), context.Canceled)
	require.True(t, s.has("before"), "it did not arrive yet")
	l := s.lease("after", false)
	require.True(t, s.fill("after", l.Token, tags(l.Stamp, "a")))
	proxy.Pass()
	require.Eventually(t, func() bool { return !s.has("before") }, patience, time.Millisecond)
	require.True(t, s.has("after"))

	// Where only the answer is lost, it was done.
	s.set("before", "a")
	proxy.Set(faultproxy.Fault{Match: "mark", Replies: faultproxy.Way{Drop: true}})
	require.ErrorIs(t, late.InvalidateTags(whenStruck(t, proxy), "a"), context.Canceled)
	require.Eventually(t, func() bool { return !s.has("before") }, patience, time.Millisecond)
}

// whenStruck returns a context that is cancelled once the proxy's fault has struck a connection.
func whenStruck(t *testing.T, proxy *faultproxy.Proxy) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	go func() {
		for proxy.Struck() == 0 && ctx.Err() == nil {
			time.Sleep(time.Millisecond)
		}
		cancel()
	}()
	return ctx
}

// What is stored late, after the invalidation that it should have seen, is gone.
func TestLateFill(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	for _, lost := range []bool{false, true} {
		t.Run(fmt.Sprint("record lost: ", lost), func(t *testing.T) {
			proxy := faultproxy.Start(t, server.Addr())
			slow := redistest.Dial(proxy.Addr(), redistest.Config{})
			t.Cleanup(slow.Close)
			s := newTagged(t, server.Client(), server)
			late := redisstore.New(slow, s.config)
			s.set("other", "a")
			leases := make([]tarn.Lease[string], 1)
			require.NoError(t, late.Lease(t.Context(), []string{"k"}, tarn.LeaseTerms{Life: time.Minute, Stamp: true}, leases))
			proxy.Set(faultproxy.Fault{Match: "ensure", Requests: faultproxy.Way{Stall: true}})
			require.ErrorIs(t, late.Fill(whenStruck(t, proxy), []tarn.Fill[string, string]{
				{Key: "k", Token: leases[0].Token, Store: true, Entry: tarn.Entry[string]{Tags: tags(leases[0].Stamp, "a")}},
			}), context.Canceled)
			s.invalidate("a")
			if lost {
				server.Call("DEL", s.prefix+"ta")
			}
			proxy.Pass()
			require.Eventually(t, func() bool { return server.Call("STRLEN", s.prefix+"kk").Int > 30 }, patience, time.Millisecond)
			require.False(t, s.has("k"))
			require.False(t, s.has("other"))
			s.set("k", "a")
			require.True(t, s.has("k"))
		})
	}
}

// What an invalidation overtakes between the look at the tags and the store does not stay.
func TestOvertakenFill(t *testing.T) {
	t.Parallel()
	p := alone(t)
	s := p.two()
	tag, struck := s.tag, 0
	for _, names := range [][]string{nil, {"b"}, {s.tag}} {
		for _, op := range []string{"counter", "fill", "none"} {
			for n, s := range []*tagged{s.tagged, s.onCluster(p)} {
				s.set("k", tag)
				l, want := s.lease("k", true), true
				p.before(op, func() {
					want = false
					struck++
					s.another().invalidate(tag)
				})
				require.Equal(t, want, s.replace("k", l, tags(l.Stamp, names...)), "%v %v %v", names, op, n)
				require.Equal(t, want, s.has("k"), "%v %v %v", names, op, n)
				p.client.before = nil
				s.set("k", tag)
			}
		}
	}
	require.Equal(t, 8, struck, "each fill, and what is asked before one on a cluster that no script can see to")

	// What another has stored since stays.
	s.store = s.onCluster(p).store
	s.set("k", s.tag)
	l := s.lease("k", true)
	p.before("fill", func() { must(0, s.other.InvalidateTags(s.ctx, s.tag)) })
	before := p.client.before
	p.client.before = func(c redisstore.Command) {
		if before(c); len(c.Args) > 0 && c.Args[0] == "compute" {
			must(0, s.other.Set(s.ctx, "k", tarn.Entry[string]{Value: "newer"}))
		}
	}
	require.False(t, s.replace("k", l, nil))
	require.True(t, s.has("k"))
}

// What Compute makes of an entry that is invalidated before it is stored does not stay, whatever its tags and whenever
// that is; and f is called again.
func TestOvertakenCompute(t *testing.T) {
	t.Parallel()
	p := alone(t)
	s := p.two()
	for _, names := range [][]string{nil, {"b"}, {s.tag}, {"b", s.tag}} {
		for _, op := range []string{"f", "counter", "compute", "mark"} {
			t.Run(fmt.Sprint(len(names), op, names), func(t *testing.T) {
				p.client.before = nil
				s.set("k", s.tag)
				invalidate := func() { must(0, s.other.InvalidateTags(s.ctx, s.tag)) }
				if op == "mark" { // the invalidation has begun before, and arrives when all is done
					p.before("mark", func() {
						p.client.before = nil
						_, _, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], _ bool) (tarn.Entry[string], tarn.ComputeOp) {
							return tarn.Entry[string]{Value: e.Value + "+", Tags: tags(0, names...)}, tarn.ComputeStore
						})
						must(0, err)
					})
					s.invalidate(s.tag)
					require.Equal(t, !slices.Contains(names, s.tag), s.has("k"), "an entry without the tag was stored before")
					return
				}
				var found []bool
				p.before(op, invalidate)
				if once := p.client.before; op == "f" {
					p.client.before = func(c redisstore.Command) {
						once(c)
						require.False(t, len(c.Args) > 0 && c.Args[0] == "compute", "it is not stored even for a while")
					}
				}
				_, has, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], there bool) (tarn.Entry[string], tarn.ComputeOp) {
					if found = append(found, there); op == "f" && len(found) == 1 {
						invalidate()
					}
					if !there {
						return e, tarn.ComputeKeep
					}
					return tarn.Entry[string]{Value: e.Value + "+", Tags: tags(0, names...)}, tarn.ComputeStore
				})
				require.NoError(t, err)
				require.False(t, has)
				require.False(t, s.has("k"))
				require.True(t, found[0])
				if op == "f" {
					require.Equal(t, []bool{true, false}, found)
				}
			})
		}
	}
}

// A Compute adds a tag to an entry that is older than the last invalidation of that tag.
func TestComputeAddsTags(t *testing.T) {
	t.Parallel()
	p := alone(t)
	s := p.two()
	for _, tag := range []string{"new", "used", s.tag} {
		s.set("k", "a")
		s.set("other", "used")
		must(0, s.other.InvalidateTags(s.ctx, tag))
		s.server.Call("DEL", s.far+"r") // one of the partitions
		s.set("k", "a")
		must(0, s.other.InvalidateTags(s.ctx, tag))
		e, has, err := s.Compute(s.ctx, "k", func(e tarn.Entry[string], there bool) (tarn.Entry[string], tarn.ComputeOp) {
			return tarn.Entry[string]{Value: e.Value + "+", Tags: tags(0, "a", tag)}, tarn.ComputeStore
		})
		require.NoError(t, err)
		require.True(t, has)
		require.Equal(t, "v+", e.Value)
		require.True(t, s.has("k"))
		must(0, s.other.InvalidateTags(s.ctx, tag))
		require.False(t, s.has("k"))
	}
}

// unheard is a client that loses one answer, or is late with what was to be answered, and does something then.
type unheard struct {
	redistestClient
	op      string
	runs    bool
	between func()
	late    []redisstore.Command
}

func (c *unheard) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	if last := commands[len(commands)-1]; c.op == "" || len(last.Args) == 0 || last.Args[0] != c.op {
		c.redistestClient.Do(ctx, commands, replies)
		return
	}
	c.op = ""
	if c.runs {
		c.redistestClient.Do(ctx, commands, replies)
	} else {
		c.late = commands
	}
	c.between()
	for i := range replies {
		replies[i] = redisstore.Reply{Kind: redisstore.Failed, Err: errUnheard}
	}
}

func (c *unheard) arrive() {
	if c.late != nil {
		c.redistestClient.Do(context.Background(), c.late, make([]redisstore.Reply, len(c.late)))
	}
}

var errUnheard = errors.New("unheard")

// A Fill of which nothing was heard, and that Redis runs or does not, or later, leaves nothing that was invalidated.
func TestUnheardFill(t *testing.T) {
	t.Parallel()
	for _, runs := range []bool{false, true} {
		for _, ends := range []bool{false, true} {
			t.Run(fmt.Sprint("runs: ", runs, ", its context ends: ", ends), func(t *testing.T) {
				p := alone(t)
				s := p.two()
				for _, client := range []redistestClient{p.client, asCluster{p.client}} {
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					c := &unheard{redistestClient: client, op: "fill", runs: runs, between: func() {
						if ends {
							cancel()
						}
					}}
					s.set("k", s.tag)
					l := s.lease("k", true)
					require.ErrorIs(t, redisstore.New(c, s.config).Fill(ctx, []tarn.Fill[string, string]{
						{Key: "k", Token: l.Token, Store: true, Over: l.Entry.Tags},
					}), errUnheard)
					s.invalidate(s.tag)
					c.arrive()
					require.Equal(t, runs && !client.Sharded(), s.has("k"), "what was stored before an invalidation of tags that it has not")
				}
			})
		}
	}
}

// A script that is forgotten between the two round trips of an operation is no error.
func TestTagsWithoutAScript(t *testing.T) {
	t.Parallel()
	server := redistest.Start(t)
	c := &edited{redistestClient: scanning{server.Client()}, hashes: make(map[string]string)}
	s := newTagged(t, c, server)
	for _, op := range []string{"counter", "ensure", "set", "mark", "fill", "lease"} {
		s.set("k", "a")
		p := play{client: c}
		p.before(op, func() { server.Call("SCRIPT", "FLUSH") })
		require.NoError(t, s.Set(s.ctx, "k", tarn.Entry[string]{Tags: tags(0, "a")}), op)
		l := s.lease("l", false)
		s.fill("l", l.Token, tags(l.Stamp, "a"))
		s.invalidate("a")
		require.False(t, s.has("k"), op)
		require.False(t, s.has("l"), op)
		s.set("k", "a")
		require.True(t, s.has("k"), op)
	}
}

// alone returns a play whose scripts are as they are.
func alone(t *testing.T) *play {
	server := redistest.Start(t)
	c := &edited{redistestClient: scanning{server.Client()}, hashes: make(map[string]string)}
	cfg := redisstore.Config[string, string]{Namespace: unique(), Partitions: 1}
	return &play{redisstore.New(c, cfg), t.Context(), c, server, cfg, t}
}

// forget loses what is known of the tag, and makes its partition anew.
func (t two) forget() {
	t.server.Call("DEL", t.far+"r", t.record())
	for n := range 20 { // some of which lie there
		must(0, t.other.Delete(t.ctx, fmt.Sprint(n)))
	}
}

// A record that an older snapshot has brought back is none.
func TestTagOfAnotherGeneration(t *testing.T) {
	t.Parallel()
	s := alone(t).two()
	s.set("k", s.tag)
	record := s.server.Call("GET", s.record()).Text
	s.invalidate(s.tag)
	s.forget()
	s.server.Call("SET", s.record(), record)
	require.False(t, s.has("k"))
}

// backwards is a cluster whose first answer is that of the node with the counter.
type backwards struct {
	redistestClient
	between func()
}

func (backwards) Sharded() bool { return true }

func (c backwards) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	last := len(commands) - 1
	if last == 0 || len(commands[last].Args) == 0 || commands[last].Args[0] != "counter" {
		c.redistestClient.Do(ctx, commands, replies)
		return
	}
	c.redistestClient.Do(ctx, commands[last:], replies[last:])
	c.between()
	c.redistestClient.Do(ctx, commands[:last], replies[:last])
}

// On a cluster a record is not made by what the counter was before the partition was looked at.
func TestCounterOfAnotherNode(t *testing.T) {
	t.Parallel()
	p := alone(t)
	s := p.two()
	s.set("k", s.tag)
	slow := redisstore.New(backwards{p.client, sync.OnceFunc(func() {
		must(0, s.other.InvalidateTags(s.ctx, s.tag))
		s.forget()
	})}, s.config)
	require.NoError(t, slow.Set(s.ctx, "l", tarn.Entry[string]{Tags: tags(0, s.tag)}))
	require.False(t, s.has("k"))
	require.True(t, s.has("l"))
}
