package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

// journal is what has been measured so far, in memory and in the file of -keep, if there is one. A step is written as
// a whole once it has ended, and after it a line that names it, so that a report that was interrupted can go on.
type journal struct {
	raw   bytes.Buffer
	file  *os.File // nil: nothing is kept
	ended map[string]bool
	told  io.Writer // which step is run
	begin time.Time
}

// endOf begins the line after a step. benchstat reads over it.
const endOf = "# end of "

// journal begins with what is known of the machine, or with what an interrupted report kept.
func (s settings) journal() (*journal, error) {
	j := &journal{ended: map[string]bool{}, told: os.Stderr, begin: time.Now()}
	var head bytes.Buffer
	writeMachine(&head, s)
	if s.resume {
		return j, j.open(s.keep, head.Bytes())
	}
	if s.keep != "" {
		if err := os.MkdirAll(filepath.Dir(s.keep), 0o777); err != nil {
			return nil, err
		}
		var err error
		if j.file, err = os.Create(s.keep); err != nil {
			return nil, err
		}
	}
	return j, j.write(head.Bytes())
}

// open reads a kept file, drops what follows the last step that ended, and goes on behind it. Runs of another command,
// commit or machine than head names are an error.
func (j *journal) open(name string, head []byte) error {
	kept, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("-resume: %w", err)
	}
	if err := sameRuns(kept, head); err != nil {
		return fmt.Errorf("-resume: %s: %w", name, err)
	}
	whole := 0
	for at, line := 0, []byte(nil); at < len(kept); at += len(line) {
		n := bytes.IndexByte(kept[at:], '\n') + 1
		if n == 0 {
			break // a line that was not written to its end
		}
		line = kept[at : at+n]
		if step, is := bytes.CutPrefix(line, []byte(endOf)); is {
			j.ended[string(bytes.TrimSpace(step))] = true
			whole = at + n
		}
	}
	if whole == 0 {
		return fmt.Errorf("-resume: %s: no step ended; leave -resume out", name)
	}
	j.raw.Write(kept[:whole])
	if err := os.Truncate(name, int64(whole)); err != nil {
		return err
	}
	j.file, err = os.OpenFile(name, os.O_WRONLY|os.O_APPEND, 0)
	return err
}

// sameRuns returns an error if runs that were kept must not stand beside new ones.
func sameRuns(kept, head []byte) error {
	was, err := readRuns(bytes.NewReader(kept))
	if err != nil {
		return err
	}
	is, err := readRuns(bytes.NewReader(head))
	if err != nil {
		return err
	}
	for _, key := range []string{"command", "commit", "go", "system", "processors"} {
		if was.config[key] != is.config[key] {
			return fmt.Errorf("the runs in it are of %s %q, not of %q", key, was.config[key], is.config[key])
		}
	}
	return nil
}

// step runs a step, unless it has ended before, and writes what it wrote.
func (j *journal) step(name string, run func(to io.Writer) error) error {
	if j.ended[name] {
		return nil
	}
	fmt.Fprintf(j.told, "report: %v: %s\n", time.Since(j.begin).Round(time.Second), name)
	var text bytes.Buffer
	if err := run(&text); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	fmt.Fprintln(&text, endOf+name)
	return j.write(text.Bytes())
}

func (j *journal) write(text []byte) error {
	j.raw.Write(text)
	if j.file == nil {
		return nil
	}
	_, err := j.file.Write(text)
	return err
}

// close ends the file, and adds to an error how to go on.
func (j *journal) close(err error) error {
	if j.file == nil {
		return err
	}
	if err != nil {
		err = fmt.Errorf("%w\n(with -resume the report goes on from the runs in %s)", err, j.file.Name())
	}
	return errors.Join(err, j.file.Close())
}
