package proof

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/tiered"
)

// Setup says what a node is made of.
type Setup struct {
	Node int
	Seed uint64

	Driver, DSN string // of the database
	Run         int64  // whose keys in it are this run's

	Store      string // "memory", "redis" or "tiered"
	Redis      Redis
	Namespace  string
	Partitions int
	Heartbeat  time.Duration // and the time limit for it; 0: as redisstore has it
	Caches     []string      // a strategy for each cache on the store
	Journal    string        // the file of write-back's; empty: there is none
	SyncEvery  time.Duration // of the journal

	Fresh         time.Duration // of the values; as long again they are served stale
	Windows       bool          // old values are served in every other way, too: for long, and if the source fails
	Early         float64       // the beta of XFetch, in the place of the reload at a share of the life that Windows have
	Failing       float64       // which part of the loads fails
	Tags          bool          // the entries have tags
	HoldLife      time.Duration // 0: as the strategies have it, and so for those below
	LeaseWait     time.Duration
	SettleTimeout time.Duration

	Pauses Pauses
	Losses map[string]Loss // by operation of the script
	Break  string          // which mechanism is switched off; see Breaks
}

// Node is a process of an application, or one of several in a process: a store of its own, and caches on it.
type Node struct {
	setup Setup
	src   *source
	store tarn.Store[int64, Item]
	wire  *wire // nil without Redis
	near  *tiered.Store[int64, Item]
	doors []door
	ends  []func() error // in the order in which they were opened

	operations atomic.Int64 // whose numbers are given out
	events     [32]atomic.Int64
}

// OpenNode connects a node.
func OpenNode(ctx context.Context, s Setup) (*Node, error) {
	n := &Node{setup: s}
	if err := n.open(ctx); err != nil {
		return nil, errors.Join(err, n.Close())
	}
	return n, nil
}

func (n *Node) open(ctx context.Context) error {
	s := &n.setup
	db, err := OpenDatabase(ctx, s.Driver, s.DSN, s.Run)
	if err != nil {
		return err
	}
	n.ends = append(n.ends, func() error { db.Close(); return nil })
	n.src = &source{db: db, pauses: s.Pauses, failing: s.Failing, rng: n.rand(1)}
	if err := n.openStore(); err != nil {
		return err
	}
	for i, strategy := range s.Caches {
		var o tarn.Observer
		if i%2 == 1 || s.Windows { // hits take another way where nobody observes them
			o = tarn.ObserverFunc(func(_ context.Context, e tarn.Event) { n.events[e.Kind].Add(int64(e.N)) })
		}
		d, err := openDoor(s, strategy, n.store, n.src, o, i%2 == 1)
		if err != nil {
			return err
		}
		n.doors = append(n.doors, d)
		n.ends = append(n.ends, func() error {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			return d.Close(ctx)
		})
	}
	return nil
}

func (n *Node) rand(stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(n.setup.Seed, uint64(n.setup.Node)<<32|stream))
}

func (n *Node) memory() *memory.Store[int64, Item] {
	m := memory.New(memory.Options[int64, Item]{MaxEntries: 10_000})
	n.ends = append(n.ends, m.Close)
	return m
}

func (n *Node) openStore() error {
	s := &n.setup
	if s.Store == "memory" {
		n.store = n.memory()
		return nil
	}
	client, end, err := s.Redis.dial()
	if err != nil {
		return err
	}
	n.ends = append(n.ends, func() error { end(); return nil })
	b, ok := Breaks[s.Break]
	if !ok {
		return fmt.Errorf("proof: no such break: %q", s.Break)
	}
	n.wire = newWire(client, s.Losses, b.script, n.rand(2))
	n.ends = append(n.ends, func() error {
		n.wire.late.Wait()
		if e := n.wire.unedited(); e != "" {
			return fmt.Errorf("proof: %s is not switched off: the script does not have %q", s.Break, e)
		}
		return nil
	})
	n.store = redisstore.New(n.wire, redisstore.Config[int64, Item]{
		Namespace: s.Namespace, Partitions: s.Partitions, Heartbeat: s.Heartbeat, HeartbeatTimeout: s.Heartbeat,
	})
	if b.store != nil {
		n.store = b.store(n.store)
	}
	if s.Store == "tiered" {
		n.near = tiered.New[int64, Item](n.memory(), n.store)
		n.store = n.near
		n.ends = append(n.ends, n.near.Close)
	}
	return nil
}

// Trusted waits until near copies are answered.
func (n *Node) Trusted(ctx context.Context) error {
	for n.near != nil && !n.near.Trusted() {
		if sleep(ctx, time.Millisecond); ctx.Err() != nil {
			return fmt.Errorf("proof: node %d does not trust its near copies: %w", n.setup.Node, ctx.Err())
		}
	}
	return nil
}

// Clear empties the store, as an operator does who has written the database by other means.
func (n *Node) Clear(ctx context.Context) error {
	clearer, ok := tarn.As[tarn.Clearer](n.store)
	if !ok {
		return errors.ErrUnsupported
	}
	return clearer.Clear(ctx)
}

// Call makes a call of the store's script, as any miss does.
func (n *Node) Call(ctx context.Context) error {
	leaser, ok := tarn.LeaserOf(n.store)
	if !ok {
		return errors.ErrUnsupported
	}
	var lease [1]tarn.Lease[Item]
	return leaser.Lease(ctx, []int64{0}, tarn.LeaseTerms{Life: time.Millisecond}, lease[:])
}

// Close ends all that the node has begun, the last first.
func (n *Node) Close() error {
	var errs []error
	for i := len(n.ends) - 1; i >= 0; i-- {
		errs = append(errs, n.ends[i]())
	}
	n.ends = nil
	return errors.Join(errs...)
}
