package goredisclient

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys a node looks at before it answers.
const scanCount = 1000

// ScanKeys implements [redisstore.KeyScanner]. It scans all masters of a cluster at once.
func (c *Client) ScanKeys(ctx context.Context, pattern string, f func(keys []string) error) error {
	s := scan{pattern: pattern, f: f}
	cluster, ok := c.client.(*redis.ClusterClient)
	if !ok {
		return s.node(ctx, c.client)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	err := cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		err := s.node(ctx, node)
		if err != nil {
			cancel() // the other nodes need not go on; only the first error is returned
		}
		return err
	})
	if s.failed != nil {
		return s.failed
	}
	return err
}

type scan struct {
	pattern string

	mu     sync.Mutex // protects f, which is called by one node at a time, and failed
	f      func(keys []string) error
	failed error // of f; it is not called again
}

func (s *scan) node(ctx context.Context, client redis.Cmdable) error {
	for cursor := uint64(0); ; {
		keys, next, err := client.Scan(ctx, cursor, s.pattern, scanCount).Result()
		if err != nil {
			return fmt.Errorf("goredisclient: scan: %w", err)
		}
		if err := s.tell(keys); err != nil {
			return err
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}

func (s *scan) tell(keys []string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failed == nil && len(keys) > 0 {
		s.failed = s.f(keys)
	}
	return s.failed
}
