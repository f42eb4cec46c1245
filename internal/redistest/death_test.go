package redistest_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/internal/redistest"
)

// TestServerDiesWithTest runs itself as a program that starts a server and ends in a way that no Cleanup survives.
func TestServerDiesWithTest(t *testing.T) {
	if how := os.Getenv("REDISTEST_DIE"); how != "" {
		fmt.Println("\n" + strconv.Itoa(redistest.Start(t).PID()))
		if how == "panic" {
			go panic("of another goroutine")
		}
		select {}
	}
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends a process with the one that started it")
	}
	for _, how := range []string{"kill", "panic"} {
		t.Run(how, func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTest$")
			cmd.Env = append(os.Environ(), "REDISTEST_DIE="+how, "TMPDIR="+t.TempDir())
			out, err := cmd.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, cmd.Start())
			defer func() { _ = cmd.Wait() }()
			defer func() { _ = cmd.Process.Kill() }()
			pid := 0
			for lines := bufio.NewScanner(out); pid == 0 && lines.Scan(); {
				pid, _ = strconv.Atoi(lines.Text())
			}
			require.NotZero(t, pid, "the program says which server it started")
			if how == "kill" {
				require.NoError(t, cmd.Process.Kill())
			}
			require.Eventually(t, func() bool { return ended(pid) }, patience, time.Millisecond)
		})
	}
}

// ended reports whether there is no process with the id, or only what is left of one until somebody waits for it.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) == syscall.ESRCH {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || len(stat) > 0 && zombie(string(stat))
}

func zombie(stat string) bool {
	var pid int
	var name, state string
	_, err := fmt.Sscan(stat, &pid, &name, &state)
	return err == nil && state == "Z"
}
