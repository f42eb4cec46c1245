package redistest_test

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/redistest"
)

// TestWithoutRedis runs itself where no redis-server is to be found.
func TestWithoutRedis(t *testing.T) {
	if os.Getenv("REDISTEST_NEED") != "" {
		redistest.Start(t)
		return
	}
	for ci, want := range map[string]string{"": "--- SKIP", "true": "--- FAIL"} {
		cmd := exec.Command(os.Args[0], "-test.v", "-test.run=^TestWithoutRedis$")
		cmd.Env = []string{"REDISTEST_NEED=yes", "PATH=", "CI=" + ci, "TMPDIR=" + t.TempDir()}
		said, _ := cmd.CombinedOutput()
		require.Contains(t, string(said), want, "CI=%q", ci)
		require.Contains(t, string(said), "redis-server is not on this machine; make deps installs it")
	}
}
