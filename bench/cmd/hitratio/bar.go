package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/tarncache/tarn/bench/replay"
)

// bar shows how far a replay is, on a terminal; elsewhere nothing.
type bar struct {
	out   io.Writer // nil: no terminal
	shown time.Time
	trace string
}

func newBar(out io.Writer) *bar {
	if !isTerminal(out) {
		out = nil
	}
	return &bar{out: out}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// show draws the bar if the trace is another one, or the last time is a while ago.
func (b *bar) show(p replay.Progress) {
	const every, width = 100 * time.Millisecond, 30
	if b.out == nil || p.Trace == b.trace && time.Since(b.shown) < every {
		return
	}
	b.trace, b.shown = p.Trace, time.Now()
	if p.Total == 0 {
		fmt.Fprintf(b.out, "\r\x1b[K  %s  reading ", p.Trace)
		return
	}
	share := float64(p.Done) / float64(p.Total)
	full := min(int(share*width), width)
	fmt.Fprintf(b.out, "\r\x1b[K  %s  %s%s %3.0f %% ", p.Trace,
		strings.Repeat("█", full), strings.Repeat("░", width-full), 100*share)
}

// clear takes the bar away.
func (b *bar) clear() {
	if b.out != nil {
		fmt.Fprint(b.out, "\r\x1b[K")
	}
}
