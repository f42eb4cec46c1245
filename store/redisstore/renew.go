package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
)

// maxRenewals is how often an operation is tried whose script a server does not know.
const maxRenewals = 4

var (
	errUnloaded = errors.New("redisstore: the server keeps forgetting its script")
	errReply    = errors.New("redisstore: Redis answered something else than was asked")
)

// renewals is who renews, so that of many callers that find a server restarted one does.
type renewals struct {
	turn chan struct{} // has one place
	done atomic.Uint64
}

func (r *renewals) count() uint64 { return r.done.Load() }

func isNoScript(err error) bool { return strings.HasPrefix(err.Error(), "NOSCRIPT") }

// one runs one command.
func (s *Store[K, V]) one(ctx context.Context, command Command) Reply {
	var replies [1]Reply
	s.run(ctx, []Command{command}, replies[:])
	return replies[0]
}

// run runs commands of the script. A server that does not know the script was started, restarted or flushed since it was
// used, or has taken another's place, and may have brought old values back: its partitions are renewed, and only then
// is it given the script, and the commands are sent again.
func (s *Store[K, V]) run(ctx context.Context, commands []Command, replies []Reply) {
	before := s.renewals.count()
	s.client.Do(ctx, commands, replies)
	for range maxRenewals {
		var again []int
		for i := range replies {
			if err := replies[i].Err; err != nil && isNoScript(err) {
				again = append(again, i)
			}
		}
		if len(again) == 0 {
			return
		}
		if err := s.renew(ctx, before); err != nil {
			for _, i := range again {
				replies[i] = Reply{Kind: Failed, Err: err}
			}
			return
		}
		before = s.renewals.count()
		s.repeat(ctx, commands, replies, again)
	}
}

// repeat sends some of the commands again.
func (s *Store[K, V]) repeat(ctx context.Context, commands []Command, replies []Reply, which []int) {
	some, answers := make([]Command, len(which)), make([]Reply, len(which))
	for i, n := range which {
		some[i] = commands[n]
	}
	s.client.Do(ctx, some, answers)
	for i, n := range which {
		replies[n] = answers[i]
	}
}

// renew gives the partitions whose servers do not know the script new generations, and the servers the script. before is
// how many renewals there were when the servers were asked; if there has been another since, that one will do.
func (s *Store[K, V]) renew(ctx context.Context, before uint64) error {
	select {
	case s.renewals.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-s.renewals.turn }()
	if s.renewals.count() != before {
		return nil
	}
	if err := s.renewAll(ctx); err != nil {
		return fmt.Errorf("redisstore: renewing the namespace: %w", err)
	}
	s.renewals.done.Add(1)
	return nil
}

func (s *Store[K, V]) renewAll(ctx context.Context) error {
	missing := make([]int, len(s.names.records))
	for p := range missing {
		missing[p] = p
	}
	missing, err := s.without(ctx, missing)
	if err != nil || len(missing) == 0 {
		return err
	}
	if err := s.renewPartitions(ctx, missing); err != nil {
		return err
	}
	// Each round loads the script on a server that does not have it.
	for len(missing) > 0 {
		load := s.callPartition("begin", missing[0])
		load.Words = []string{"EVAL", s.scripts.main, "1"}
		replies := make([]Reply, 1)
		if s.client.Do(ctx, []Command{load}, replies); answered(replies[0], "begun") != nil {
			return answered(replies[0], "begun")
		}
		if missing, err = s.without(ctx, missing[1:]); err != nil {
			return err
		}
	}
	return nil
}

// without returns those of the partitions whose servers do not know the script.
func (s *Store[K, V]) without(ctx context.Context, partitions []int) (missing []int, err error) {
	commands, replies := make([]Command, len(partitions)), make([]Reply, len(partitions))
	for i, p := range partitions {
		commands[i] = s.callPartition("begin", p)
	}
	s.client.Do(ctx, commands, replies)
	for i, r := range replies {
		switch {
		case r.Err != nil && isNoScript(r.Err):
			missing = append(missing, partitions[i])
		default:
			if err := answered(r, "begun"); err != nil {
				return nil, err
			}
		}
	}
	return missing, nil
}

// renewPartitions gives partitions new generations. Its messages have no publisher: they concern everybody's copies.
func (s *Store[K, V]) renewPartitions(ctx context.Context, partitions []int) error {
	commands, replies := make([]Command, len(partitions)), make([]Reply, len(partitions))
	nobody := string(make([]byte, 8))
	for i, p := range partitions {
		keys := []string{s.names.record(p)}
		if p == 0 {
			keys = append(keys, s.names.counter().redis)
		}
		commands[i] = Command{
			Words: []string{"EVAL", s.scripts.renew, strconv.Itoa(len(keys))}, Keys: keys,
			Args: []string{"renew", s.wire, newID(), s.who(nobody, p)},
		}
	}
	s.client.Do(ctx, commands, replies)
	for _, r := range replies {
		if err := answered(r, "renewed"); err != nil {
			return err
		}
	}
	s.counts.renewed.Add(uint64(len(partitions)))
	return nil
}
