package redisstore_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/ttl"
)

var namespaces atomic.Int64

// unique returns a namespace that no other test has.
func unique() string { return fmt.Sprintf("test-%d", namespaces.Add(1)) }

// scanning is a client that can name keys.
type scanning struct{ *redistest.Client }

func (c scanning) ScanKeys(ctx context.Context, pattern string, f func(keys []string) error) error {
	for cursor := "0"; ; {
		r, err := c.Call(ctx, "SCAN", cursor, "MATCH", pattern, "COUNT", "1000")
		if err != nil {
			return err
		}
		var keys []string
		for _, item := range r.Items[1].Items {
			keys = append(keys, item.Text)
		}
		if len(keys) > 0 {
			if err := f(keys); err != nil {
				return err
			}
		}
		if cursor = r.Items[0].Text; cursor == "0" {
			return nil
		}
	}
}

// sharded is a client that says that it speaks to a cluster.
type sharded struct{ scanning }

func (sharded) Sharded() bool { return true }

func TestConformance(t *testing.T) {
	t.Parallel()
	const all = storetest.All &^ storetest.Closer &^ storetest.Hitter
	client := scanning{redistest.Start(t).Client()}
	for _, tt := range []struct {
		name   string
		client redisstore.Client
		config redisstore.Config[string, string]
	}{
		{"one server", client, redisstore.Config[string, string]{}},
		{"sharded, unpublished, few partitions, never forgotten", sharded{client}, redisstore.Config[string, string]{
			Unpublished: true, Partitions: 3, MaxLife: ttl.Forever,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
				tt.config.Namespace = unique()
				return redisstore.New(tt.client, tt.config)
			}, storetest.RealTime(200*time.Millisecond), storetest.Require(all))
		})
	}
}
