package goredisclient_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/internal/redistest/clienttest"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
)

// user is the user of the package's documentation.
const user = "~{users:* &tarn:{users} +ping +get +mget +getrange +pttl +time +set +setrange +del +pexpire +persist " +
	"+eval +evalsha +publish +subscribe +scan"

func TestClient(t *testing.T) { clienttest.Run(t, dial, user) }

func TestRESP2(t *testing.T) {
	t.Parallel()
	clienttest.Single(t, func(t testing.TB, to clienttest.To) (clienttest.Client, error) {
		return wrap(t, to, &redis.UniversalOptions{Protocol: 2}), nil
	})
}

func dial(t testing.TB, to clienttest.To) (clienttest.Client, error) {
	return wrap(t, to, &redis.UniversalOptions{}), nil
}

func wrap(t testing.TB, to clienttest.To, o *redis.UniversalOptions) *goredisclient.Client {
	o.Addrs, o.MasterName, o.IsClusterMode = to.Addrs, to.MasterName, to.Cluster
	o.Username, o.Password, o.TLSConfig = to.Username, to.Password, to.TLS
	o.ContextTimeoutEnabled, o.DialerRetries = true, 1
	client := redis.NewUniversalClient(o)
	t.Cleanup(func() { client.Close() })
	return goredisclient.Wrap(client)
}

func TestWrapRefuses(t *testing.T) {
	addrs := []string{"127.0.0.1:1"}
	tests := []struct {
		client redis.UniversalClient
		says   string
	}{
		{nil, "client is nil"},
		{(*redis.Client)(nil), "client is nil"},
		{(*redis.ClusterClient)(nil), "client is nil"},
		{redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": addrs[0]}}), "redis.Ring moves keys"},
		{struct{ redis.UniversalClient }{}, "neither a *redis.Client nor a *redis.ClusterClient"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, ReadOnly: true}), "reads from replicas"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, RouteByLatency: true}), "reads from replicas"},
		{redis.NewClusterClient(&redis.ClusterOptions{Addrs: addrs, RouteRandomly: true}), "reads from replicas"},
		{redis.NewFailoverClusterClient(&redis.FailoverOptions{SentinelAddrs: addrs, RouteRandomly: true}), "reads from replicas"},
		{redis.NewFailoverClusterClient(&redis.FailoverOptions{SentinelAddrs: addrs, ReplicaOnly: true}), "reads from replicas"},
	}
	for _, tt := range tests {
		t.Run(tt.says, func(t *testing.T) {
			defer func() {
				said, _ := recover().(string)
				if !strings.HasPrefix(said, "goredisclient: Wrap: ") || !strings.Contains(said, tt.says) {
					t.Errorf("Wrap said %q", said)
				}
				if c, ok := tt.client.(interface{ Close() error }); ok && said != "" && !strings.Contains(said, "neither") &&
					!strings.Contains(said, "nil") {
					c.Close()
				}
			}()
			goredisclient.Wrap(tt.client)
		})
	}
}

// TestConnectedAnew checks that a subscription ends when go-redis has subscribed again on its own, which only shows in
// that the server confirms a second time.
func TestConnectedAnew(t *testing.T) {
	const confirmed, message = "*3\r\n$9\r\nsubscribe\r\n$2\r\nch\r\n:1\r\n", "*3\r\n$7\r\nmessage\r\n$2\r\nch\r\n$1\r\nm\r\n"
	addr := serve(t, func(w io.Writer, line string) {
		switch line {
		case "hello":
			io.WriteString(w, "-ERR unknown command\r\n")
		case "subscribe":
			io.WriteString(w, confirmed+message+confirmed+message)
		case "client":
			io.WriteString(w, "+OK\r\n")
		}
	})
	c := wrap(t, clienttest.To{Addrs: []string{addr}}, &redis.UniversalOptions{})
	var heard []string
	err := c.Subscribe(t.Context(), "ch", func() { heard = append(heard, "ready") }, func(m string) { heard = append(heard, m) })
	if err == nil || !strings.Contains(err.Error(), "connected anew") || !slices.Equal(heard, []string{"ready", "m"}) {
		t.Errorf("heard %q, then %v", heard, err)
	}
}

// serve listens, calls answer with each line that comes, and returns where.
func serve(t *testing.T, answer func(w io.Writer, line string)) (addr string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		wg.Wait()
	})
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				for lines := bufio.NewScanner(conn); lines.Scan(); {
					answer(conn, lines.Text())
				}
			})
		}
	})
	return l.Addr().String()
}

// TestSlowReceiver checks that a subscription does not take its own slowness for the server's. On a busy machine the
// server may be as slow as that, so one try of several will do.
func TestSlowReceiver(t *testing.T) {
	s := redistest.Start(t)
	c := wrap(t, clienttest.To{Addrs: []string{s.Addr()}}, &redis.UniversalOptions{})
	c.SetSilence(20 * time.Millisecond)
	var err error
	for range 20 {
		if err = receiveSlowly(t, s, c); errors.Is(err, context.Canceled) {
			return
		}
	}
	t.Error(err)
}

// receiveSlowly takes ten times the silence for the first of two messages, and ends with the second.
func receiveSlowly(t *testing.T, s *redistest.Server, c *goredisclient.Client) error {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	return c.Subscribe(ctx, "ch", func() { s.Call("PUBLISH", "ch", "1"); s.Call("PUBLISH", "ch", "2") }, func(string) {
		if n++; n == 2 {
			cancel()
			return
		}
		time.Sleep(200 * time.Millisecond)
	})
}

// TestSilence checks that a subscription ends when its server stands still, and not before. On a busy machine one that
// answers may take long to, so one try of several will do.
func TestSilence(t *testing.T) {
	s := redistest.Start(t)
	c := wrap(t, clienttest.To{Addrs: []string{s.Addr()}}, &redis.UniversalOptions{})
	c.SetSilence(50 * time.Millisecond)
	ended := make(chan error, 1)
	stands := func() error {
		ready := make(chan struct{})
		go func() { ended <- c.Subscribe(t.Context(), "ch", func() { close(ready) }, func(string) {}) }()
		select {
		case err := <-ended:
			return err
		case <-ready:
		}
		select {
		case err := <-ended:
			return err
		case <-time.After(400 * time.Millisecond):
			return nil
		}
	}
	err := stands()
	for tries := 1; err != nil && tries < 20; tries++ {
		err = stands()
	}
	if err != nil {
		t.Fatalf("a server that answers: %v", err)
	}
	s.Freeze()
	defer s.Thaw()
	select {
	case err := <-ended:
		if err == nil || errors.Is(err, t.Context().Err()) || !strings.Contains(err.Error(), "does not answer") {
			t.Errorf("a server that stands still: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("a server that stands still is not noticed")
	}
}

// TestScanIsTheCallers checks that what a scan of a cluster calls runs on the goroutine of who scans, so that its panics
// can be recovered there.
func TestScanIsTheCallers(t *testing.T) {
	t.Parallel()
	s := redistest.StartCluster(t)
	c, err := dial(t, clienttest.To{Addrs: s.Addrs(), Cluster: true})
	if err != nil {
		t.Fatal(err)
	}
	set := redisstore.Command{Words: []string{"SET"}, Keys: []string{"k"}, Args: []string{"v"}}
	c.Do(t.Context(), []redisstore.Command{set}, make([]redisstore.Reply, 1))
	defer func() {
		if recover() != "the caller's" {
			t.Error("the panic did not come here")
		}
	}()
	_ = c.(redisstore.KeyScanner).ScanKeys(t.Context(), "*", func([]string) error { panic("the caller's") })
}
