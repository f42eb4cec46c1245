package rueidisclient

import (
	"context"
	"fmt"

	"github.com/redis/rueidis"
)

// scanCount is how many keys a node looks at before it answers.
const scanCount = "1000"

// ScanKeys implements [redisstore.KeyScanner]. Of several nodes it asks each for its ROLE, and scans the masters one
// after the other.
func (c *Client) ScanKeys(ctx context.Context, pattern string, f func(keys []string) error) error {
	nodes := c.client.Nodes()
	for _, node := range nodes {
		if len(nodes) > 1 {
			role, err := node.Do(ctx, node.B().Role().Build()).ToArray()
			if err != nil {
				return fmt.Errorf("rueidisclient: scan: role: %w", err)
			}
			if name, _ := role[0].ToString(); name != "master" {
				continue
			}
		}
		if err := scanNode(ctx, node, pattern, f); err != nil {
			return err
		}
	}
	return nil
}

func scanNode(ctx context.Context, node rueidis.Client, pattern string, f func(keys []string) error) error {
	for cursor := "0"; ; {
		scan := node.B().Arbitrary("SCAN").Args(cursor, "MATCH", pattern, "COUNT", scanCount).Build()
		answer, err := node.Do(ctx, scan).AsScanEntry()
		if err != nil {
			return fmt.Errorf("rueidisclient: scan: %w", err)
		}
		if len(answer.Elements) > 0 {
			if err := f(answer.Elements); err != nil {
				return err
			}
		}
		if answer.Cursor == 0 {
			return nil
		}
		cursor = fmt.Sprint(answer.Cursor)
	}
}
