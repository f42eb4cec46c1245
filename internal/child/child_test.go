package child

import (
	"fmt"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestMain is also what the tests start: a program that ignores a signal, or ends by itself.
func TestMain(m *testing.M) {
	switch os.Getenv("CHILD_DOES") {
	case "":
		os.Exit(m.Run())
	case "last words":
		for i := range 30 {
			fmt.Println("line", i)
		}
		os.Exit(3)
	case "ignore":
		signal.Ignore(syscall.SIGQUIT)
	}
	fmt.Println("ready")
	time.Sleep(time.Hour)
}

func startSelf(t *testing.T, does string, end syscall.Signal) *Process {
	t.Helper()
	t.Setenv("CHILD_DOES", does)
	log := filepath.Join(t.TempDir(), "log")
	p, err := Program{Path: os.Args[0], Log: log, End: end}.Start()
	require.NoError(t, err)
	t.Cleanup(func() { _ = p.Signal(syscall.SIGKILL) })
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(log)
		return p.Ended() || strings.Contains(string(text), "ready")
	}, time.Minute, time.Millisecond, "the child says that it is ready")
	return p
}

func TestEnd(t *testing.T) {
	t.Cleanup(func() { patience = 5 * time.Second })
	tests := []struct {
		rule string
		does string
		end  syscall.Signal
		want string
	}{
		{"without a signal it is killed", "sleep", 0, "killed"},
		{"with one it ends by it", "sleep", syscall.SIGTERM, "terminated"},
		{"who ignores it is killed", "ignore", syscall.SIGQUIT, "killed"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			p := startSelf(t, tt.does, tt.end)
			require.False(t, p.Ended())
			require.NoError(t, syscall.Kill(p.PID, 0))
			patience = time.Hour
			if tt.does == "ignore" {
				patience = 50 * time.Millisecond
			}
			p.End()
			require.True(t, p.Ended())
			require.ErrorIs(t, syscall.Kill(p.PID, 0), syscall.ESRCH)
			require.Contains(t, p.Last(), tt.want)
			require.ErrorIs(t, p.Signal(syscall.SIGTERM), os.ErrProcessDone, "its id may be another's by now")
			p.End()
		})
	}
}

func TestLast(t *testing.T) {
	p := startSelf(t, "last words", 0)
	<-p.Done()
	require.True(t, strings.HasPrefix(p.Last(), "it ended: exit status 3\nline 10\n"), p.Last())
	require.True(t, strings.HasSuffix(p.Last(), "line 29"), p.Last())
}

func TestStartOfNothing(t *testing.T) {
	_, err := Program{Path: "/nothing", Log: filepath.Join(t.TempDir(), "log")}.Start()
	require.ErrorIs(t, err, os.ErrNotExist)
}

// A port is its server's also while that is away.
func TestFreePort(t *testing.T) {
	seen := make(map[int]bool)
	for range 600 {
		port, err := FreePort()
		require.NoError(t, err)
		require.True(t, 10_000 <= port && port < 32_000, port)
		require.False(t, seen[port], "port %d is given twice", port)
		seen[port] = true
	}
	free := 0
	for port := range seen {
		if l, err := net.Listen("tcp", Address(port)); err == nil {
			l.Close()
			free++
		}
	}
	require.Greater(t, free, 500, "other programs listen now and then")
}
