package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// progress shows how far the runs are: a bar on a terminal, a line now and then otherwise.
type progress struct {
	out   io.Writer
	bar   bool
	every time.Duration
}

func newProgress(out io.Writer) *progress {
	if isTerminal(out) {
		return &progress{out, true, 100 * time.Millisecond}
	}
	return &progress{out, false, 5 * time.Second}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// begin shows a run of so many operations until stop is called with the word for how it ended; the run counts
// them in done.
func (p *progress) begin(name string, run, runs, operations int) (done *atomic.Int64, stop func(word string)) {
	done = new(atomic.Int64)
	start := time.Now()
	title := fmt.Sprintf("%d/%d %-13s", run+1, runs, name)
	show := func() { p.show(title, float64(done.Load())/float64(operations), time.Since(start)) }
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(p.every)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				show()
			case <-end:
				return
			}
		}
	}()
	if p.bar {
		show()
	}
	return done, func(word string) {
		close(end)
		<-ended
		p.finish(title, word, time.Since(start))
	}
}

func (p *progress) show(title string, share float64, elapsed time.Duration) {
	if !p.bar {
		fmt.Fprintf(p.out, "%s %.0f %% after %.1f s\n", title, 100*share, elapsed.Seconds())
		return
	}
	const width = 30
	full := min(int(share*width), width)
	fmt.Fprintf(p.out, "\r  %s %s%s %3.0f %%  %.1f s ", title,
		strings.Repeat("█", full), strings.Repeat("░", width-full), 100*share, elapsed.Seconds())
}

// finish takes the bar away, for the next one or the table, or says in a line that the run is over.
func (p *progress) finish(title, word string, elapsed time.Duration) {
	if p.bar {
		fmt.Fprint(p.out, "\r\x1b[K")
		return
	}
	fmt.Fprintf(p.out, "%s %s after %.1f s\n", title, word, elapsed.Seconds())
}

// end separates the lines of the runs from what follows. Of a bar nothing is left.
func (p *progress) end() {
	if !p.bar {
		fmt.Fprintln(p.out)
	}
}
