// Package tiered makes one store of two: a near one in this process, and a far one that several processes share. What
// was read from the far store is kept near and answered from there, until it expires or the far store tells that
// somebody has changed it.
//
//	far := redisstore.New(client, redisstore.Config[int64, User]{Namespace: "users"})
//	near := memory.New(memory.Options[int64, User]{MaxEntries: 100_000})
//	store := tiered.New(near, far)
//	defer store.Close()
//
// The result is a [tarn.Store] with all that the far store can do, for a strategy to be put in front of.
//
// # What it promises
//
// A read that begins after a write was acknowledged, in any process, returns that value or a later one: in the process
// that wrote at once, in the others after a delay whose bound the far store states, which for redisstore is its
// heartbeat and the time limit for that. The bound holds while messages are lost, while the connection is, and while
// the far store is down: a process that cannot know whether its copies are old does not answer from them.
//
// In the process that changes a key, reads do not go back while it does: one that begins after another has returned
// does not return an older value than that. In another process only the bound holds. Until it is over, a read that finds
// no copy may return the new value of the far store, and a later one the old value of a copy that was just being made.
// For this a second Store in the same process is another process.
//
// Both are said of changes that the far store has answered. One that failed, such as a Set whose reply did not come, may
// be carried out later, of which a far store tells the others, and not the process that it came from: a copy that this
// one has made by then may differ until it expires or the key is changed or deleted again.
//
// # How it keeps it
//
// The far store tells of changes, as a [tarn.Watcher]. Copies are trusted until an instant that it tells; that instant
// moves on as long as everything that has changed has been told. If messages were lost, all copies are dropped, and
// none is trusted or made until the far store can vouch for them again.
//
// The race that is left is between a read of the far store and a change of what it reads:
//
//	reader                      watcher
//	read far: old value
//	                            told: the key has changed
//	                            drop the copy, of which there is none
//	keep a copy: the old value stays
//
// So a reader takes a lease on its key in the near store before it reads the far one, and notes how often trust was
// lost until then. What the watcher is told voids the lease, and a reader for whom either has moved keeps no copy.
//
// A change goes to the far store, and holds its keys in the near one until it returns, whatever becomes of it: they have
// no copies meanwhile, and nobody makes any. It leaves none either, for it cannot know whether a later one has come in
// between, but for a Fill, which keeps its copy if nothing has. While the far store is cleared, no copy is trusted.
// Leases and holds that a strategy asks for are the far store's.
//
// An entry's tags are stamped by the far store, whose moments say nothing to the near one. So the copy of such an entry
// has the same tags as of the near store's moment before the far one was read, and is answered with those that it was
// made of. An invalidated tag that the watcher is told of is invalidated in the near store too: that drops the copies
// that there are, and those that are being made of what was read before. Where the Store itself invalidates tags,
// copies of entries that have one are dropped before the far store is told, none is made until it has answered, and
// what is being made by then is dropped too. A near store that is no [tarn.Tagger] has no copies of entries with
// tags.
//
// A near store that is no [tarn.Holder] has its copies dropped before a change and again after it, and none is made by a
// Fill. What a reader has begun to copy in between may be answered until the change returns: until then reads can go back
// in its own process, too. The same goes for a key that has 1024 changes under way at once in store/memory, and for a
// change that takes the far store longer than an hour.
//
// With the far store down, copies are answered as long as they are trusted. Everything else is its error, so that a
// strategy asks the source. That is no second cache for an outage: trust ends with the connection to the far store, and
// with one that hangs after the bound above.
package tiered

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
	"github.com/tarncache/tarn/ttl"
)

// Store is a near store in front of a far one. Make one with [New].
//
// What it can do beyond Get, Set and Delete, and leases and holds, is what the far store can do: [tarn.As] tells. The
// methods of what the far store cannot do return [errors.ErrUnsupported].
//
// A hit in the near store allocates nothing, if it allocates nothing there, and does not wait.
type Store[K comparable, V any] struct {
	near nearParts[K, V]
	far  farParts[K, V]

	ahead time.Duration // of the far store's clock to the near one's
	life  time.Duration // of a copy, at most; 0: as long as the far store's entry

	trust   trust
	leaving leaving // tags that are being invalidated
	counts  counts
	closed  atomic.Bool
	cancel  context.CancelFunc // ends the goroutine that watches
	ended   chan struct{}      // closed when it has ended; nil: there is none
}

// nearParts are what is needed of the near store, and what is used if it is there.
type nearParts[K comparable, V any] struct {
	tarn.Store[K, V]
	leaser  tarn.Leaser[K, V]
	clearer tarn.Clearer
	holder  tarn.Holder[K, V]     // nil: copies are dropped before a change and after it
	batch   tarn.BatchStore[K, V] // nil: key by key
	tagger  tarn.Tagger           // nil: entries with tags have no copies
	hitter  tarn.Hitter[K, V]     // nil: Hit says nothing
	gated   tarn.Hitter[K, V]     // answers while copies are trusted; nil: Hit reads the clock for that, maybe once more
	clock   ttl.Clock
}

// gater is a store whose hits can be bound to an instant of its clock, as store/memory is: of one reading of the clock it
// learns that a copy has not expired and that it is trusted.
type gater[K comparable, V any] interface {
	Gated(until func() ttl.Time) tarn.Hitter[K, V]
}

// farParts are what is needed of the far store, and what is offered if it is there.
type farParts[K comparable, V any] struct {
	tarn.Store[K, V]
	leaser   tarn.Leaser[K, V]
	holder   tarn.Holder[K, V]
	watcher  tarn.Watcher[K] // nil: Unwatched
	batch    tarn.BatchStore[K, V]
	adder    tarn.Adder[K, V]
	toucher  tarn.Toucher[K, V]
	computer tarn.Computer[K, V]
	clearer  tarn.Clearer
	scanner  tarn.Scanner[K, V]
	tagger   tarn.Tagger
	clocker  tarn.Clocker
	clock    ttl.Clock
}

// New returns a Store that keeps copies of far's entries in near. What is in near already is dropped, and nobody else
// may use near from now on: it belongs to the Store alone, and whatever somebody else writes there, as by loading a
// snapshot, is answered although it may be older than the far store allows. Both are the caller's, who closes what can be
// closed of them after the Store.
//
// In this process, far is used through the Store alone: a far store tells nobody what was changed through itself. A
// second Store takes another one that is connected to the same place.
//
// New panics if near is not a [tarn.Leaser] and a [tarn.Clearer], which should be a [tarn.Holder] and a [tarn.Tagger]
// too, as store/memory is: one that gives an entry back with the very *Tags that it was stored with. It panics if far
// is not a Leaser, a Holder and, without [Unwatched], a [tarn.Watcher]. A far store that only may be one, because it
// depends on its connection, says so through its As.
//
// It starts a goroutine, which listens to what the far store tells until Close ends it; with Unwatched there is none.
// Until the far store has spoken for the first time, all reads go there.
func New[K comparable, V any](near, far tarn.Store[K, V], opts ...Option) *Store[K, V] {
	var o options
	for _, option := range opts {
		if option == nil {
			panic("tiered: New: an option is nil")
		}
		option(&o)
	}
	s := &Store[K, V]{near: partsOfNear(near), far: partsOfFar(far, o), life: o.life}
	if s.life == ttl.Forever {
		s.life = 0
	}
	if s.far.tagger == nil {
		s.near.tagger = nil // no entry has tags
	}
	s.ahead = s.far.clock.Ahead(s.near.clock)
	s.trust.init(s.near.clearer.Clear, o.unwatched)
	s.gate(near)
	if o.unwatched {
		s.cancel = func() {}
		return s
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel, s.ended = cancel, make(chan struct{})
	go s.watch(ctx)
	return s
}

func partsOfNear[K comparable, V any](near tarn.Store[K, V]) (p nearParts[K, V]) {
	if isNil(near) {
		panic("tiered: New: near is nil")
	}
	p.Store = near
	p.leaser = require[tarn.Leaser[K, V]]("near", near)
	p.clearer = require[tarn.Clearer]("near", near)
	p.holder, _ = tarn.As[tarn.Holder[K, V]](near)
	p.batch, _ = tarn.As[tarn.BatchStore[K, V]](near)
	p.tagger, _ = tarn.As[tarn.Tagger](near)
	p.hitter, _ = tarn.As[tarn.Hitter[K, V]](near)
	p.clock, _ = clockOf(near)
	return p
}

// gate has the near store ask itself whether copies are trusted, where it can.
func (s *Store[K, V]) gate(near tarn.Store[K, V]) {
	_, sameClock := tarn.As[tarn.Clocker](near)
	if g, ok := tarn.As[gater[K, V]](near); ok && sameClock {
		s.near.gated = g.Gated(func() ttl.Time { return s.trust.now.Load().until })
	}
}

func partsOfFar[K comparable, V any](far tarn.Store[K, V], o options) (p farParts[K, V]) {
	if isNil(far) {
		panic("tiered: New: far is nil")
	}
	p.Store = far
	p.leaser = require[tarn.Leaser[K, V]]("far", far)
	p.holder = require[tarn.Holder[K, V]]("far", far)
	if !o.unwatched {
		p.watcher = require[tarn.Watcher[K]]("far, without the option Unwatched,", far)
	}
	p.batch, _ = tarn.As[tarn.BatchStore[K, V]](far)
	p.adder, _ = tarn.As[tarn.Adder[K, V]](far)
	p.toucher, _ = tarn.As[tarn.Toucher[K, V]](far)
	p.computer, _ = tarn.As[tarn.Computer[K, V]](far)
	p.clearer, _ = tarn.As[tarn.Clearer](far)
	p.scanner, _ = tarn.As[tarn.Scanner[K, V]](far)
	p.tagger, _ = tarn.As[tarn.Tagger](far)
	p.clock, p.clocker = clockOf(far)
	return p
}

// require returns the capability T of a store that has to have it.
func require[T any](name string, store any) T {
	t, ok := tarn.As[T](store)
	if !ok {
		panic(fmt.Sprintf("tiered: New: %s offers no %v", name, reflect.TypeFor[T]()))
	}
	return t
}

// clockOf returns the clock of a store, or one that stands in for it.
func clockOf(store any) (ttl.Clock, tarn.Clocker) {
	if c, ok := tarn.As[tarn.Clocker](store); ok {
		return c.Clock(), c
	}
	return ttl.NewClock(), nil
}

func isNil(x any) bool {
	if x == nil {
		return true
	}
	v := reflect.ValueOf(x)
	return v.Kind() == reflect.Pointer && v.IsNil()
}

// Close ends the Store's goroutine and waits for it. From then on every operation returns [tarn.ErrClosed]; the near
// and the far store stay as they are, for who made them to close. Close returns nil, and may be called again.
func (s *Store[K, V]) Close() error {
	s.closed.Store(true)
	s.cancel()
	if s.ended != nil {
		<-s.ended
	}
	s.trust.end()
	return nil
}

// Clock returns the far store's clock, by which the deadlines of entries go.
func (s *Store[K, V]) Clock() ttl.Clock { return s.far.clock }

// As offers what the Store can do with these two stores.
func (s *Store[K, V]) As(target any) bool {
	switch t := target.(type) {
	case *tarn.BatchStore[K, V]:
		return offer(t, tarn.BatchStore[K, V](s), s.far.batch != nil)
	case *tarn.Adder[K, V]:
		return offer(t, tarn.Adder[K, V](s), s.far.adder != nil)
	case *tarn.Toucher[K, V]:
		return offer(t, tarn.Toucher[K, V](s), s.far.toucher != nil)
	case *tarn.Computer[K, V]:
		return offer(t, tarn.Computer[K, V](s), s.far.computer != nil)
	case *tarn.Clearer:
		return offer(t, tarn.Clearer(s), s.far.clearer != nil)
	case *tarn.Scanner[K, V]:
		return offer(t, tarn.Scanner[K, V](s), s.far.scanner != nil)
	case *tarn.TagInvalidator:
		return offer(t, tarn.TagInvalidator(s), s.far.tagger != nil)
	case *tarn.Tagger:
		return offer(t, tarn.Tagger(s), s.far.tagger != nil)
	case *tarn.Clocker:
		return offer(t, tarn.Clocker(s), s.far.clocker != nil)
	case *tarn.Hitter[K, V]:
		if s.near.gated != nil {
			return offer(t, s.near.gated, true) // one function less for a value to be copied by
		}
		return offer(t, tarn.Hitter[K, V](s), s.near.hitter != nil)
	}
	return capability.Of(s, target)
}

func offer[T any](target *T, t T, offered bool) bool {
	if offered {
		*target = t
	}
	return offered
}

var (
	_ tarn.Store[string, int]      = (*Store[string, int])(nil)
	_ tarn.BatchStore[string, int] = (*Store[string, int])(nil)
	_ tarn.Adder[string, int]      = (*Store[string, int])(nil)
	_ tarn.Toucher[string, int]    = (*Store[string, int])(nil)
	_ tarn.Computer[string, int]   = (*Store[string, int])(nil)
	_ tarn.Clearer                 = (*Store[string, int])(nil)
	_ tarn.Scanner[string, int]    = (*Store[string, int])(nil)
	_ tarn.Hitter[string, int]     = (*Store[string, int])(nil)
	_ tarn.Clocker                 = (*Store[string, int])(nil)
	_ tarn.Leaser[string, int]     = (*Store[string, int])(nil)
	_ tarn.Holder[string, int]     = (*Store[string, int])(nil)
	_ tarn.Tagger                  = (*Store[string, int])(nil)
	_ tarn.Wrapper                 = (*Store[string, int])(nil)
)
