package main

import (
	"strings"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn/internal/redistest"
)

func TestEveryWayPassesTheChecksWithRedis(t *testing.T) {
	server := redistest.Start(t)
	temporary := emptyTempDir(t)
	code, stdout, stderr := runProgram(t.Context(), ways, "-ops", "4000", "-keys", "400", "-redis", server.Addr())
	if code != 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	if !strings.Contains(stdout, "in the Redis at "+server.Addr()+", and copies in memory") {
		t.Errorf("it does not say where the cache is:\n%s", stdout)
	}
	client := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer client.Close()
	if n, err := client.DBSize(t.Context()).Result(); n != 0 || err != nil {
		t.Errorf("%d keys are left in Redis (%v)", n, err)
	}
	info, err := client.Info(t.Context(), "commandstats").Result()
	if err != nil || !strings.Contains(info, "cmdstat_evalsha") {
		t.Errorf("the strategies did not use Redis (%v):\n%s", err, info)
	}
	assertEmpty(t, temporary)
}

func TestARedisThatDoesNotAnswer(t *testing.T) {
	temporary := emptyTempDir(t)
	code, _, stderr := runProgram(t.Context(), ways, "-ops", "10", "-keys", "4", "-redis", "127.0.0.1:1")
	if code != 1 || !strings.Contains(stderr, "ask Redis: ") {
		t.Errorf("exit status %d\n%s", code, stderr)
	}
	assertEmpty(t, temporary)
}
