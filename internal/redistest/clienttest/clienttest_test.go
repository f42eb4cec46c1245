package clienttest_test

import (
	"testing"

	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/internal/redistest/clienttest"
)

// TestRun checks the suite by the client that the tests of the root module use.
func TestRun(t *testing.T) {
	clienttest.Run(t, func(t testing.TB, to clienttest.To) (clienttest.Client, error) {
		cfg := redistest.Config{Username: to.Username, Password: to.Password, TLS: to.TLS}
		if to.Cluster {
			c := redistest.DialCluster(to.Addrs, cfg)
			t.Cleanup(c.Close)
			return c, nil
		}
		c := redistest.Dial(to.Addrs[0], cfg)
		t.Cleanup(c.Close)
		return c, nil
	})
}
