// Postgres is an application of two processes with a database: products in PostgreSQL, cached in Redis for all
// processes and in the memory of each. It shows in plain sentences what that does: a write in one process that the
// other one sees, a thousand callers who want what nobody has yet, and Redis being killed.
//
//	go run ./examples/postgres
//
// It starts a PostgreSQL and a Redis for itself, on free ports and in a temporary folder, and ends them. Where their
// programs are not to be found, or to see it with others, name those:
//
//	go run ./examples/postgres -postgres postgres://me@localhost/shop -redis localhost:6379
//
// There it works in a schema of its own and with keys of its own, and removes them.
//
// Start reading at node.go: that is all that an application has to write. The exit status is 0 if everything was as it
// should be, 1 if not or if something failed, and 2 if the flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/redis/go-redis/v9/logging"
)

func main() {
	logging.Disable() // go-redis would tell of each connection that fails while Redis is away
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program on the spot
	os.Exit(start(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// settings are what the flags say.
type settings struct {
	postgres string // how to connect; empty: start one
	redis    string // its address; empty: start one
}

// start is the program; it returns the exit status.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "postgres: %v\n", err)
		return 2
	}
	err = s.show(ctx, stdout)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "postgres: interrupted")
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "postgres: FAILED: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, "Everything was as it should be.")
	return 0
}

// parse reads the flags. It has told stderr how to use them if it returns flag.ErrHelp.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("postgres", flag.ContinueOnError)
	flags.StringVar(&s.postgres, "postgres", "", "the `URL` of a PostgreSQL that runs (default: start one)")
	flags.StringVar(&s.redis, "redis", "", "the `address` of a Redis that runs, as in localhost:6379 (default: start one)")

	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "Usage: go run ./examples/postgres [flags]")
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("flags only, please; not %q", strings.Join(flags.Args(), " "))
	}
	return s, nil
}

// show starts what has to be started, tells the story, and ends what it has started.
func (s settings) show(ctx context.Context, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tarn-postgres-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	dsn, addr := s.postgres, s.redis
	var ownRedis *server
	if addr == "" {
		if ownRedis, err = startRedis(ctx, dir); err != nil {
			return err
		}
		defer ownRedis.kill()
		addr = ownRedis.addr
	}
	if err := askRedis(ctx, addr); err != nil {
		return err
	}
	if dsn == "" {
		var ownPostgres *server
		if ownPostgres, dsn, err = startPostgres(ctx, dir); err != nil {
			return err
		}
		defer ownPostgres.kill()
	}
	db, err := createProducts(ctx, dsn)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, within(ctx, db.drop)) }()
	if ownRedis == nil {
		defer func() {
			err = errors.Join(err, within(ctx, func(ctx context.Context) error { return forget(ctx, addr, db.schema) }))
		}()
	}
	fmt.Fprintf(out, "\n%s in %s, and %s.\n", counted(products, "product"),
		described("PostgreSQL", s.postgres == "", db.admin.Config().ConnConfig.Host, db.admin.Config().ConnConfig.Port),
		describedAt("Redis", s.redis == "", addr))

	var nodes [2]*node
	for i := range nodes {
		pool, err := pgxpool.NewWithConfig(ctx, db.config.Copy())
		if err != nil {
			return fmt.Errorf("connect to PostgreSQL: %w", err)
		}
		nodes[i] = newNode(pool, addr, db.schema)
		defer func() { err = errors.Join(err, within(ctx, nodes[i].close)) }()
	}
	return (&story{out: out, a: nodes[0], b: nodes[1], redis: ownRedis}).tell(ctx)
}

// within cleans up even if ctx has been cancelled.
func within(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	return f(ctx)
}

func described(name string, own bool, host string, port uint16) string {
	return describedAt(name, own, fmt.Sprintf("%s:%d", host, port))
}

func describedAt(name string, own bool, addr string) string {
	if own {
		return "a " + name + " started for this at " + addr
	}
	return "the " + name + " at " + addr
}
