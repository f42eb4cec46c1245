// Command powerloss works with a journal whose writes are recorded. It is built with a copy of bbolt in which they go
// through hooks, so it compiles in no other way.
//
//	powerloss record FILE     prints all that was written, in order, as JSON
//	powerloss fail FILE       has each sync and each write fail once, and checks what becomes of it
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"go.etcd.io/bbolt"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// event is a thing that was done.
type event struct {
	Op       string // write, truncate, sync, rename, remove, folder; begin, done, opened
	File     uint64
	Off      int64
	Data     []byte
	From, To string
	Change   *journal.Change
}

var events []event

func inode(f *os.File) uint64 {
	info, err := f.Stat()
	check(err == nil, err)
	return info.Sys().(*syscall.Stat_t).Ino
}

func note(e event) { events = append(events, e) }

func record() {
	bbolt.OnWrite = func(f *os.File, b []byte, off int64) error {
		note(event{Op: "write", File: inode(f), Off: off, Data: bytes.Clone(b)})
		return nil
	}
	bbolt.OnTruncate = func(f *os.File, size int64) error {
		note(event{Op: "truncate", File: inode(f), Off: size})
		return nil
	}
	bbolt.OnSync = func(f *os.File) error {
		note(event{Op: "sync", File: inode(f)})
		return nil
	}
	bbolt.OnRename = func(from, to string) {
		note(event{Op: "rename", From: filepath.Base(from), To: filepath.Base(to)})
	}
	bbolt.OnRemove = func(path string) { note(event{Op: "remove", From: filepath.Base(path)}) }
	bbolt.OnFolderSync = func() error { note(event{Op: "folder"}); return nil }
}

func main() {
	does, path := os.Args[1], os.Args[2]
	switch does {
	case "record":
		record()
		for _, s := range workload() {
			note(event{Op: "begin", Change: s.change})
			check(s.do(path) == nil, "the workload")
			note(event{Op: "done"})
		}
		check(json.NewEncoder(os.Stdout).Encode(events) == nil)
	case "fail":
		for _, kind := range []failure{
			{"sync", syscall.EIO, 30}, {"sync", syscall.ENOSPC, 30}, {"write", syscall.EIO, 30},
			{"write", syscall.ENOSPC, 30}, {"written", syscall.ENOSPC, 30}, {"folder", syscall.EIO, 2},
		} {
			failEach(path, kind)
		}
	}
}

// step is one step of the workload. change is what it does to the journal; nil: nothing.
type step struct {
	change *journal.Change
	open   bool
	close  bool
	pack   bool
}

var open *bolt.Journal

func (s step) do(path string) (err error) {
	ctx := context.Background()
	switch {
	case s.open:
		if open, err = bolt.Open(path, bolt.Options{LockTimeout: -1}); err == nil {
			_, err = open.Replay(ctx, func(journal.Record) error { return nil })
		}
		if err == nil {
			note(event{Op: "opened"})
		}
	case s.close:
		err = open.Close()
	case s.pack:
		err = open.Compact(ctx)
	default:
		err = open.Append(ctx, *s.change)
	}
	return err
}

func workload() []step {
	var steps []step
	add := func(remove []uint64, puts ...journal.Record) {
		steps = append(steps, step{change: &journal.Change{Remove: remove, Put: puts}})
	}
	steps = append(steps, step{open: true})
	add(nil, rec(1, 100))
	add(nil, rec(2, 100), rec(3, 0))
	add([]uint64{1}, rec(4, 10))
	add(nil, recs(5, 40, 150)...)
	add([]uint64{5, 7, 9, 11}, rec(6, 500), rec(41, 9000))
	add(nums(12, 30))
	steps = append(steps, step{change: &journal.Change{Seq: 1 << 41}})
	steps = append(steps, step{pack: true})
	add(nil, rec(1<<41+1, 100))
	add(nums(2, 6), rec(1<<41+2, 20_000))
	steps = append(steps, step{close: true}, step{open: true})
	add([]uint64{41}, rec(1<<41+3, 10))
	add(nil, recs(1<<41+4, 1<<41+100, 3000)...)
	add(nums(1, 45))
	add(nums(1<<41+1, 1<<41+100))
	add(nil, rec(1<<42, 1))
	return append(steps, step{close: true})
}

func rec(seq uint64, size int) journal.Record {
	return journal.Record{Seq: seq, Kind: journal.Save, Key: fmt.Appendf(nil, "key %d", seq),
		Value: bytes.Repeat([]byte{byte(seq), byte(size)}, size/2)}
}

func recs(from, to uint64, size int) (all []journal.Record) {
	for seq := from; seq <= to; seq++ {
		all = append(all, rec(seq, size))
	}
	return all
}

func nums(from, to uint64) (all []uint64) {
	for seq := from; seq <= to; seq++ {
		all = append(all, seq)
	}
	return all
}

func check(ok bool, says ...any) {
	if !ok {
		fmt.Fprintln(os.Stderr, says...)
		os.Exit(1)
	}
}
