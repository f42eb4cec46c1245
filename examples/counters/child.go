package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"time"
)

// The program that runs as a child is told its folder, whether to do without the ledger, and whether to count; without the
// last it only finishes.
const (
	childEnv    = "TARN_COUNTERS_DIR"
	carelessEnv = "TARN_COUNTERS_CARELESS"
	countEnv    = "TARN_COUNTERS_COUNT"
)

const (
	visitors = 64
	products = 40
)

// answerTakes is how long the database's answer to a commit is under way.
const answerTakes = 30 * time.Millisecond

// A child says a line of these for each thing it does: "found RECORDS", "view PRODUCT", "seen PRODUCT" and "written 1".
const (
	saidFound   = "found"
	saidView    = "view"
	saidSeen    = "seen"
	saidWritten = "written"
)

// runChild opens the views and counts until it is killed. It returns the exit status.
func runChild(ctx context.Context, dir string, stdout, stderr io.Writer) int {
	out := &speaker{out: stdout}
	views, err := OpenViews(ctx, dir, os.Getenv(carelessEnv) != "", func() {
		out.say(saidWritten, 1)
		time.Sleep(answerTakes)
	})
	if err != nil {
		fmt.Fprintf(stderr, "counters: the child: %v\n", err)
		return 1
	}
	out.say(saidFound, int64(views.Stats().Replayed))
	if os.Getenv(countEnv) != "" {
		var all sync.WaitGroup
		for range visitors {
			all.Go(func() { visit(ctx, views, out) })
		}
		all.Wait()
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := views.Close(closing); err != nil {
		fmt.Fprintf(stderr, "counters: the child: %v\n", err)
		return 1
	}
	return 0
}

// visit views one product after the other; some are more popular than others.
func visit(ctx context.Context, views *Views, out *speaker) {
	for ctx.Err() == nil {
		product := 1 + int64(products*math.Pow(rand.Float64(), 3))
		out.say(saidView, product)
		if views.Add(ctx, product, 1) == nil {
			out.say(saidSeen, product)
		}
	}
}

// speaker writes each line at once, so that a kill takes none back.
type speaker struct {
	mu  sync.Mutex // one line after the other
	out io.Writer
}

func (s *speaker) say(what string, number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.out, what+" "+strconv.FormatInt(number, 10)+"\n")
}

// tally is what the children said.
type tally struct {
	found       int64 // records in the journal when the last child began
	begun, seen [products + 1]int64
}

// note notes what a child says until it says no more. began is called when its first view is acknowledged, and written
// whenever it has written a batch.
func (t *tally) note(said *bufio.Scanner, began, written func()) error {
	counts := false
	for said.Scan() {
		what, number, _ := strings.Cut(said.Text(), " ")
		n, err := strconv.ParseInt(number, 10, 64)
		switch {
		case err == nil && what == saidFound:
			t.found = n
		case err == nil && what == saidView && n > 0 && n <= products:
			t.begun[n]++
		case err == nil && what == saidSeen && n > 0 && n <= products:
			t.seen[n]++
			if !counts {
				counts = true
				began()
			}
		case err == nil && what == saidWritten:
			written()
		default:
			return fmt.Errorf("the child says %q", said.Text())
		}
	}
	return said.Err()
}

// runAndKill runs a child, and kills it when it has counted for a while: at that moment, or at the worst of moments, right
// after the next batch was committed, when nobody has heard of it.
func runAndKill(
	ctx context.Context, dir string, careless bool, life time.Duration, worst bool, t *tally, stderr io.Writer,
) error {
	cmd, said, err := startChild(ctx, dir, careless, stderr, countEnv+"=1")
	if err != nil {
		return err
	}
	killed := false
	var began time.Time
	kill := func() { killed = cmd.Process.Kill() == nil } // SIGKILL
	err = t.note(said, func() {
		if began = time.Now(); !worst {
			time.AfterFunc(life, func() { _ = cmd.Process.Kill() })
			killed = true
		}
	}, func() {
		if worst && !killed && !began.IsZero() && time.Since(began) > life {
			kill()
		}
	})
	ended := cmd.Wait()
	if !killed || ended == nil {
		return fmt.Errorf("the child ended before it was killed: %w", errors.Join(ended, err))
	}
	return err
}

// finish runs a child that opens the views and closes them.
func finish(ctx context.Context, dir string, careless bool, t *tally, stderr io.Writer) error {
	cmd, said, err := startChild(ctx, dir, careless, stderr)
	if err != nil {
		return err
	}
	err = t.note(said, func() {}, func() {})
	if ended := cmd.Wait(); ended != nil {
		return fmt.Errorf("the last child: %w", ended)
	}
	return err
}

// startChild starts this program again. It is killed when ctx ends, and ends by itself when nobody listens any more.
func startChild(
	ctx context.Context, dir string, careless bool, stderr io.Writer, env ...string,
) (*exec.Cmd, *bufio.Scanner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(append(os.Environ(), childEnv+"="+dir), env...)
	if careless {
		cmd.Env = append(cmd.Env, carelessEnv+"=1")
	}
	cmd.Stderr = stderr
	said, err := cmd.StdoutPipe()
	if err != nil {
		return nil, nil, fmt.Errorf("start this program again: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, nil, fmt.Errorf("start this program again: %w", err)
	}
	return cmd, bufio.NewScanner(said), nil
}
