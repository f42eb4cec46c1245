// Quickstart runs one workload against a real database, first bare and then through each of tarn's five
// strategies, and prints what that does to speed, to the database's load and to the answers. It needs nothing but
// Go: the database is SQLite, in a temporary folder.
//
//	go run ./examples/quickstart
//
// With a Redis the same program has its cache there, with copies in memory; it uses keys of its own and removes them:
//
//	go run ./examples/quickstart -redis localhost:6379
//
// Start reading at strategies.go: that is all an application has to write. The exit status is 0 if every answer was
// right, 1 if one was not or something failed, and 2 if the flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program on the spot
	os.Exit(run(ctx, os.Args[1:], ways, os.Stdout, os.Stderr))
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, ways []way, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return 2
	}
	printHead(stdout, s)
	p := newProgress(stderr)
	results, err := compare(ctx, s, ways, p)
	p.end()
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "quickstart: interrupted")
		return 1
	}
	if err != nil {
		fmt.Fprintf(stderr, "quickstart: %v\n", err)
		return 1
	}
	printTable(stdout, results)
	if err := check(results); err != nil {
		fmt.Fprintf(stderr, "quickstart: FAILED: %v\n", err)
		return 1
	}
	fmt.Fprintln(stdout, "Every check passed: no read was stale, and no write was lost.")
	return 0
}

// compare measures each way under the same workload.
func compare(ctx context.Context, s settings, ways []way, p *progress) ([]result, error) {
	w := newWorkload(s)
	var results []result
	for i, way := range ways {
		done, stop := p.begin(way.name, i, len(ways), s.ops)
		r, err := measure(ctx, s, w, way, done)
		if err != nil {
			stop("failed")
			return nil, fmt.Errorf("%s: %w", way.name, err)
		}
		stop("done")
		results = append(results, r)
	}
	return results, nil
}
