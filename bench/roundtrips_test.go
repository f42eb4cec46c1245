package bench

import (
	"context"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/strategies"
)

// roundTrips counts what a go-redis client sends: a command or a pipeline of them is one.
type roundTrips struct{ n atomic.Int64 }

func (*roundTrips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (r *roundTrips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmd)
	}
}

func (r *roundTrips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		r.n.Add(1)
		return next(ctx, cmds)
	}
}

// BenchmarkRoundTrips counts how often a caller waits for Redis, beyond the source: at a miss, which takes a lease and
// fills; at a write, which takes a hold and settles it; and at a hit. The source answers at once.
func BenchmarkRoundTrips(b *testing.B) {
	client := goRedis(b, redistest.Start(b).Addr())
	trips := new(roundTrips)
	client.AddHook(trips)
	source := tarn.LoadFunc(func(context.Context, string) (profile, error) { return profileOf(1), nil })
	sink := tarn.WriteFuncs(
		func(context.Context, string, profile) error { return nil },
		func(context.Context, string) error { return nil })
	reader := strategies.ReadThrough(inRedis(goredisclient.Wrap(client)), source)
	writer := strategies.WriteThrough(reader, sink)
	defer writer.Close(context.Background())
	ctx, next := b.Context(), 0
	for _, op := range []struct {
		name string
		do   func(key string) error
	}{
		{"miss", func(key string) error { _, err := reader.Get(ctx, key); return err }},
		{"hit", func(string) error { _, err := reader.Get(ctx, "0"); return err }},
		{"write", func(key string) error { return writer.Set(ctx, key, profileOf(1)) }},
	} {
		b.Run("op="+op.name, func(b *testing.B) {
			must(b, op.do("0")) // and what is only at the beginning
			before := trips.n.Load()
			b.ReportAllocs()
			for b.Loop() {
				next++
				if err := op.do(strconv.Itoa(next)); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(trips.n.Load()-before)/float64(b.N), "roundtrips/op")
		})
	}
}
