package pgtest_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/pgtest"
)

func TestStart(t *testing.T) {
	var pid int
	t.Run("answers", func(t *testing.T) {
		began := time.Now()
		s := pgtest.Start(t, "max_connections = 77")
		t.Logf("started in %v", time.Since(began))
		pid = s.PID()
		require.NoError(t, syscall.Kill(pid, 0))
		require.Equal(t, "2", s.Query("SELECT 1 + 1"))
		require.Equal(t, "77", s.Query("SHOW max_connections"), "what a test asks for counts")
		require.Equal(t, "off", s.Query("SHOW fsync"))
		require.Equal(t, "127.0.0.1", s.Query("SHOW listen_addresses"))
		s.Query("CREATE TABLE seen (version bigint PRIMARY KEY)")
		require.True(t, strings.HasSuffix(s.DSN(), "@"+s.Addr()+"/postgres?sslmode=disable"), s.DSN())

		other := pgtest.Start(t)
		require.NotEqual(t, s.Addr(), other.Addr())
		require.Equal(t, "0", other.Query("SELECT count(*) FROM pg_tables WHERE tablename = 'seen'"), "each has data of its own")
	})
	require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "the server is left over")
}
