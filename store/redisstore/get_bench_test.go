package redisstore_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"encoding/json"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

type profile struct {
	ID    int64
	Name  string
	Bio   string
	Tags  []string
	Score float64
}

var someProfile = profile{42, "Ada Lovelace", "An English mathematician and writer, chiefly known for her work on the " +
	"Analytical Engine. She was the first to see that the machine had applications beyond pure calculation, and " +
	"to have published the first algorithm that it could carry out.", []string{"math", "engine"}, 3.25}

// BenchmarkGet compares a hit with a GET and the same decoding, by the client of the tests.
func BenchmarkGet(b *testing.B) {
	client := redistest.Start(b).Client()
	s := redisstore.New(client, redisstore.Config[int64, profile]{Namespace: "bench"})
	require.NoError(b, s.Set(b.Context(), 42, tarn.Entry[profile]{Value: someProfile}))
	text, err := json.Marshal(someProfile)
	require.NoError(b, err)
	_, err = client.Call(b.Context(), "SET", "raw", string(text))
	require.NoError(b, err)
	command := []redisstore.Command{{Words: []string{"GET"}, Keys: []string{"raw"}}}
	b.Run("raw", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				var r [1]redisstore.Reply
				client.Do(b.Context(), command, r[:])
				var p profile
				if json.Unmarshal([]byte(r[0].Text), &p) != nil || p.ID != 42 {
					b.Fail()
				}
			}
		})
	})
	b.Run("store", func(b *testing.B) {
		b.ReportAllocs()
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if e, _, err := s.Get(b.Context(), 42); err != nil || e.Value.ID != 42 {
					b.Fail()
				}
			}
		})
	})
}
