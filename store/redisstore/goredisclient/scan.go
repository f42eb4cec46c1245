package goredisclient

import (
	"context"
	"fmt"
	"sync"

	"github.com/redis/go-redis/v9"
)

// scanCount is how many keys a node looks at before it answers.
const scanCount = 1000

// ScanKeys implements [redisstore.KeyScanner]. It scans the masters of a cluster one after the other, and calls f on the
// goroutine of its caller, whose panics f may have.
func (c *Client) ScanKeys(ctx context.Context, pattern string, f func(keys []string) error) error {
	cluster, ok := c.client.(*redis.ClusterClient)
	if !ok {
		return scanNode(ctx, c.client, pattern, f)
	}
	nodes, err := masters(ctx, cluster)
	if err != nil {
		return fmt.Errorf("goredisclient: scan: %w", err)
	}
	for _, node := range nodes {
		if err := scanNode(ctx, node, pattern, f); err != nil {
			return err
		}
	}
	return nil
}

func masters(ctx context.Context, cluster *redis.ClusterClient) (nodes []*redis.Client, err error) {
	var mu sync.Mutex // protects nodes: go-redis calls for all at once
	err = cluster.ForEachMaster(ctx, func(_ context.Context, node *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		nodes = append(nodes, node)
		return nil
	})
	return nodes, err
}

func scanNode(ctx context.Context, node redis.Cmdable, pattern string, f func(keys []string) error) error {
	for cursor := uint64(0); ; {
		keys, next, err := node.Scan(ctx, cursor, pattern, scanCount).Result()
		if err != nil {
			return fmt.Errorf("goredisclient: scan: %w", err)
		}
		if len(keys) > 0 {
			if err := f(keys); err != nil {
				return err
			}
		}
		if cursor = next; cursor == 0 {
			return nil
		}
	}
}
