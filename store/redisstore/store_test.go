package redisstore_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/storetest"
)

var namespaces atomic.Int64

// unique returns a namespace that no other test has.
func unique() string { return fmt.Sprintf("test-%d", namespaces.Add(1)) }

func TestConformance(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
		return redisstore.New(client, redisstore.Config[string, string]{Namespace: unique()})
	}, storetest.RealTime(200*time.Millisecond))
}
