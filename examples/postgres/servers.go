package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// server is a PostgreSQL or a Redis that the example has started for itself, on a free port of the loopback interface.
type server struct {
	name    string
	program string
	args    []string
	owner   *owner // who it runs as; nil: who runs the example
	quits   bool   // it is told to quit, since it has children to end; otherwise it is killed
	addr    string
	ready   func() bool

	running *process // nil: it is not
}

// startTimeout is how long a server may take until it answers.
const startTimeout = 30 * time.Second

// start starts the server and waits until it answers.
func (s *server) start(ctx context.Context) error {
	p, err := startProcess(s)
	if err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.running = p
	timeout := time.After(startTimeout)
	for !s.ready() {
		select {
		case <-p.ended:
			s.running = nil
			return fmt.Errorf("%s does not run: %s", s.name, p.said.String())
		case <-timeout:
			s.kill()
			return fmt.Errorf("%s does not answer: %s", s.name, p.said.String())
		case <-ctx.Done():
			s.kill()
			return ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
	}
	return nil
}

// kill ends the server at once, and returns when it is gone. One that does not run stays so.
func (s *server) kill() {
	if s != nil && s.running != nil {
		s.running.kill()
		s.running = nil
	}
}

// startRedis starts a Redis that keeps nothing on the disk.
func startRedis(ctx context.Context, dir string) (*server, error) {
	program, err := exec.LookPath("redis-server")
	if err != nil {
		return nil, errors.New("there is no Redis: install redis-server (Debian: apt-get install redis-server; " +
			"macOS: brew install redis), or name a running one with -redis HOST:PORT")
	}
	addr, port, err := freeAddress()
	if err != nil {
		return nil, err
	}
	s := &server{
		name: "Redis", program: program, addr: addr,
		args: []string{"--port", port, "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "no"},
		ready: func() bool {
			conn, err := net.DialTimeout("tcp", addr, time.Second)
			if err != nil {
				return false
			}
			defer conn.Close()
			_, err = io.WriteString(conn, "PING\r\n")
			answer := make([]byte, len("+PONG"))
			_, errRead := io.ReadFull(conn, answer)
			return err == nil && errRead == nil && string(answer) == "+PONG"
		},
	}
	return s, s.start(ctx)
}

// startPostgres starts a PostgreSQL with a new database, which does not outlive the example, and returns how to
// connect to it.
func startPostgres(ctx context.Context, dir string) (*server, string, error) {
	bin := postgresPrograms()
	if bin == "" {
		return nil, "", errors.New("there is no PostgreSQL: install it (Debian: apt-get install postgresql; " +
			"macOS: brew install postgresql), or name a running one with -postgres postgres://USER:PASSWORD@HOST:PORT/DATABASE")
	}
	owner, err := postgresOwner()
	if err != nil {
		return nil, "", err
	}
	data := filepath.Join(dir, "postgres")
	if err := errors.Join(os.Mkdir(data, 0o700), owner.give(dir), owner.give(data)); err != nil {
		return nil, "", fmt.Errorf("a folder for PostgreSQL: %w", err)
	}
	if err := run(ctx, owner, filepath.Join(bin, "initdb"), "--pgdata", data, "--username", "tarn",
		"--auth", "trust", "--encoding", "UTF8", "--no-locale", "--no-sync"); err != nil {
		return nil, "", err
	}
	addr, port, err := freeAddress()
	if err != nil {
		return nil, "", err
	}
	s := &server{
		name: "PostgreSQL", program: filepath.Join(bin, "postgres"), owner: owner, quits: true, addr: addr,
		args: []string{"-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=",
			"-c", "fsync=off"},
		ready: func() bool { // as it says in the file that pg_ctl looks at too
			text, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
			lines := strings.Split(string(text), "\n")
			return err == nil && len(lines) > 7 && strings.TrimSpace(lines[7]) == "ready"
		},
	}
	return s, "postgres://tarn@" + addr + "/postgres?sslmode=disable", s.start(ctx)
}

// postgresFolders are where Debian and Homebrew keep PostgreSQL's programs, out of the PATH.
var postgresFolders = []string{
	"/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin",
}

// postgresPrograms returns the folder of PostgreSQL's programs, or nothing.
func postgresPrograms() string {
	if initdb, err := exec.LookPath("initdb"); err == nil {
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil {
			return filepath.Dir(initdb)
		}
	}
	for _, folder := range postgresFolders {
		if found, _ := filepath.Glob(folder + "/initdb"); len(found) > 0 {
			return filepath.Dir(found[len(found)-1])
		}
	}
	return ""
}

// freeAddress returns an address that nobody listens at, with a port below those that systems give to whoever connects:
// it stays free while a server is away.
func freeAddress() (addr, port string, err error) {
	for range 100 {
		port = strconv.Itoa(10_000 + rand.IntN(22_000))
		addr = net.JoinHostPort("127.0.0.1", port)
		if l, errListen := net.Listen("tcp", addr); errListen == nil {
			return addr, port, l.Close()
		}
	}
	return "", "", errors.New("no port is free")
}

// run runs a program to its end.
func run(ctx context.Context, as *owner, program string, args ...string) error {
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.SysProcAttr = attributes(as)
	if as != nil {
		cmd.Dir = "/" // where anybody may be
	}
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(program), err, said)
	}
	return nil
}
