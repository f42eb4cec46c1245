package redistest

import (
	"bufio"
	"fmt"
	"io"
	"strconv"

	"github.com/tarncache/tarn/store/redisstore"
)

// ServerError is an error that Redis answered; its text begins with its code.
type ServerError string

func (e ServerError) Error() string { return string(e) }

// appendCommand appends a command as an array of bulk strings, as both versions of the protocol want it.
func appendCommand(dst []byte, c redisstore.Command) []byte {
	dst = append(dst, '*')
	dst = strconv.AppendInt(dst, int64(len(c.Words)+len(c.Keys)+len(c.Args)), 10)
	dst = append(dst, '\r', '\n')
	for _, part := range [...][]string{c.Words, c.Keys, c.Args} {
		for _, s := range part {
			dst = append(dst, '$')
			dst = strconv.AppendInt(dst, int64(len(s)), 10)
			dst = append(dst, '\r', '\n')
			dst = append(dst, s...)
			dst = append(dst, '\r', '\n')
		}
	}
	return dst
}

// readReply reads one answer of either version of the protocol (https://redis.io/docs/latest/develop/reference/protocol-spec).
// A map is an Array of its keys and values, a boolean an Int, and a number that is no integer a Text. The error says that
// the connection is of no use any more.
func readReply(r *bufio.Reader) (redisstore.Reply, error) {
	kind, line, err := readLine(r)
	if err != nil {
		return redisstore.Reply{}, err
	}
	switch kind {
	case '+', ',', '(':
		return redisstore.Reply{Kind: redisstore.Text, Text: line}, nil
	case '-':
		return failed(ServerError(line)), nil
	case '_':
		return redisstore.Reply{}, nil
	case '#':
		return integer(map[string]int64{"t": 1}[line]), nil
	}
	n, err := strconv.ParseInt(line, 10, 64)
	if err != nil {
		return redisstore.Reply{}, fmt.Errorf("redistest: reply: %w", err)
	}
	switch kind {
	case ':':
		return integer(n), nil
	case '$', '=', '!':
		return readBulk(r, kind, n)
	case '*', '~', '>':
		return readArray(r, n)
	case '%':
		return readArray(r, 2*n)
	}
	return redisstore.Reply{}, fmt.Errorf("redistest: reply of unknown type %q", kind)
}

func failed(err error) redisstore.Reply { return redisstore.Reply{Kind: redisstore.Failed, Err: err} }

func integer(n int64) redisstore.Reply { return redisstore.Reply{Kind: redisstore.Int, Int: n} }

func readLine(r *bufio.Reader) (kind byte, rest string, err error) {
	line, err := r.ReadString('\n')
	if err != nil {
		return 0, "", err
	}
	if len(line) < 3 || line[len(line)-2] != '\r' {
		return 0, "", fmt.Errorf("redistest: reply: a line of %d bytes without an end", len(line))
	}
	return line[0], line[1 : len(line)-2], nil
}

func readBulk(r *bufio.Reader, kind byte, n int64) (redisstore.Reply, error) {
	if n < 0 {
		return redisstore.Reply{}, nil
	}
	text := make([]byte, n+2)
	if _, err := io.ReadFull(r, text); err != nil {
		return redisstore.Reply{}, err
	}
	s := string(text[:n])
	switch {
	case kind == '!':
		return failed(ServerError(s)), nil
	case kind == '=' && n >= 4:
		s = s[4:] // its format, as in "txt:"
	}
	return redisstore.Reply{Kind: redisstore.Text, Text: s}, nil
}

func readArray(r *bufio.Reader, n int64) (redisstore.Reply, error) {
	if n < 0 {
		return redisstore.Reply{}, nil
	}
	a := redisstore.Reply{Kind: redisstore.Array, Items: make([]redisstore.Reply, 0, min(n, 1024))}
	for range n {
		item, err := readReply(r)
		if err != nil {
			return redisstore.Reply{}, err
		}
		a.Items = append(a.Items, item)
	}
	return a, nil
}
