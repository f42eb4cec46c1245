package crash

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
)

// Message is what a child tells. Each is a line, and one write to the pipe, so that a child that is killed tells all
// of it or nothing.
type Message struct {
	Kind    Kind
	Key, Op int64
	Begin   int64 // of Read, and of Appended
	End     int64
	N       int64
	Text    string // of Refused, Failed, Unwritten and Closed
}

// Kind says what a child tells.
type Kind byte

const (
	Ready        Kind = 'r' // the cache is open; N records were replayed; at End
	Asked        Kind = 'b' // a write of Key begins; only deletes tell, unless there are readers; N as below
	Acknowledged Kind = 'a' // a write of Key returned at End; N is 1 if it was a delete
	Refused      Kind = 'x' // a write of Key was not accepted
	Failed       Kind = 'f' // a write of Key may have been accepted, or not, says Text
	Read         Kind = 'g' // Op was read of Key; 0: nothing
	Appended     Kind = 's' // the journal has appended something
	Unwritten    Kind = 'u' // of Key something is left, as Text says
	Closed       Kind = 'c' // Close has returned, with the error Text
	Counted      Kind = 'n' // caller Key has added Op times; N is 1 if it goes on from there
)

// What is Unwritten is one of these.
const (
	leftKey  = "key"  // Close said that Key is unwritten
	leftOp   = "op"   // it is pending, with the number N
	leftLate = "late" // the source did it, and its context had ended by then
)

func (m *Message) append(line []byte) []byte {
	line = append(line, byte(m.Kind))
	for _, n := range []int64{m.Key, m.Op, m.Begin, m.End, m.N} {
		line = append(line, ' ')
		line = strconv.AppendInt(line, n, 10)
	}
	line = append(line, ' ')
	line = append(line, strings.ReplaceAll(m.Text, "\n", " / ")...)
	return append(line, '\n')
}

func parseMessage(line string) (m Message, err error) {
	words := strings.SplitN(line, " ", 7)
	if len(words) != 7 || len(words[0]) != 1 {
		return m, fmt.Errorf("crash: a child says %q", line)
	}
	m.Kind, m.Text = Kind(words[0][0]), words[6]
	for i, to := range []*int64{&m.Key, &m.Op, &m.Begin, &m.End, &m.N} {
		if *to, err = strconv.ParseInt(words[i+1], 10, 64); err != nil {
			return m, fmt.Errorf("crash: a child says %q: %w", line, err)
		}
	}
	return m, nil
}

// teller tells messages.
type teller struct {
	mu   sync.Mutex // protects out, line
	out  io.Writer
	line []byte
}

func (t *teller) tell(messages ...Message) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.line = t.line[:0]
	for i := range messages {
		t.line = messages[i].append(t.line)
	}
	_, _ = t.out.Write(t.line) // whoever does not listen any more ends this process
}

// listen calls hear for each message, until there are no more. Of the last line, the end may be missing.
func listen(in io.Reader, hear func(m Message)) error {
	lines := bufio.NewReaderSize(in, 1<<16)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			return nil
		}
		m, err := parseMessage(strings.TrimSuffix(line, "\n"))
		if err != nil {
			return err
		}
		hear(m)
	}
}
