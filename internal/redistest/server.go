package redistest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/tarncache/tarn/internal/child"
	"github.com/tarncache/tarn/store/redisstore"
)

// Server is one redis-server. It lives until the test ends, or until it is killed. Its methods are for the goroutine
// of a test, but for Addr and PID.
type Server struct {
	t      testing.TB
	binary string
	dir    string
	port   int
	mode   []string // what comes after the configuration's name in the command line
	lines  []string // of its configuration, but for the port and the folder
	admin  *Client
	tls    *secured // nil: no TLS

	mu  sync.Mutex // protects run
	run *child.Process
}

// The user by whom a Server is looked after, whatever the test does to the others.
const (
	adminName     = "redistest"
	adminPassword = "for-tests-only"
)

// patience is how long a server may take for anything that does not wait by itself: it may have to share a processor
// with many.
const patience = 30 * time.Second

// Option changes how Start starts a server.
type Option func(*Server)

// Line adds lines to the server's configuration, as in "maxmemory 3mb". They count more than the ones it has anyway.
func Line(lines ...string) Option {
	return func(s *Server) { s.lines = append(s.lines, lines...) }
}

// AppendOnly makes the server write every command to its append-only file and the file to the disk before it answers:
// after Kill and Restart all of it is back.
func AppendOnly() Option { return Line("appendonly yes", "appendfsync always") }

// User adds ACL users in the words of Redis, as in "app on >secret ~* &* +@all" or "default off".
func User(users ...string) Option {
	return func(s *Server) {
		for _, u := range users {
			s.lines = append(s.lines, "user "+u)
		}
	}
}

// Start starts a server that keeps everything in memory, and waits until it answers.
func Start(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := newServer(t, options...)
	s.launch()
	return s
}

// need returns the path of redis-server. Without it the test is skipped, or fails where nothing may be left out.
func need(t testing.TB) string {
	t.Helper()
	path, err := exec.LookPath("redis-server")
	switch {
	case err == nil:
		return path
	case os.Getenv("CI") == "true":
		t.Fatal("redis-server is not on this machine; make deps installs it")
	default:
		t.Skip("redis-server is not on this machine; make deps installs it")
	}
	return ""
}

func freePort(t testing.TB) int {
	t.Helper()
	port, err := child.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return port
}

// newServer prepares a server: its folder, and that it ends with the test.
func newServer(t testing.TB, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, binary: need(t), dir: t.TempDir(), lines: []string{
		"bind 127.0.0.1",
		"protected-mode no",
		"daemonize no",
		`save ""`,
		"appendonly no",
		"databases 1",
		"hz 100",
		"enable-debug-command yes",
		"repl-diskless-sync-delay 0",
		"repl-ping-replica-period 1",
		"masteruser " + adminName,
		"masterauth " + adminPassword,
		"user " + adminName + " on >" + adminPassword + " ~* &* +@all",
	}}
	for _, o := range options {
		o(s)
	}
	t.Cleanup(s.end)
	return s
}

// launch finds the server a port and starts it. Another program may be quicker to the port; then it takes another.
func (s *Server) launch() {
	s.t.Helper()
	var err error
	for range 5 {
		s.findPorts()
		if err = s.begin(); err == nil {
			return
		}
	}
	s.t.Fatal(err)
}

func (s *Server) findPorts() {
	s.t.Helper()
	s.port = freePort(s.t)
	if s.tls != nil {
		s.tls.port = freePort(s.t)
	}
}

// begin starts the process and waits until it answers.
func (s *Server) begin() error {
	lines := append([]string{"port " + strconv.Itoa(s.port), "dir " + strconv.Quote(s.dir)}, s.lines...)
	if s.tls != nil {
		lines = append(lines, s.tls.lines()...)
	}
	file := filepath.Join(s.dir, "redis.conf")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("redistest: %w", err)
	}
	run, err := child.Program{
		Path: s.binary,
		Args: append([]string{file}, s.mode...),
		Log:  filepath.Join(s.dir, "redis.log"),
	}.Start()
	if err != nil {
		return fmt.Errorf("redistest: redis-server: %w", err)
	}
	s.mu.Lock()
	s.run = run
	s.mu.Unlock()
	if s.admin != nil {
		s.admin.Close()
	}
	s.admin = Dial(s.Addr(), Config{Username: adminName, Password: adminPassword, Timeout: patience})
	return s.await()
}

// await returns once the server answers that it is the process that was started, and has loaded what it has.
func (s *Server) await() error {
	id := "process_id:" + strconv.Itoa(s.PID()) + "\r\n"
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		reply, err := s.admin.Call(ctx, "INFO")
		if err == nil && strings.Contains(reply.Text, id) && !strings.Contains(reply.Text, "\r\nloading:1") {
			return nil
		}
		select {
		case <-s.run.Done():
			return fmt.Errorf("redistest: redis-server does not run: %s", s.run.Last())
		case <-ctx.Done():
			last := s.run.Last()
			s.run.End()
			return fmt.Errorf("redistest: redis-server does not answer (%v): %s", err, last)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// end ends the server without a trace.
func (s *Server) end() {
	if s.admin != nil {
		s.admin.Close()
	}
	if s.run != nil {
		s.run.End()
	}
}

// Addr is the address at which the server listens, without TLS.
func (s *Server) Addr() string { return child.Address(s.port) }

// PID is the id of the server's process.
func (s *Server) PID() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run.PID
}

// Client returns a new client of the server, which is closed when the test ends.
func (s *Server) Client() *Client { return s.ClientAs(Config{}) }

// ClientAs is Client with a configuration: a user, another version of the protocol. With Config.TLS it is a client of
// TLSAddr.
func (s *Server) ClientAs(cfg Config) *Client {
	addr := s.Addr()
	if cfg.TLS != nil {
		addr = s.TLSAddr()
	}
	c := Dial(addr, cfg)
	s.t.Cleanup(c.Close)
	return c
}

// Call sends one command as a user who may do everything, and fails the test if the reply is an error.
func (s *Server) Call(command ...string) redisstore.Reply {
	s.t.Helper()
	reply, err := s.admin.Call(context.Background(), command...)
	if err != nil {
		s.t.Fatalf("redistest: %s: %v", command[0], err)
	}
	return reply
}

// Kill ends the server with SIGKILL, and returns when it is gone.
func (s *Server) Kill() { s.run.End() }

// Restart starts the server again at the same address, with what its folder has, and waits until it answers. A server
// that still runs is killed first.
func (s *Server) Restart() {
	s.t.Helper()
	s.Kill()
	if err := s.begin(); err != nil {
		s.t.Fatal(err)
	}
}

// look sends a command to a server that may be gone or about to go.
func (s *Server) look(command ...string) redisstore.Reply {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	reply, err := s.admin.Call(ctx, command...)
	if err != nil {
		return redisstore.Reply{}
	}
	return reply
}

// says reports whether the server's INFO has the line.
func (s *Server) says(line string) bool {
	return strings.Contains(s.look("INFO").Text, "\r\n"+line+"\r\n")
}

// inStep reports whether the server is a replica that has all that its master has, or a master whose replicas get what
// is written from now on; those that have just loaded its snapshot do not, until they say for the first time where
// they are.
func (s *Server) inStep() bool {
	info := s.look("INFO", "replication").Text
	if strings.Contains(info, "role:slave\r\n") {
		return strings.Contains(info, "master_link_status:up\r\n")
	}
	replicas := strings.Count(info, ",state=")
	return strings.Contains(info, "role:master\r\n") && strings.Count(info, ",state=online,") == replicas
}

// eventually fails the test if what is not so within a minute, and says what the servers say.
func eventually(t testing.TB, what string, servers []*Server, so func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * patience); !so(); time.Sleep(5 * time.Millisecond) {
		if time.Now().Before(end) {
			continue
		}
		for _, s := range servers {
			t.Logf("%s: %s", s.Addr(), s.run.Last())
		}
		t.Fatalf("redistest: not within %v: %s", 2*patience, what)
	}
}

// Freeze makes the server stand still without closing a connection, as a machine does that swaps or is cut off. Thaw
// lets it go on.
func (s *Server) Freeze() { s.signal(syscall.SIGSTOP) }

// Thaw is the end of Freeze.
func (s *Server) Thaw() { s.signal(syscall.SIGCONT) }

func (s *Server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.run.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}
