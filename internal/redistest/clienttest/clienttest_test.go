package clienttest_test

import (
	"testing"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/internal/redistest/clienttest"
)

// The clients that the root module's tests speak through have to pass too.

func TestSingle(t *testing.T) { t.Parallel(); clienttest.Single(t, dial) }

func TestCluster(t *testing.T) { t.Parallel(); clienttest.Cluster(t, dial) }

func TestTLS(t *testing.T) { t.Parallel(); clienttest.TLS(t, dial) }

func TestACL(t *testing.T) {
	t.Parallel()
	clienttest.ACL(t, dial, "~{users:* &tarn:{users} +@all -@dangerous")
}

func dial(t testing.TB, to clienttest.To) (clienttest.Client, error) {
	cfg := redistest.Config{Username: to.Username, Password: to.Password, TLS: to.TLS}
	if to.Cluster {
		c := redistest.DialCluster(to.Addrs, cfg)
		t.Cleanup(c.Close)
		return c, nil
	}
	c := redistest.Dial(to.Addrs[0], cfg)
	t.Cleanup(c.Close)
	return c, nil
}
