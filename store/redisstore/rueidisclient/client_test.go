package rueidisclient_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/redis/rueidis"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/internal/redistest/clienttest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/rueidisclient"
)

// user is the user of the package's documentation.
const user = "~{users:* &tarn:{users} +ping +get +mget +getrange +pttl +time +set +setrange +del +pexpire +persist " +
	"+eval +evalsha +publish +subscribe +scan +client|tracking"

func TestClient(t *testing.T) { clienttest.Run(t, dial, user) }

func TestRESP2(t *testing.T) {
	t.Parallel()
	clienttest.Single(t, func(t testing.TB, to clienttest.To) (clienttest.Client, error) {
		return wrap(t, to, rueidis.ClientOption{AlwaysRESP2: true, DisableCache: true})
	})
}

func dial(t testing.TB, to clienttest.To) (clienttest.Client, error) {
	return wrap(t, to, rueidis.ClientOption{})
}

func wrap(t testing.TB, to clienttest.To, o rueidis.ClientOption) (clienttest.Client, error) {
	o.InitAddress, o.Sentinel.MasterSet = to.Addrs, to.MasterName
	o.Username, o.Password, o.TLSConfig = to.Username, to.Password, to.TLS
	client, err := rueidis.NewClient(o)
	if err != nil {
		return nil, err
	}
	t.Cleanup(client.Close)
	return rueidisclient.Wrap(client), nil
}

func TestWrapRefuses(t *testing.T) {
	defer func() {
		if said, _ := recover().(string); said != "rueidisclient: Wrap: client is nil" {
			t.Errorf("Wrap said %q", said)
		}
	}()
	rueidisclient.Wrap(nil)
}

// TestNoConnectionLeft checks that a subscription that rueidis has no connection for ends with its context.
func TestNoConnectionLeft(t *testing.T) {
	t.Parallel()
	s := redistest.Start(t)
	client, err := rueidis.NewClient(rueidis.ClientOption{InitAddress: []string{s.Addr()}, BlockingPoolSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	_, release := client.Dedicate()
	ctx, cancel := context.WithCancel(t.Context())
	c := rueidisclient.Wrap(client)
	ready := make(chan struct{}, 1)
	subscribe := func() <-chan error {
		ended := make(chan error, 1)
		go func() { ended <- c.Subscribe(ctx, "ch", func() { ready <- struct{}{} }, func(string) {}) }()
		return ended
	}
	ended := subscribe()
	time.Sleep(50 * time.Millisecond) // it waits for the connection
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Subscribe returned %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("Subscribe waits, though its context has ended")
	}
	release()
	ctx, cancel = context.WithCancel(t.Context())
	ended = subscribe()
	select {
	case <-ready:
	case <-time.After(30 * time.Second):
		t.Error("the connection was not given back by who did not want it any more")
	}
	cancel()
	<-ended
}

// TestReadsStayAtMaster checks that a client that sends what is read to replicas does not do so with a Store's reads.
func TestReadsStayAtMaster(t *testing.T) {
	t.Parallel()
	s := redistest.StartCluster(t)
	c, err := wrap(t, clienttest.To{Addrs: s.Addrs()}, rueidis.ClientOption{
		SendToReplicas: func(cmd rueidis.Completed) bool { return cmd.IsReadOnly() },
	})
	if err != nil {
		t.Fatal(err)
	}
	get := redisstore.Command{Words: []string{"GET"}, Keys: []string{"k"}}
	for _, commands := range [][]redisstore.Command{{get}, {get, get}} {
		replies := make([]redisstore.Reply, len(commands))
		c.Do(t.Context(), commands, replies)
		for _, r := range replies {
			if r.Kind != redisstore.Nil {
				t.Fatal(r.Err)
			}
		}
	}
	reads := 0
	for _, node := range s.Nodes() {
		if !strings.Contains(node.Call("INFO", "commandstats").Text, "cmdstat_get:") {
			continue
		}
		reads++
		if !strings.Contains(node.Call("INFO", "replication").Text, "role:master") {
			t.Error("a replica was read")
		}
	}
	if reads != 1 {
		t.Errorf("%d nodes were read, want the master of the key", reads)
	}
}
