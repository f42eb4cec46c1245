package faultproxy

import (
	"bytes"
	"time"
)

// Fault is what a Proxy does to its connections. The zero Fault does nothing.
type Fault struct {
	// Refuse refuses new connections, and resets those that stand: the server is gone.
	Refuse bool
	// Reset resets every connection, new ones as soon as they stand: the server is there, and broken.
	Reset bool

	// Match and Times say which connections Requests and Replies strike: those that have sent Match since the fault was
	// set, the first Times of them. Without either it is all. Match is looked for in what comes in one piece, as a
	// command does that is not large, and what it is found in is struck already.
	Match string
	Times int

	Requests Way // what happens to what clients send
	Replies  Way // what happens to what the server sends
}

// Way is what happens to one direction of a connection. One of Stall, Delay, Cut, Drop and Late is set; the zero Way
// passes everything on.
type Way struct {
	// Stall passes nothing on until another fault is set. Then all of it is delivered, of Requests even if the client has
	// given up meanwhile: a test says what comes before the command that is late.
	Stall bool
	// Delay passes everything on so much later.
	Delay time.Duration
	// Cut passes After more bytes on, and then closes the connection.
	Cut   bool
	After int
	// Drop loses everything, and the connection stands; it loses everything also when another fault is set, since a
	// connection that lost only a part would be another thing than TCP. Of Replies: the command runs, and the client
	// never hears of it.
	Drop bool
	// Late, of Requests, holds everything until the client gives up and closes the connection, or another fault is set,
	// and then delivers it, with a Delay so much later: the command runs when nobody waits for it any more.
	Late bool
}

func (f *Fault) matches(piece []byte) bool {
	return f.Match == "" || bytes.Contains(piece, []byte(f.Match))
}
