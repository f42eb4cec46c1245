// Counters counts the views of products, and ranks them. A view is one more in a counter, which is acknowledged when it is
// in a journal on disk; the counters reach a SQLite database merged, a few updates for thousands of views. The
// program starts itself a second time to count, kills that with SIGKILL in the middle, again and again, and then compares
// the database with what was acknowledged.
//
//	go run ./examples/counters
//
// What the ledger in the database is good for shows without it: what was committed right before a kill counts twice.
//
//	go run ./examples/counters -careless
//
// Start reading at views.go: that is all that an application has to write. The exit status is 0 if the sums are right,
// 1 if they are not or if something failed, and 2 if the flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program on the spot
	if dir := os.Getenv(childEnv); dir != "" {
		os.Exit(runChild(ctx, dir, os.Stdout, os.Stderr))
	}
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// settings are what the flags say.
type settings struct {
	kills    int
	careless bool
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "counters: %v\n", err)
		return 2
	}
	err = s.show(ctx, stdout, stderr)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "counters: interrupted")
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "counters: FAILED: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. It has told stderr how to use them if it returns flag.ErrHelp.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("counters", flag.ContinueOnError)
	flags.IntVar(&s.kills, "kills", 4, "how `often` the process that counts is killed")
	flags.BoolVar(&s.careless, "careless", false, "keep no ledger in the database, to see what counts twice without it")

	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "Usage: go run ./examples/counters [flags]")
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return s, err
	}
	switch {
	case flags.NArg() > 0:
		return s, fmt.Errorf("flags only, please; not %q", flags.Args())
	case s.kills < 1 || s.kills > 20:
		return s, errors.New("-kills is from 1 to 20")
	}
	return s, nil
}

// show lets a child count and kills it, some times, lets the last one finish, and looks what the database has.
func (s settings) show(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tarn-counters-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	fmt.Fprintf(stdout, "%d visitors view %d products. In the middle the process that counts is killed:\n\n", visitors, products)
	fmt.Fprintln(stdout, "          records found    views\nprocess   in the journal   acknowledged   killed")
	var t tally
	for round := 1; round <= s.kills; round++ {
		life := 300*time.Millisecond + rand.N(500*time.Millisecond)
		before := t.total()
		worst := round%2 == 1
		if err := runAndKill(ctx, dir, s.careless, life, worst, &t, stderr); err != nil {
			return err
		}
		moment := "at any moment"
		if worst {
			moment = "right after a commit"
		}
		fmt.Fprintf(stdout, "%-9d %-16d %-14d %s\n", round, t.found, t.total()-before, moment)
	}
	if err := finish(ctx, dir, s.careless, &t, stderr); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%-9d %-16d %-14d %s\n\n", s.kills+1, t.found, 0, "closes")
	rows, err := readRows(ctx, dir)
	if err != nil {
		return err
	}
	rank(stdout, rows)
	return t.judge(stdout, rows)
}
