package main

import (
	"bytes"
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

func TestMain(m *testing.M) {
	logging.Disable() // as the program does
	os.Exit(m.Run())
}

func TestTheStory(t *testing.T) {
	needServers(t)
	temporary := emptyTempDir(t)
	code, stdout, stderr := runProgram(t.Context())
	for tries := 1; tries < 5 && strings.Contains(stderr, "there should have been 1 query"); tries++ {
		t.Log(stderr) // on a busy machine a query takes longer than another node waits for it
		code, stdout, stderr = runProgram(t.Context())
	}
	if code != 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	t.Log(stdout)
	for _, says := range []string{
		"for the first time: 1 query,", "Redis has it: no query,", "its memory has it: no query,",
		"Node B answers with the new price", "All of them together need 1 query,",
		"No read and no write failed", "0 are older", "Everything was as it should be.",
	} {
		if !strings.Contains(stdout, says) {
			t.Errorf("it does not say %q", says)
		}
	}
	assertGone(t, stdout)
	assertEmpty(t, temporary)
}

func TestServersThatAreThere(t *testing.T) {
	needServers(t)
	ctx := t.Context()
	rds, err := startRedis(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer rds.kill()
	temporary := emptyTempDir(t)
	dir, err := os.MkdirTemp("", "postgres") // which, unlike t.TempDir, other users may enter
	if err != nil {
		t.Fatal(err)
	}
	pg, dsn, err := startPostgres(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer pg.kill()

	code, stdout, stderr := runProgram(ctx, "-postgres", dsn, "-redis", rds.addr)
	if code != 0 || !strings.Contains(stdout, "Not this one, which was there before.") {
		t.Errorf("exit status %d\n%s\n%s", code, stdout, stderr)
	}
	client := redis.NewClient(redisOptions(rds.addr))
	defer client.Close()
	if n, err := client.DBSize(ctx).Result(); n != 0 || err != nil {
		t.Errorf("%d keys are left in Redis (%v)", n, err)
	}
	db, err := pgxpool.New(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var schemas int
	err = db.QueryRow(ctx, `SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'tarn%'`).Scan(&schemas)
	if schemas != 0 || err != nil {
		t.Errorf("%d schemas are left in PostgreSQL (%v)", schemas, err)
	}
	pg.kill()
	if err := os.RemoveAll(dir); err != nil {
		t.Error(err)
	}
	assertEmpty(t, temporary)
}

func TestInterruptLeavesNothingBehind(t *testing.T) {
	needServers(t)
	for _, when := range []string{"started for this", "stays away"} {
		t.Run("at "+when, func(t *testing.T) {
			temporary := emptyTempDir(t)
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out := &watched{word: when, seen: interrupt}
			var stderr bytes.Buffer
			if code := start(ctx, nil, out, &stderr); code != 1 || !strings.Contains(stderr.String(), "interrupted") {
				t.Errorf("exit status %d\n%s\n%s", code, out, &stderr)
			}
			assertGone(t, out.String())
			assertEmpty(t, temporary)
		})
	}
}

func TestWhatIsMissingIsSaid(t *testing.T) {
	needServers(t)
	rds, err := startRedis(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer rds.kill()
	t.Run("no Redis", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		temporary := emptyTempDir(t)
		code, _, stderr := runProgram(t.Context())
		if code != 1 || !strings.Contains(stderr, "install redis-server") || !strings.Contains(stderr, "-redis HOST:PORT") {
			t.Errorf("exit status %d\n%s", code, stderr)
		}
		assertEmpty(t, temporary)
	})
	t.Run("no PostgreSQL", func(t *testing.T) {
		t.Setenv("PATH", t.TempDir())
		places := postgresFolders
		postgresFolders = nil
		defer func() { postgresFolders = places }()
		code, _, stderr := runProgram(t.Context(), "-redis", rds.addr)
		if code != 1 || !strings.Contains(stderr, "install it") || !strings.Contains(stderr, "-postgres postgres://") {
			t.Errorf("exit status %d\n%s", code, stderr)
		}
	})
	t.Run("a Redis that does not answer", func(t *testing.T) {
		code, stdout, stderr := runProgram(t.Context(), "-redis", "127.0.0.1:1")
		if code != 1 || !strings.Contains(stderr, "the Redis at 127.0.0.1:1 does not answer") {
			t.Errorf("exit status %d\n%s\n%s", code, stdout, stderr)
		}
	})
	t.Run("a PostgreSQL that does not answer", func(t *testing.T) {
		code, _, stderr := runProgram(t.Context(), "-redis", rds.addr, "-postgres", "postgres://me:secret@127.0.0.1:1/shop")
		if code != 1 || !strings.Contains(stderr, "create the products") || strings.Contains(stderr, "secret") {
			t.Errorf("exit status %d\n%s", code, stderr)
		}
	})
	t.Run("a server that does not start", func(t *testing.T) {
		s := &server{name: "Nothing", program: rds.program, args: []string{"--port", "none"}, ready: func() bool { return false }}
		if err := s.start(t.Context()); err == nil || !strings.Contains(err.Error(), "Nothing does not run") {
			t.Error(err)
		}
		s.kill()
	})
}

func TestFlags(t *testing.T) {
	for _, test := range []struct {
		rule string
		args []string
		code int
		says string
	}{
		{"an unknown flag", []string{"-mysql"}, 2, "-mysql"},
		{"an argument that is no flag", []string{"localhost"}, 2, `"localhost"`},
		{"help is no mistake", []string{"-h"}, 0, "-redis address"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			code, stdout, stderr := runProgram(t.Context(), test.args...)
			if code != test.code || !strings.Contains(stderr, test.says) || stdout != "" {
				t.Errorf("exit status %d, not %d, with %q\n%s\n%s", code, test.code, test.says, stdout, stderr)
			}
		})
	}
}

func TestWords(t *testing.T) {
	for _, test := range []struct{ got, want string }{
		{counted(0, "query"), "no query"},
		{counted(1, "query"), "1 query"},
		{counted(12345, "query"), "12,345 queries"},
		{counted(int64(1000), "read"), "1,000 reads"},
		{brief(2 * time.Second), "2.0 s"},
		{brief(59 * time.Millisecond), "59 ms"},
		{brief(4300 * time.Microsecond), "4.3 ms"},
		{brief(85 * time.Microsecond), "85 µs"},
		{brief(191), "191 ns"},
	} {
		if test.got != test.want {
			t.Errorf("%q, not %q", test.got, test.want)
		}
	}
}

func runProgram(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, errOut bytes.Buffer
	code = start(ctx, args, &out, &errOut)
	return code, out.String(), errOut.String()
}

// needServers skips a test where the servers are not installed; with CI=true it fails.
func needServers(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("redis-server")
	if err == nil && postgresPrograms() != "" {
		return
	}
	const why = "Redis or PostgreSQL is not on this machine; make deps installs them"
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// watched calls seen when a word is written to it.
type watched struct {
	mu   sync.Mutex // protects text
	text bytes.Buffer
	word string
	seen func()
}

func (w *watched) Write(text []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if bytes.Contains(text, []byte(w.word)) {
		w.seen()
	}
	return w.text.Write(text)
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.text.String()
}

// emptyTempDir makes the program's temporary folders appear in a folder of the test's own, which PostgreSQL's user may
// enter too.
func emptyTempDir(t *testing.T) string {
	dir, err := os.MkdirTemp("", "story")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { // of an empty folder
		t.Fatal(err)
	}
	t.Setenv("TMPDIR", dir)
	return dir
}

func assertEmpty(t *testing.T, dir string) {
	t.Helper()
	left, err := filepath.Glob(filepath.Join(dir, "*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left in the temporary folder: %q (%v)", left, err)
	}
}

// assertGone looks for the servers that the program said it had started.
func assertGone(t *testing.T, said string) {
	t.Helper()
	addrs := regexp.MustCompile(`started for this at (127\.0\.0\.1:\d+)`).FindAllStringSubmatch(said, -1)
	if len(addrs) != 2 {
		t.Errorf("it names %d servers:\n%s", len(addrs), said)
	}
	for _, addr := range addrs {
		if conn, err := net.Dial("tcp", addr[1]); err == nil {
			conn.Close()
			t.Errorf("a server still listens at %s", addr[1])
		}
	}
}
