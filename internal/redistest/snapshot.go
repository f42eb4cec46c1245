package redistest

import (
	"os"
	"path/filepath"
)

// Snapshot returns all that the server has, as one file of its own format.
func (s *Server) Snapshot() []byte {
	s.t.Helper()
	s.Call("SAVE")
	file, err := os.ReadFile(s.snapshotFile())
	if err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	return file
}

// RestartFrom kills the server and starts it again at the same address with what it had at an earlier Snapshot, as an
// operator does who restores a backup. The server must not be AppendOnly.
func (s *Server) RestartFrom(snapshot []byte) {
	s.t.Helper()
	s.Kill()
	if err := os.WriteFile(s.snapshotFile(), snapshot, 0o600); err != nil {
		s.t.Fatalf("redistest: %v", err)
	}
	s.Restart()
}

func (s *Server) snapshotFile() string { return filepath.Join(s.dir, "dump.rdb") }
