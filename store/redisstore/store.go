package redisstore

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/ttl"
)

// Config says how a [Store] keeps its entries. All processes that share a namespace have the same, but for Observer,
// Heartbeat and HeartbeatTimeout. Only Namespace is required.
type Config[K comparable, V any] struct {
	// Namespace tells the store's keys from others in Redis. It is part of each Redis key. It has no braces and no
	// control characters, is UTF-8, and of 128 bytes or less.
	Namespace string

	// Partitions is into how many parts the namespace is divided, each of which lies on one node of a cluster. It stays as
	// it is for as long as the namespace lives: with another number the store finds nothing of what it has. 0: 256.
	Partitions int

	// AppendKey appends the bytes of a key to dst and returns the longer slice. No two keys have the same bytes, and a
	// key always has the same. Nil: keys are kinds of strings or integers, or have MarshalText. Where they have
	// UnmarshalText too, a key that does not come back equal is an error, as a [time.Time] that is not of UTC() is.
	AppendKey func(dst []byte, key K) ([]byte, error)

	// ParseKey is the way back. Nil, where there is an AppendKey, and keys that have MarshalText without UnmarshalText:
	// the store cannot be scanned, and a Watch is told that everything may have changed whenever something has, so that a
	// write of one key drops the near copies of all in the other processes.
	ParseKey func(src []byte) (K, error)

	// Codec turns values into bytes and back. Nil: that of [codec.For], which keeps kinds of []byte and string as they
	// are, and makes JSON of anything else.
	// Unlike a value in memory, one that went through JSON has lost its unexported fields.
	Codec codec.Codec[V]

	// Layers work on what the codec made, the first one first: [codec.Compressed], [codec.Encrypted].
	Layers []codec.Layer

	// MaxLife caps the life of every entry, also of one that never expires. 0: 24 hours. [ttl.Forever]: no cap.
	MaxLife time.Duration

	// MaxValue is how many bytes the codec may make of a value. A larger one is refused with [tarn.ErrTooHeavy], and
	// one that is found in Redis is undecodable. 0: 8 MiB.
	MaxValue int

	// WireVersion is the version of the format to write, for the time in which processes with a newer and an older
	// version of this package share a namespace: what an older one cannot read it takes for missing, and it knows
	// nothing of such holds. Let all write the older version until all are new. 0: the newest, which is 1.
	WireVersion int

	// Unpublished tells nobody of changes. It saves a message with every change, where no process keeps near copies of
	// this namespace; those that did would keep old values until these expire. The Store is then no Watcher.
	Unpublished bool

	// Heartbeat is how often a Watch asks Redis whether it has missed a message. 0: a second.
	Heartbeat time.Duration

	// HeartbeatTimeout is how long a Watch waits for the answer, and for messages that are on their way. Near copies
	// are older than the store by no more than Heartbeat and HeartbeatTimeout together. 0: a second.
	HeartbeatTimeout time.Duration

	// Observer is told of [tarn.EventUndecodable]. Nil: nobody is told.
	Observer tarn.Observer
}

const (
	defaultMaxLife   = 24 * time.Hour
	defaultHeartbeat = time.Second
)

// Store keeps entries in Redis, for all processes that have one with the same namespace. All of its methods may be
// called by any number of goroutines. It has no goroutines, and need not be closed.
type Store[K comparable, V any] struct {
	client   Client
	names    *keyNames[K]
	payloads payloads[V]
	clock    ttl.Clock
	clocks   []serverClock // by partition; of one server only the first is used
	counter  atomic.Uint64 // the highest that this process has seen the counter of invalidations at
	gone     gone
	maxLife  time.Duration
	channel  string
	scripts  scripts
	wire     string // the version that is written
	newest   byte   // the version up to which is read
	observer tarn.Observer
	counts   counts
	renewals renewals

	publisher        string // 8 bytes
	published        bool
	heartbeat        time.Duration
	heartbeatTimeout time.Duration

	evalsha [4][]string // what a call of the script begins with, by the number of its keys
	reads   sync.Pool   // of *read
}

// New returns a Store. It sends nothing yet. It panics if client is nil or the Config makes no sense.
func New[K comparable, V any](client Client, cfg Config[K, V]) *Store[K, V] {
	if client == nil {
		panic("redisstore: New: client is nil")
	}
	cfg.check()
	s := &Store[K, V]{
		client:           client,
		names:            newKeyNames(cfg.Namespace, cfg.Partitions, cfg.AppendKey, cfg.ParseKey),
		payloads:         newPayloads(cfg.Namespace, cfg.Codec, cfg.Layers, cfg.MaxValue),
		clock:            ttl.NewClock(),
		maxLife:          min(cmp.Or(cfg.MaxLife, defaultMaxLife), forever),
		channel:          channelOf(cfg.Namespace),
		newest:           newestVersion,
		wire:             string([]byte{newestVersion}),
		observer:         cfg.Observer,
		publisher:        newID(),
		published:        !cfg.Unpublished,
		heartbeat:        cmp.Or(cfg.Heartbeat, defaultHeartbeat),
		heartbeatTimeout: cmp.Or(cfg.HeartbeatTimeout, defaultHeartbeat),
	}
	if cfg.WireVersion != 0 {
		s.wire = string([]byte{oldestVersion + byte(cfg.WireVersion-1)})
	}
	s.clocks = make([]serverClock, len(s.names.records))
	s.renewals.turn = make(chan struct{}, 1)
	s.use(newScripts(cfg.Namespace, s.newest))
	s.reads.New = func() any { return newRead() }
	return s
}

func (s *Store[K, V]) use(scripts scripts) {
	s.scripts = scripts
	for n := range s.evalsha {
		s.evalsha[n] = []string{"EVALSHA", scripts.hash, strconv.Itoa(n)}
	}
}

func (c Config[K, V]) check() {
	switch {
	case c.MaxLife < 0:
		panic(fmt.Sprintf("redisstore: Config.MaxLife is negative: %v", c.MaxLife))
	case c.Heartbeat < 0:
		panic(fmt.Sprintf("redisstore: Config.Heartbeat is negative: %v", c.Heartbeat))
	case c.HeartbeatTimeout < 0:
		panic(fmt.Sprintf("redisstore: Config.HeartbeatTimeout is negative: %v", c.HeartbeatTimeout))
	case c.WireVersion < 0 || c.WireVersion > newestVersion-oldestVersion+1:
		panic(fmt.Sprintf("redisstore: Config.WireVersion is not between 1 and %d: %d",
			newestVersion-oldestVersion+1, c.WireVersion))
	}
}

// Clock returns the clock by which the deadlines of entries go. It is this process's: in Redis, deadlines are kept by
// the server's.
func (s *Store[K, V]) Clock() ttl.Clock { return s.clock }

// newID returns 8 random bytes.
func newID() string {
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], rand.Uint64())
	return string(b[:])
}

// call returns the command of an operation on a key. keys is how many keys the script is given: the record, the key,
// and the lease on what stands under it.
func (s *Store[K, V]) call(op string, name keyName, keys int, args ...string) Command {
	all := make([]string, 3)
	all[0], all[1] = s.names.record(name.partition), name.redis
	if keys == 3 {
		all[2] = refreshKey(all[0], name.redis)
	}
	long := ""
	if name.hashed() {
		long = name.bytes
	}
	words := append(make([]string, 0, 5+len(args)), op, s.wire, newID(), s.who(s.publisher, name.partition), long)
	return Command{Words: s.evalsha[keys], Keys: all[:keys], Args: append(words, args...)}
}

// idOf returns the operation's ID, which a value that it stores has.
func idOf(called Command) string { return called.Args[2] }

// refreshKey returns the Redis key of the lease on what stands under a Redis key.
func refreshKey(record, redis string) string {
	braces := len(record) - 1
	return redis[:braces] + "f" + redis[braces:]
}

// callPartition returns the command of an operation on a partition.
func (s *Store[K, V]) callPartition(op string, partition int) Command {
	return Command{
		Words: s.evalsha[1], Keys: []string{s.names.record(partition)},
		Args: []string{op, s.wire, newID(), s.who(s.publisher, partition)},
	}
}

// who returns the publisher of a message and the partition; nothing if there are to be no messages.
func (s *Store[K, V]) who(publisher string, partition int) string {
	if !s.published {
		return ""
	}
	return publisher + string([]byte{byte(partition >> 8), byte(partition)})
}

// lives returns the arguments that say what to store: life, freshness, kind and payload, and the tags that are stored
// with it. Of an entry that has expired, or whose tags were invalidated, the life is empty. Tags without a stamp get the
// present one, if that is right for them.
func (s *Store[K, V]) lives(
	name keyName, e *tarn.Entry[V], t *tagging, present bool,
) (args [4]string, tags *tarn.Tags, err error) {
	now := s.clock.Now()
	life := s.life(e.Expires, now)
	if life == 0 {
		return args, nil, nil
	}
	tags, ok, err := t.stamped(e.Tags, present)
	if !ok {
		return args, nil, err
	}
	payload := appendMarks(make([]byte, 0, 64), e.Rescued, tags)
	kind, name := byte(kindValue), name.marked(string(payload))
	if e.Negative {
		kind, payload = kindNegative, s.payloads.appendNone(payload, name)
	} else if payload, err = s.payloads.append(payload, name, e.Value); err != nil {
		return args, nil, err
	}
	t.use(tags, life)
	if e.Fresh != 0 && e.Fresh != ttl.End {
		args[1] = strconv.FormatInt(min(max(e.Fresh.Sub(now), -forever), forever).Milliseconds(), 10)
	}
	args[0], args[2], args[3] = strconv.FormatInt(life, 10), string(rune(kind)), string(payload)
	return args, tags, nil
}

// Set gives key an entry. A key that a writer holds is [tarn.ErrHeld]. A value that cannot be encoded or is too large,
// and a Redis that is full, leave the key empty.
//
// Where the connection fails, Redis may still run the Set, later: after a Delete that was sent later, for example,
// which is what leases and holds are for. Strategies use them.
func (s *Store[K, V]) Set(ctx context.Context, key K, e tarn.Entry[V]) error {
	if err := ctx.Err(); err != nil {
		return wrap("set", err)
	}
	t := s.tagging(ctx, e.Tags)
	set, err := s.setting(key, &e, t)
	if err != nil {
		return wrap("set", err)
	}
	var reply [1]Reply
	s.runTagged(ctx, t, []Command{set.command}, reply[:])
	return wrap("set", set.outcome(reply[0], t))
}

// set is a Set to be sent.
type set struct {
	command Command
	refused error      // if it is not nil, the command empties the key
	tags    *tarn.Tags // of what it stores
}

func (s *Store[K, V]) setting(key K, e *tarn.Entry[V], t *tagging) (set set, err error) {
	name, err := s.names.name(key)
	if err != nil {
		return set, err
	}
	args, tags, refused := s.lives(name, e, t, true)
	set.command, set.refused, set.tags = s.call("set", name, 2, args[:]...), refused, tags
	return set, nil
}

func (s *set) outcome(r Reply, t *tagging) error {
	switch {
	case r.Err != nil:
		return r.Err
	case r.Text == "held":
		return tarn.ErrHeld
	case r.Text != "stored":
		return errReply
	case s.refused != nil:
		return s.refused
	}
	_, err := t.stood(s.tags)
	return err
}

// Delete removes the entry of key and voids its lease. Holds stay, tainted. A full Redis does not hinder it.
func (s *Store[K, V]) Delete(ctx context.Context, key K) error {
	name, err := s.writing(ctx, key)
	if err != nil {
		return wrap("delete", err)
	}
	return wrap("delete", answered(s.one(ctx, s.call("delete", name, 2)), "deleted"))
}

// writing returns the name of a key that is about to be written.
func (s *Store[K, V]) writing(ctx context.Context, key K) (keyName, error) {
	if err := ctx.Err(); err != nil {
		return keyName{}, err
	}
	return s.names.name(key)
}

func wrap(op string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("redisstore: %s: %w", op, err)
}
