// Package pgtest starts PostgreSQL for tests: a server of its own on a free port of the loopback interface, with a fresh
// folder, which ends with the test. It writes nothing to the disk for good, so it is quick.
//
// Where there is no PostgreSQL a test that starts it is skipped; with CI=true it fails.
package pgtest

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/child"
)

// Server is one PostgreSQL server. It lives until the test ends.
type Server struct {
	t    testing.TB
	bin  string
	dir  string // the data
	port int
	as   *syscall.Credential
	run  *child.Process
}

// user is who the server's superuser is. There is no password: the server trusts whoever is on this machine.
const user = "tarn"

// Option is a line of postgresql.conf, as in "max_connections = 200".
type Option string

// Start starts a server and waits until it accepts connections. It takes about a second.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, bin: need(t)}
	var err error
	if s.as, err = serverOwner(); err != nil {
		t.Fatal(err)
	}
	if s.dir, err = tempDir(s.as); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(filepath.Dir(s.dir)) })
	if err := s.initialize(options); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.run != nil {
			s.run.End()
		}
	})
	for range 5 {
		if s.port, err = child.FreePort(); err != nil {
			break
		}
		if err = s.begin(); err == nil {
			return s
		}
	}
	t.Fatal(err)
	return nil
}

// initialize makes the data folder.
func (s *Server) initialize(options []Option) error {
	cmd := exec.Command(filepath.Join(s.bin, "initdb"),
		"--pgdata", s.dir, "--username", user, "--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync")
	cmd.Dir = filepath.Dir(s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.as}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, said)
	}
	config, err := os.OpenFile(filepath.Join(s.dir, "postgresql.conf"), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer config.Close()
	lines := []Option{
		"listen_addresses = '127.0.0.1'", "unix_socket_directories = ''",
		"fsync = off", "synchronous_commit = off", "full_page_writes = off",
		"shared_buffers = 16MB", "max_connections = 200", "autovacuum = off", "timezone = 'UTC'",
	}
	for _, line := range append(lines, options...) {
		if _, err := fmt.Fprintln(config, line); err != nil {
			return fmt.Errorf("pgtest: %w", err)
		}
	}
	return nil
}

// begin starts the process and waits until it accepts connections.
func (s *Server) begin() error {
	run, err := child.Program{
		Path:  filepath.Join(s.bin, "postgres"),
		Args:  []string{"-D", s.dir, "-p", strconv.Itoa(s.port)},
		Dir:   s.dir,
		Log:   filepath.Join(filepath.Dir(s.dir), "postgres.log"),
		Owner: s.as,
		End:   syscall.SIGQUIT, // at once, with all its children
	}.Start()
	if err != nil {
		return fmt.Errorf("pgtest: postgres: %w", err)
	}
	s.run = run
	timeout := time.After(30 * time.Second)
	for !s.ready() {
		select {
		case <-run.Done():
			return fmt.Errorf("pgtest: postgres does not run: %s", run.Last())
		case <-timeout:
			last := run.Last()
			run.End()
			return fmt.Errorf("pgtest: postgres does not accept connections: %s", last)
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// ready reports whether the server says, in the file by which pg_ctl knows it too, that it accepts connections.
func (s *Server) ready() bool {
	text, err := os.ReadFile(filepath.Join(s.dir, "postmaster.pid"))
	lines := strings.Split(string(text), "\n")
	return err == nil && len(lines) > 7 && lines[0] == strconv.Itoa(s.run.PID) && strings.TrimSpace(lines[7]) == "ready"
}

// DSN is how a driver connects to the server's database, as a URL.
func (s *Server) DSN() string {
	return fmt.Sprintf("postgres://%s@127.0.0.1:%d/postgres?sslmode=disable", user, s.port)
}

// Addr is the address at which the server listens.
func (s *Server) Addr() string { return child.Address(s.port) }

// PID is the id of the server's first process.
func (s *Server) PID() int { return s.run.PID }

// Query runs SQL with psql, and returns what it says, as a test of the server that needs no driver.
func (s *Server) Query(sql string) string {
	s.t.Helper()
	cmd := exec.Command(filepath.Join(s.bin, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", s.DSN(), "-c", sql)
	var failure bytes.Buffer
	cmd.Stderr = &failure
	said, err := cmd.Output()
	if err != nil {
		s.t.Fatalf("pgtest: psql: %v\n%s", err, &failure)
	}
	return strings.TrimSpace(string(said))
}

// need returns the folder of PostgreSQL's programs. Without it the test is skipped, or fails where nothing may be left
// out.
func need(t testing.TB) string {
	t.Helper()
	if bin := find(); bin != "" {
		return bin
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("PostgreSQL is not on this machine; make deps installs it")
	}
	t.Skip("PostgreSQL is not on this machine; make deps installs it")
	return ""
}

// find looks where Debian and Homebrew keep the programs, of which only some are in the PATH, and in the PATH.
func find() string {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		// psql and postgres are beside what the name in the PATH stands for.
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(initdb)
		}
	}
	for _, pattern := range []string{
		"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
	} {
		bins, _ := filepath.Glob(pattern + "/initdb")
		if len(bins) > 0 {
			return filepath.Dir(bins[len(bins)-1])
		}
	}
	return ""
}
