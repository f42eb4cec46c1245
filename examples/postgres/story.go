package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
)

// story is what the example shows.
type story struct {
	out   io.Writer
	a, b  *node
	redis *server // nil: it is somebody else's, and is left alone
}

// tell shows one thing after the other, and returns what was not as it should be.
func (s *story) tell(ctx context.Context) error {
	if err := s.untilTrusted(ctx); err != nil {
		return err
	}
	for _, scene := range []struct {
		title string
		show  func(context.Context) error
	}{
		{"Two nodes share what they have read", s.shareReads},
		{"A write on A is seen on B", s.seeWrites},
		{"A thousand callers ask for what nobody has", s.askAtOnce},
		{"Redis is killed", s.killRedis},
	} {
		fmt.Fprintf(s.out, "\n%s\n", scene.title)
		if err := scene.show(ctx); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
	}
	fmt.Fprintln(s.out)
	return nil
}

func (s *story) say(format string, args ...any) { fmt.Fprintf(s.out, "  "+format+"\n", args...) }

// queries returns how many both nodes have sent to read.
func (s *story) queries() int64 { return s.a.queries.Load() + s.b.queries.Load() }

// untilTrusted waits until both nodes listen to what Redis tells of changes. Until then they answer nothing from
// their own memory.
func (s *story) untilTrusted(ctx context.Context) error {
	timeout := time.After(time.Minute)
	for !s.a.store.Trusted() || !s.b.store.Trusted() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-timeout:
			return errors.New("no word of changes from Redis: may this user subscribe?")
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

func (s *story) shareReads(ctx context.Context) error {
	for _, read := range []struct {
		node  *node
		times int
		says  string
		want  int64 // queries
	}{
		{s.a, 1, "Node A asks for a product for the first time", 1},
		{s.b, 1, "Node B asks for it: Redis has it", 0},
		{s.b, 1000, "Node B asks again, a thousand times: its memory has it", 0},
	} {
		before, start := s.queries(), time.Now()
		for range read.times {
			if _, err := read.node.products.Get(ctx, 1); err != nil {
				return err
			}
		}
		took, queries := time.Since(start)/time.Duration(read.times), s.queries()-before
		s.say("%s: %s, %s.", read.says, counted(queries, "query"), brief(took))
		if queries != read.want {
			return fmt.Errorf("there should have been %s", counted(read.want, "query"))
		}
	}
	return nil
}

// seenWithin is the bound that package redisstore states, which is two seconds, and something for a busy machine.
const seenWithin = 10 * time.Second

func (s *story) seeWrites(ctx context.Context) error {
	const writes = 200
	before := s.queries()
	var delays []time.Duration
	product, err := s.b.products.Get(ctx, 1)
	for range writes {
		if err != nil {
			return err
		}
		product.Cents, product.Version = product.Cents+1, product.Version+1
		if err = s.a.products.Set(ctx, product.ID, product); err != nil {
			return err
		}
		written := time.Now()
		for seen := (Product{}); err == nil && seen.Version < product.Version; {
			if time.Since(written) > seenWithin {
				return fmt.Errorf("node B has not answered with it after %s", brief(seenWithin))
			}
			seen, err = s.b.products.Get(ctx, product.ID)
		}
		delays = append(delays, time.Since(written))
	}
	if err != nil {
		return err
	}
	slices.Sort(delays)
	s.say("Node A sets %d new prices, one after the other, while node B keeps the product in its memory.", writes)
	s.say("Node B answers with the new price %s after the write returned (the median; 99 of 100 times within %s).",
		brief(delays[writes/2]), brief(delays[writes*99/100]))
	s.say("For that it asks Redis: %s.", counted(s.queries()-before, "query"))
	return nil
}

func (s *story) askAtOnce(ctx context.Context) error {
	const callers, id, slow = 1000, 2, 50 * time.Millisecond
	before := s.queries()
	for _, n := range []*node{s.a, s.b} {
		n.slower.Store(int64(slow))
		defer n.slower.Store(0)
	}
	var all errgroup.Group
	ready := make(chan struct{})
	for i := range callers {
		n := s.a
		if i%2 == 1 {
			n = s.b
		}
		all.Go(func() error {
			<-ready
			product, err := n.products.Get(ctx, id)
			if err == nil && product.ID != id {
				err = errors.New("the answer is another product")
			}
			return err
		})
	}
	start := time.Now()
	close(ready)
	if err := all.Wait(); err != nil {
		return err
	}
	took, queries := time.Since(start), s.queries()-before
	s.say("Half of them ask node A, half of them node B, all at once, and a query takes %s.", brief(slow))
	s.say("All of them together need %s, and have the answer after %s.", counted(queries, "query"), brief(took))
	if queries != 1 {
		return errors.New("there should have been 1 query")
	}
	return nil
}

// killRedis has both nodes read and write all the time, kills Redis under them, and starts an empty one in its place.
func (s *story) killRedis(ctx context.Context) error {
	if s.redis == nil {
		s.say("Not this one, which was there before. Without -redis the example starts one of its own, and kills it.")
		return nil
	}
	const before, without = 500 * time.Millisecond, 2 * time.Second
	l := startLoad(s.a, s.b)
	defer func() { _ = l.stop() }() // also after an error
	if err := pause(ctx, before); err != nil {
		return err
	}
	calm := l.done()
	s.say("Both nodes read and write all the time: %s, %s.",
		counted(calm.reads, "read"), counted(calm.writes, "write"))

	s.redis.kill()
	queries := s.queries()
	if err := pause(ctx, without); err != nil {
		return err
	}
	away := l.done().since(calm)
	s.say("Redis is killed, and stays away for %s: %s and %s.", brief(without),
		counted(away.reads, "read"), counted(away.writes, "write"))
	s.say("Nobody tells the nodes of each other's writes now, so they drop their copies and ask the database: %s.",
		counted(s.queries()-queries, "query"))
	s.say("Those who write are told that Redis could not be told (tarn.ErrMaybeStale): %s.",
		counted(away.maybeStale, "time"))

	if err := s.redis.start(ctx); err != nil {
		return err
	}
	back := time.Now()
	if err := s.untilTrusted(ctx); err != nil {
		return err
	}
	s.say("An empty Redis is started in its place: %s later both nodes answer from memory again.", brief(time.Since(back)))
	if err := l.stop(); err != nil {
		return err
	}
	s.say("No read and no write failed in all that time.")
	old, err := l.older(ctx)
	if err != nil {
		return err
	}
	s.say("Of %s on both nodes, %d are older than the last write.", counted(products, "product"), old)
	if old > 0 {
		return errors.New("there should be none")
	}
	return nil
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
