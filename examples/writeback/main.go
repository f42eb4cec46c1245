// Writeback shows that write-back with a journal loses nothing that it acknowledged. Drafts of texts, which are saved
// with every few letters, are written to a SQLite database, behind a journal on disk. The program starts itself
// a second time to write them, kills that with SIGKILL in the middle, again and again, and then compares the database with
// what was acknowledged.
//
//	go run ./examples/writeback
//
// What the journal is good for shows when it is taken away after each kill:
//
//	go run ./examples/writeback -forget
//
// Start reading at drafts.go: that is all that an application has to write. The exit status is 0 if nothing was lost,
// 1 if something was or if something failed, and 2 if the flags make no sense.
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
	"path/filepath"
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
	kills  int
	forget bool
}

// run is the program; it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	s, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintf(stderr, "writeback: %v\n", err)
		return 2
	}
	err = s.show(ctx, stdout, stderr)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "writeback: interrupted")
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "writeback: FAILED: %v\n", err)
		return 1
	}
	return 0
}

// parse reads the flags. It has told stderr how to use them if it returns flag.ErrHelp.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("writeback", flag.ContinueOnError)
	flags.IntVar(&s.kills, "kills", 5, "how `often` the writer is killed")
	flags.BoolVar(&s.forget, "forget", false, "take the journal away after each kill, to see what is lost without it")

	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "Usage: go run ./examples/writeback [flags]")
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

// show lets a child write and kills it, some times, lets the last one finish, and looks what the database has.
func (s settings) show(ctx context.Context, stdout, stderr io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "tarn-writeback-")
	if err != nil {
		return fmt.Errorf("make a temporary folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	fmt.Fprintf(stdout, "%d writers save and discard %d drafts. A write is acknowledged when the journal has it; the\n"+
		"database has it up to half a second later. In the middle the process is killed:\n\n", writers, writers*draftsEach)
	fmt.Fprintln(stdout, "          writes found     writes         killed     drafts whose last write\n"+
		"process   in the journal   acknowledged   after      the database lacks then")
	book := newBook()
	for round := 1; round <= s.kills; round++ {
		life := 300*time.Millisecond + rand.N(500*time.Millisecond)
		if err := runAndKill(ctx, dir, round, life, book, stderr); err != nil {
			return err
		}
		behind, err := book.behind(ctx, dir)
		if err != nil {
			return err
		}
		fmt.Fprintf(stdout, "%-9d %-16d %-14d %-10v %d\n",
			round, book.replayed, book.inRound, life.Round(time.Millisecond), len(behind))
		if s.forget {
			if err := os.Remove(filepath.Join(dir, journalFile)); err != nil {
				return fmt.Errorf("take the journal away: %w", err)
			}
		}
	}
	if err := finish(ctx, dir, book, stderr); err != nil {
		return err
	}
	lost, err := book.behind(ctx, dir)
	if err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%-9d %-16d %-14d %-10s %d\n\n", s.kills+1, book.replayed, 0, "closes", len(lost))
	if len(lost) > 0 {
		return fmt.Errorf("of %d acknowledged writes the last ones of %d drafts were lost", book.acknowledged, len(lost))
	}
	fmt.Fprintf(stdout, "Of %d acknowledged writes none was lost: each of the %d drafts is as it was last acknowledged, or\n"+
		"as a write that was under way at a kill left it.\n", book.acknowledged, book.drafts())
	return nil
}
