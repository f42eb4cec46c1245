// Package farstore has a store that several processes share, all of them in this one, and that tells each of what the
// others change: what a [tarn.Watcher] behind a network is, for tests by the clock of testing/synctest. Messages can be
// dropped and delayed, and so change places; connections are lost; the store is slow, or down.
//
//	far := farstore.New(memory.New(memory.Options[string, int]{MaxEntries: 100}))
//	a, b := far.View(), far.View()
//
// Messages are numbered. A View compares the numbers with what it was told, and once in a [Heartbeat] with what the
// store says it has sent, as package redisstore does with Redis.
package farstore

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

const (
	Heartbeat = time.Second            // how often a View asks for the number of the last message
	Timeout   = time.Second            // how long it waits for messages that it was told are on their way
	Backoff   = 100 * time.Millisecond // how long it leaves a connection alone that it could not make

	// Bound is how long after a change has returned nobody answers from a copy that is older.
	Bound = Heartbeat + Timeout
)

// ErrDown is what every operation returns while the store is down.
var ErrDown = errors.New("farstore: the store is down")

var errConnection = errors.New("farstore: no connection")

// Far is the store that is shared. Processes use it by their Views.
type Far[K comparable, V any] struct {
	parts[K, V]

	mu    sync.Mutex // held during each operation; protects all below
	seq   uint64     // the number of the last message
	holds map[K]map[tarn.Token]ttl.Time
	views []*View[K, V]
	down  bool
	slow  time.Duration
	mute  Mute
}

// parts are what an inner store has to offer.
type parts[K comparable, V any] struct {
	tarn.Store[K, V]
	batch    tarn.BatchStore[K, V]
	adder    tarn.Adder[K, V]
	toucher  tarn.Toucher[K, V]
	computer tarn.Computer[K, V]
	clearer  tarn.Clearer
	scanner  tarn.Scanner[K, V]
	clocker  tarn.Clocker
	leaser   tarn.Leaser[K, V]
	holder   tarn.Holder[K, V]
	tagger   tarn.Tagger
}

// Mute says which changes nobody is told of, so that a test can see what that leads to.
type Mute uint8

const (
	Holds   Mute = 1 << iota // Hold tells nobody
	Settles                  // Settle tells nobody
	Tags                     // InvalidateTags tells nobody
)

// New returns a Far that keeps its entries in inner, which has every capability there is, as store/memory has.
func New[K comparable, V any](inner tarn.Store[K, V]) *Far[K, V] {
	f := &Far[K, V]{holds: make(map[K]map[tarn.Token]ttl.Time)}
	f.Store = inner
	f.batch = need[tarn.BatchStore[K, V]](inner)
	f.adder = need[tarn.Adder[K, V]](inner)
	f.toucher = need[tarn.Toucher[K, V]](inner)
	f.computer = need[tarn.Computer[K, V]](inner)
	f.clearer = need[tarn.Clearer](inner)
	f.scanner = need[tarn.Scanner[K, V]](inner)
	f.clocker = need[tarn.Clocker](inner)
	f.leaser = need[tarn.Leaser[K, V]](inner)
	f.holder = need[tarn.Holder[K, V]](inner)
	f.tagger = need[tarn.Tagger](inner)
	return f
}

func need[T any](inner any) T {
	t, ok := tarn.As[T](inner)
	if !ok {
		panic(fmt.Sprintf("farstore: New: inner offers no %v", reflect.TypeFor[T]()))
	}
	return t
}

// View returns a new process's view of the store.
func (f *Far[K, V]) View() *View[K, V] {
	v := &View[K, V]{far: f}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.views = append(f.views, v)
	return v
}

// Down makes every operation and heartbeat fail with [ErrDown], or work again. Connections stand, and what was sent
// arrives.
func (f *Far[K, V]) Down(down bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.down = down
}

// Slow makes every operation and heartbeat take d before it is done, and d afterwards.
func (f *Far[K, V]) Slow(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slow = d
}

// Mute chooses the changes that nobody is told of.
func (f *Far[K, V]) Mute(m Mute) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mute = m
}

// do does an operation, if the store is up. Others wait for their turn, so do is quick.
func (f *Far[K, V]) do(ctx context.Context, op func() error) error {
	if err := f.wait(ctx); err != nil {
		return err
	}
	err := f.locked(op)
	if err := f.wait(ctx); err != nil {
		return err
	}
	return err
}

func (f *Far[K, V]) locked(op func() error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.down {
		return ErrDown
	}
	return op()
}

// wait waits for as long as a slow store takes one way.
func (f *Far[K, V]) wait(ctx context.Context) error {
	f.mu.Lock()
	d := f.slow
	f.mu.Unlock()
	if d == 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tell tells every view of a change that from has made of the keys, or of all there are. The caller has mu.
func (f *Far[K, V]) tell(from *View[K, V], keys []K, all bool) {
	f.send(from, message[K]{keys: keys, all: all})
}

// send sends every view a message. The caller has mu.
func (f *Far[K, V]) send(from *View[K, V], m message[K]) {
	f.seq++
	m.seq = f.seq
	for _, v := range f.views {
		m.own = v == from
		v.send(m)
	}
}

// last returns the number of the last message.
func (f *Far[K, V]) last(ctx context.Context) (seq uint64, err error) {
	err = f.do(ctx, func() error { seq = f.seq; return nil })
	return seq, err
}
