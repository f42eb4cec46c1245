package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// failure is a kind of call that fails, and how.
type failure struct {
	op    string
	err   syscall.Errno
	least int // so often it happens in the workload
}

// failEach has the first such call of the workload fail, then the second, until there are no more.
func failEach(path string, f failure) {
	tried := 0
	for n := 1; failNth(path, f, n); n++ {
		tried = n
	}
	check(tried >= f.least, f, "failed only", tried, "times")
	fmt.Printf("%s failed %d times (%v)\n", f.op, tried, f.err)
}

// failNth runs the workload with one failing call. It reports whether there were so many.
func failNth(path string, f failure, n int) bool {
	for _, name := range []string{path, path + ".tarn-new"} {
		if err := os.Remove(name); err != nil {
			check(errors.Is(err, os.ErrNotExist), err)
		}
	}
	calls, wroteAfter := 0, 0
	fail := func(op string) error {
		if op == f.op {
			if calls++; calls == n {
				return f.err
			}
		}
		if calls >= n && op == "write" {
			wroteAfter++
		}
		return nil
	}
	bbolt.OnWrite = func(*os.File, []byte, int64) error { return fail("write") }
	bbolt.OnSync = func(*os.File) error { return fail("sync") }
	bbolt.AfterWrite = func() error { return fail("written") }
	bbolt.OnFolderSync = func() error { return fail("folder") }
	bbolt.OnTruncate = func(*os.File, int64) error { return nil }
	has := map[uint64]int{} // the records and the sizes of their values
	for i := 0; i < len(steps); i++ {
		s, before := steps[i], calls
		err := s.do(path)
		if err == nil {
			// Where there is no room for much more, the file is made longer by less.
			noted := before < n && calls >= n && f.err != syscall.ENOSPC
			check(!noted, f, n, "step", i, "did not notice")
			apply(has, s.change)
			continue
		}
		check(calls >= n, f, n, "step", i, "failed without reason:", err)
		switch {
		case errors.Is(err, journal.ErrPoisoned):
			// Nothing more is written, whatever is asked for, and a new start finds one state or the other.
			check(f.op != "write" || f.err == syscall.EIO, f, n, "poisoned:", err)
			wroteAfter = 0
			for range 2 {
				err := open.Append(context.Background(), journal.Change{Put: recs(1<<50, 1<<50+2, 10)})
				check(errors.Is(err, journal.ErrPoisoned), f, n, "after it was poisoned:", err)
				err = open.Compact(context.Background())
				check(errors.Is(err, journal.ErrPoisoned), f, n, "after it was poisoned:", err)
			}
			check(open.Close() == nil, f, n, "Close")
			check(wroteAfter == 0, f, n, "it wrote after it was poisoned")
			after := maps.Clone(has)
			apply(after, s.change)
			now := reopened(path, f, n)
			check(maps.Equal(now, has) || maps.Equal(now, after), f, n, "step", i, "left", now)
			has = now
		case errors.Is(err, journal.ErrFull):
			check(f.op != "sync" && f.err == syscall.ENOSPC, f, n, "full:", err)
			i-- // it works the next time
		default: // of Open, Close and Compact, which leave what is there
			check(s.change == nil, f, n, "step", i, err)
			now := reopened(path, f, n)
			check(maps.Equal(now, has), f, n, "step", i, "left", now)
			if s.close {
				_ = open.Close()
			}
		}
	}
	now := reopened(path, f, n)
	check(maps.Equal(now, has), f, n, "has", slices.Sorted(maps.Keys(now)), "want", slices.Sorted(maps.Keys(has)))
	_ = open.Close()
	return calls >= n
}

var steps = workload()

func apply(has map[uint64]int, c *journal.Change) {
	if c == nil {
		return
	}
	for _, seq := range c.Remove {
		delete(has, seq)
	}
	for _, r := range c.Put {
		has[r.Seq] = len(r.Value)
	}
}

func reopened(path string, f failure, n int) map[uint64]int {
	if open != nil {
		_ = open.Close()
	}
	has := map[uint64]int{}
	j, err := bolt.Open(path, bolt.Options{LockTimeout: -1})
	check(err == nil, f, n, "open again:", err)
	_, err = j.Replay(context.Background(), func(r journal.Record) error { has[r.Seq] = len(r.Value); return nil })
	check(err == nil, f, n, "replay again:", err)
	open = j
	return has
}
