package redisstore

import "context"

// Client sends commands to Redis for a [Store]. Packages goredisclient and rueidisclient make one of the client that an
// application has already; how it connects is the application's, and so is what bounds a call whose context does not.
//
// Commands are read from where writes go: a client that reads from replicas breaks what Store promises. All methods may
// be called by any number of goroutines.
type Client interface {
	// Do sends the commands, all for one node in one round trip and in their order, and all nodes at once. It sets
	// replies[i] to the answer of commands[i], or to the error that came in its place; the slices are of one length.
	// A command may run although its reply is an error, and may run twice, also after Do has returned: the Store's
	// commands allow it.
	//
	// What the strings of a command refer to does not change, and Do may keep it; the slices are the caller's again when
	// Do has returned. What a reply refers to is the caller's.
	Do(ctx context.Context, commands []Command, replies []Reply)

	// Sharded reports whether Redis is a cluster, where all keys of a command have to lie in one hash slot. It does not
	// wait.
	Sharded() bool
}

// Command is one command for Redis, in the three parts that it is sent in. The Keys are for a client that has to know
// which node to ask; all of them lie in one hash slot where the client is Sharded. The Store's commands always have a
// key.
type Command struct {
	Words []string // the command's name and what comes before its keys: "GET", or "EVALSHA" with its hash and "2"
	Keys  []string
	Args  []string // what comes after the keys
}

// Reply is what Redis answered to one command. The zero Reply is the empty answer, as of a GET of a key that is not
// there.
type Reply struct {
	Kind  ReplyKind
	Text  string  // of Text
	Int   int64   // of Int
	Items []Reply // of Array
	Err   error   // of Failed. The text of an error that Redis answered begins with its code, as in "NOSCRIPT …"
}

// ReplyKind says which field of a Reply has the answer.
type ReplyKind uint8

const (
	Nil ReplyKind = iota
	Text
	Int
	Array
	Failed // also where an item of an Array is an error
)

// Subscriber is a Client that can listen to what is published. A Store tells of changes only through one.
type Subscriber interface {
	// Subscribe calls ready once the subscription to channel stands, and then receive with each message, one after the
	// other. It returns when ctx ends or the connection is lost, and never subscribes again by itself: what was
	// published meanwhile would be lost, and nobody would know.
	Subscribe(ctx context.Context, channel string, ready func(), receive func(message string)) error
}
