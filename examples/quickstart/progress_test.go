package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"
)

// showProgress shows a run that is half done for some time, and returns what was shown.
func showProgress(bar bool, every, passes time.Duration) string {
	var out bytes.Buffer
	p := &progress{&out, bar, every}
	done, stop := p.begin("write-through", 2, 6, 1000)
	done.Add(500)
	time.Sleep(passes)
	synctest.Wait()
	done.Add(500)
	stop("done")
	return out.String()
}

func TestProgressOnATerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		out := showProgress(true, 100*time.Millisecond, 150*time.Millisecond)
		if !strings.Contains(out, "3/6 write-through") || !strings.Contains(out, " 50 %") {
			t.Errorf("%q", out)
		}
		if strings.Contains(out, "\n") || !strings.HasSuffix(out, "\r\x1b[K") {
			t.Errorf("the bar does not keep to one line that is empty in the end: %q", out)
		}
		for line := range strings.SplitSeq(out, "\r") {
			if n := utf8.RuneCountInString(line); n >= 80 {
				t.Errorf("%d characters wide: %q", n, line)
			}
		}
	})
}

func TestProgressElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := "3/6 write-through 50 % after 5.0 s\n3/6 write-through done after 6.0 s\n"
		if out := showProgress(false, 5*time.Second, 6*time.Second); out != want {
			t.Errorf("%q, want %q", out, want)
		}
	})
}
