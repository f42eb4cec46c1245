package redistest_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/redisstore"
)

func TestSentinels(t *testing.T) {
	t.Parallel()
	var pids []int
	t.Run("run", func(t *testing.T) {
		began := time.Now()
		s := redistest.StartSentinels(t, redistest.User("default on nopass ~* &* +@all"))
		t.Logf("started in %v", time.Since(began))
		require.Len(t, s.Addrs(), 3)
		for _, server := range s.Servers() {
			pids = append(pids, server.PID())
		}
		c := s.Client()
		require.Equal(t, "OK", text(t, c, "SET", "k", "v"))
		first := s.Master()
		require.Equal(t, s.Servers()[0], first)
		require.Equal(t, int64(2), first.Call("WAIT", "2", "10000").Int)

		began = time.Now()
		second := s.Failover()
		t.Logf("failed over in %v", time.Since(began))
		require.NotEqual(t, first, second)
		require.Equal(t, "v", text(t, c, "GET", "k"))
		require.Equal(t, "slave", first.Call("ROLE").Items[0].Text)
		// The client may still speak to the old master, which tells it so once.
		if _, err := c.Call(t.Context(), "SET", "k", "w"); err != nil {
			require.ErrorContains(t, err, "READONLY")
			require.Equal(t, "OK", text(t, c, "SET", "k", "w"))
		}
		require.Equal(t, int64(2), second.Call("WAIT", "2", "10000").Int)

		began = time.Now()
		second.Kill()
		third := s.AwaitMaster(second)
		t.Logf("replaced a master that was killed in %v", time.Since(began))
		require.Equal(t, "w", third.Call("GET", "k").Text)
		require.Eventually(t, func() bool {
			reply, err := c.Call(t.Context(), "GET", "k")
			return err == nil && reply.Text == "w"
		}, patience, time.Millisecond)
		second.Restart()
		s.Await()
		require.Equal(t, "slave", second.Call("ROLE").Items[0].Text)
	})
	for _, pid := range pids {
		gone(t, pid)
	}
}

func TestSlot(t *testing.T) {
	for key, want := range map[string]int{
		"123456789": 0x31c3, "foo": 12182, "{foo}bar": 12182, "a{foo}{bar}": 12182, "foo{}{bar}": 8363, "{": 4092, "": 0,
	} {
		require.Equal(t, want, redistest.Slot(key), "%q", key)
	}
}

func TestCluster(t *testing.T) {
	t.Parallel()
	var pids []int
	t.Run("run", func(t *testing.T) {
		began := time.Now()
		cluster := redistest.StartCluster(t)
		t.Logf("started in %v", time.Since(began))
		for _, node := range cluster.Nodes() {
			pids = append(pids, node.PID())
		}
		require.Len(t, cluster.Masters(), redistest.Shards)
		c := cluster.Client()
		require.True(t, c.Sharded())

		t.Run("a pipeline over all nodes", func(t *testing.T) { pipelines(t, c) })
		t.Run("a slot that moves", func(t *testing.T) { moves(t, cluster, c) })
		t.Run("slots are where Redis says", func(t *testing.T) {
			for _, key := range []string{"a", "{x}b", "{}b", "b{}{c}", "{", "}{a}"} {
				require.Equal(t, int64(redistest.Slot(key)), cluster.Nodes()[0].Call("CLUSTER", "KEYSLOT", key).Int, key)
			}
		})
		t.Run("a subscription hears of all nodes", func(t *testing.T) { hears(t, cluster, c) })
		t.Run("a failover", func(t *testing.T) {
			slot := redistest.Slot("f")
			require.Equal(t, "OK", text(t, c, "SET", "f", "v"))
			old := cluster.Owner(slot)
			began := time.Now()
			owner := cluster.Failover(slot)
			t.Logf("failed over in %v", time.Since(began))
			require.NotEqual(t, old, owner)
			for range 2 { // the second time the client knows the new owner, and not only by MOVED
				require.Equal(t, "v", text(t, c, "GET", "f"))
			}

			began = time.Now()
			owner.Kill()
			require.Equal(t, old, cluster.AwaitOwner(slot, owner))
			t.Logf("replaced a master that was killed in %v", time.Since(began))
			require.Eventually(t, func() bool {
				reply, err := c.Call(t.Context(), "GET", "f")
				return err == nil && reply.Text == "v"
			}, patience, time.Millisecond)
			owner.Restart()
			cluster.Await()
		})
	})
	for _, pid := range pids {
		gone(t, pid)
	}
}

func pipelines(t *testing.T, c *redistest.ClusterClient) {
	var commands []redisstore.Command
	for i := range 100 {
		key := []string{string(rune('a' + i))}
		commands = append(commands, redisstore.Command{Words: []string{"SET"}, Keys: key, Args: key},
			redisstore.Command{Words: []string{"GET"}, Keys: key})
	}
	replies := make([]redisstore.Reply, len(commands))
	c.Do(t.Context(), commands, replies)
	for i := 1; i < len(replies); i += 2 {
		require.Equal(t, commands[i].Keys[0], replies[i].Text)
	}
}

// moves sees the redirections with a client of one node, and none with one of the cluster.
func moves(t *testing.T, cluster *redistest.Cluster, c *redistest.ClusterClient) {
	slot := redistest.Slot("{move}")
	for _, key := range []string{"{move}1", "{move}2", "{move}3"} {
		require.Equal(t, "OK", text(t, c, "SET", key, "v"))
	}
	from := cluster.Owner(slot)
	others := slices.DeleteFunc(cluster.Masters(), func(s *redistest.Server) bool { return s == from })
	to, one := others[0], from.Client()

	m := cluster.BeginMove(slot, to)
	require.Equal(t, 2, m.Keys(2))
	asked := 0
	for _, key := range []string{"{move}1", "{move}2", "{move}3", "{move}absent"} {
		if _, err := one.Call(t.Context(), "GET", key); err != nil {
			require.ErrorContains(t, err, "ASK ")
			asked++
		}
	}
	require.Equal(t, 3, asked)
	for _, key := range []string{"{move}1", "{move}2", "{move}3"} {
		require.Equal(t, "v", text(t, c, "GET", key))
	}
	_, err := one.Call(t.Context(), "MGET", "{move}1", "{move}2", "{move}3")
	require.ErrorContains(t, err, "TRYAGAIN")
	require.Equal(t, 1, m.Keys(-1))
	m.End()
	require.Equal(t, to, cluster.Owner(slot))
	_, err = one.Call(t.Context(), "GET", "{move}1")
	require.ErrorContains(t, err, "MOVED ")
	require.Equal(t, "v", text(t, c, "GET", "{move}1"))

	cluster.MoveSlot(slot, from)
	require.Equal(t, from, cluster.Owner(slot))
	require.Equal(t, "v", text(t, c, "GET", "{move}3"))
}

func hears(t *testing.T, cluster *redistest.Cluster, c *redistest.ClusterClient) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	messages, ready, ended := make(chan string, 10), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- c.Subscribe(ctx, "news", func() { close(ready) }, func(m string) { messages <- m })
	}()
	within(t, "the subscription stands", ready)
	for _, master := range cluster.Masters() {
		master.Call("PUBLISH", "news", master.Addr())
		require.Equal(t, master.Addr(), within(t, "a message of a master", messages))
	}
	cancel()
	require.ErrorIs(t, within(t, "the end of the subscription", ended), context.Canceled)
}
