package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

// The program that runs as a child is told its folder and which process it is; without the latter it only finishes.
const (
	childEnv = "TARN_WRITEBACK_DIR"
	roundEnv = "TARN_WRITEBACK_ROUND"
)

const (
	writers    = 16
	draftsEach = 25
)

// A child says a line of these for each thing it does: "found N", "begin DRAFT REVISION" and "done DRAFT REVISION".
const (
	saidFound = "found"
	saidBegin = "begin"
	saidDone  = "done"
)

// runChild opens the drafts and writes until it is killed. It returns the exit status.
func runChild(ctx context.Context, dir string, stdout, stderr io.Writer) int {
	drafts, err := OpenDrafts(ctx, dir)
	if err != nil {
		fmt.Fprintf(stderr, "writeback: the child: %v\n", err)
		return 1
	}
	out := &speaker{out: stdout}
	out.say(saidFound, int64(drafts.Stats().Replayed))
	if round, err := strconv.ParseInt(os.Getenv(roundEnv), 10, 64); err == nil {
		var all sync.WaitGroup
		for w := range int64(writers) {
			all.Go(func() { write(ctx, drafts, out, w, round) })
		}
		all.Wait()
	}
	closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if err := drafts.Close(closing); err != nil {
		fmt.Fprintf(stderr, "writeback: the child: %v\n", err)
		return 1
	}
	return 0
}

// write writes the drafts of one writer, one write after the other, and discards every tenth revision.
func write(ctx context.Context, drafts *Drafts, out *speaker, writer, round int64) {
	for revision := round*1_000_000 + 1; ctx.Err() == nil; revision++ {
		id := writer*draftsEach + rand.N[int64](draftsEach)
		out.say(saidBegin, id, revision)
		var err error
		if discards(revision) {
			err = drafts.Delete(ctx, id)
		} else {
			err = drafts.Set(ctx, id, Draft{revision, fmt.Sprintf("Draft %d, as of revision %d.", id, revision)})
		}
		if err == nil {
			out.say(saidDone, id, revision)
		}
	}
}

// discards reports whether a revision is that a draft is discarded.
func discards(revision int64) bool { return revision%10 == 0 }

// speaker writes each line at once, so that a kill takes none back.
type speaker struct {
	mu  sync.Mutex // one line after the other
	out io.Writer
}

func (s *speaker) say(what string, numbers ...int64) {
	line := what
	for _, n := range numbers {
		line += " " + strconv.FormatInt(n, 10)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.out, line+"\n")
}

// runAndKill runs a child, kills it when it has written for a while, and notes what it said.
func runAndKill(ctx context.Context, dir string, round int, life time.Duration, book *book, stderr io.Writer) error {
	cmd, said, err := startChild(ctx, dir, stderr, roundEnv+"="+strconv.Itoa(round))
	if err != nil {
		return err
	}
	var timer *time.Timer
	err = book.note(said, func() {
		timer = time.AfterFunc(life, func() { _ = cmd.Process.Kill() }) // SIGKILL
	})
	ended := cmd.Wait()
	if timer == nil || timer.Stop() {
		return fmt.Errorf("the child ended before it was killed: %w", errors.Join(ended, err))
	}
	return err
}

// finish runs a child that opens the drafts and closes them.
func finish(ctx context.Context, dir string, book *book, stderr io.Writer) error {
	cmd, said, err := startChild(ctx, dir, stderr)
	if err != nil {
		return err
	}
	err = book.note(said, func() {})
	if ended := cmd.Wait(); ended != nil {
		return fmt.Errorf("the last child: %w", ended)
	}
	return err
}

// startChild starts this program again. It is killed when ctx ends, and ends by itself when nobody listens any more.
func startChild(ctx context.Context, dir string, stderr io.Writer, env ...string) (*exec.Cmd, *bufio.Scanner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, nil, fmt.Errorf("find this program: %w", err)
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), childEnv+"="+dir)
	cmd.Env = append(cmd.Env, env...)
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
