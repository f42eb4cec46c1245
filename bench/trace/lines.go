package trace

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
)

// lines decodes the formats that are text, where a line asks for a run of keys, which may be one or none.
type lines struct {
	in    *bufio.Reader
	parse func(line []byte) (run, error)
	left  run
	line  int64 // from 1
}

// run is the keys from start to start+count-1.
type run struct{ start, count uint64 }

// A line that asks for more keys, or is longer, than any that was ever recorded is a sign of damage, and a reader
// that took it at its word would not come to an end.
const (
	maxRun  = 1 << 24
	maxLine = 1 << 16
)

var (
	errRun      = fmt.Errorf("the line asks for more than %d keys", maxRun)
	errLine     = fmt.Errorf("the line is longer than %d bytes", maxLine)
	errNumber   = errors.New("not a whole number from 0 to 2^64-1")
	errBeyond   = errors.New("the keys that the line asks for go beyond 2^64-1")
	errTooFew   = errors.New("the line has fewer than two fields")
	errOneField = errors.New("the line has more than one field")
)

func (d *lines) decode(keys []uint64) (n int, err error) {
	for n < len(keys) {
		if d.left.count > 0 {
			keys[n] = d.left.start
			n++
			d.left.start++
			d.left.count--
			continue
		}
		if err := d.next(); err != nil {
			return n, err
		}
	}
	return n, nil
}

// next reads a line. The last one need not end.
func (d *lines) next() error {
	text, err := d.in.ReadSlice('\n')
	if len(text) == 0 && err == io.EOF {
		return err
	}
	d.line++
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return errLine
	case err != nil && err != io.EOF:
		return err
	}
	d.left, err = d.parse(bytes.TrimSpace(text))
	return err
}

func (d *lines) position() string { return fmt.Sprintf("line %d", d.line) }

func parseARC(line []byte) (run, error) {
	if len(line) == 0 {
		return run{}, nil
	}
	first, rest := field(line)
	second, _ := field(rest)
	if len(second) == 0 {
		return run{}, errTooFew
	}
	start, err := number(first)
	if err != nil {
		return run{}, fmt.Errorf("the first key: %w", err)
	}
	count, err := number(second)
	switch {
	case err != nil:
		return run{}, fmt.Errorf("the count of keys: %w", err)
	case count > maxRun:
		return run{}, errRun
	case count > 0 && start > math.MaxUint64-(count-1):
		return run{}, errBeyond
	}
	return run{start, count}, nil
}

func parseLIRS(line []byte) (run, error) {
	if len(line) == 0 || line[0] == '*' {
		return run{}, nil
	}
	first, rest := field(line)
	if len(rest) > 0 {
		return run{}, errOneField
	}
	key, err := number(first)
	if err != nil {
		return run{}, fmt.Errorf("the key: %w", err)
	}
	return run{key, 1}, nil
}

// field cuts the first field off a line without space at its ends.
func field(line []byte) (first, rest []byte) {
	i := bytes.IndexAny(line, " \t")
	if i < 0 {
		return line, nil
	}
	return line[:i], bytes.TrimLeft(line[i:], " \t")
}

func number(digits []byte) (uint64, error) {
	if len(digits) == 0 {
		return 0, errNumber
	}
	var n uint64
	for _, c := range digits {
		d := uint64(c - '0')
		if d > 9 || n > math.MaxUint64/10 || n*10 > math.MaxUint64-d {
			return 0, errNumber
		}
		n = n*10 + d
	}
	return n, nil
}
