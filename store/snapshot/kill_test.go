package snapshot_test

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/internal/child"
	"github.com/tarncache/tarn/store/snapshot"
)

// TestKilled kills a process while it saves, over and over: the file has a snapshot that is whole, and none older than
// the last that was reported.
func TestKilled(t *testing.T) {
	dir := t.TempDir()
	path, log := filepath.Join(dir, "snapshot"), filepath.Join(dir, "log")
	t.Setenv("SNAPSHOT_PATH", path)
	left := 0
	for range 12 {
		require.NoError(t, os.RemoveAll(log))
		p, err := child.Program{Path: os.Args[0], Log: log}.Start()
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			text, _ := os.ReadFile(log)
			return p.Ended() || bytes.Contains(text, []byte("saved 0\n"))
		}, 20*time.Second, time.Millisecond, "%s", p.Last())
		time.Sleep(rand.N(30 * time.Millisecond)) // at any moment of a save
		p.End()

		text, err := os.ReadFile(log)
		require.NoError(t, err)
		lines := bytes.Fields(text)
		reported, err := strconv.Atoi(string(lines[len(lines)-1]))
		require.NoError(t, err, "%s", text)

		to := newStore[int, string](t, 10_000)
		res, err := snapshot.New(snapshot.Config[int, string]{}).LoadFile(t.Context(), path, to)
		require.NoError(t, err)
		require.Equal(t, snapshot.Result{Entries: 3000}, res)
		for _, e := range contents(t, to) {
			generation, err := strconv.Atoi(e.Value)
			require.NoError(t, err)
			require.GreaterOrEqual(t, generation, reported)
		}
		strays, err := filepath.Glob(path + ".*.tmp")
		require.NoError(t, err)
		left += len(strays)
		for _, stray := range strays { // a later save removes it once it is old enough
			old := time.Now().Add(-2 * time.Hour)
			require.NoError(t, os.Chtimes(stray, old, old))
		}
	}
	t.Logf("%d times a temporary file was left", left)
	to := newStore[int, string](t, 10)
	_, err := snapshot.New(snapshot.Config[int, string]{}).SaveFile(t.Context(), path, to)
	require.NoError(t, err)
	strays, err := filepath.Glob(path + ".*.tmp")
	require.NoError(t, err)
	require.Empty(t, strays)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode())
}
