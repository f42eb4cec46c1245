// Package storetest is the conformance suite of tarn's stores: [Run] checks any [tarn.Store], ours or a stranger's,
// against what package tarn promises about stores, leases and holds.
//
//	func TestStore(t *testing.T) {
//		storetest.Run(t, func(t testing.TB) tarn.Store[string, string] {
//			return mystore.New(mystore.Options[string, string]{MaxEntries: 20_000})
//		})
//	}
//
// Each row of the suite is a subtest, and a row that fails prints the rule it guards. What a store offers beyond
// Get, Set and Delete is asked for with [tarn.As]; a capability that it lacks is a skipped subtest that says how
// many rows were left out, or a failed one if [Require] names it.
package storetest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
)

// Run checks the stores that newStore makes. Every row gets a store of its own, which newStore returns empty, and
// which has room for at least 10,000 entries of up to 100 bytes: a store may forget what it has no room for, and
// the suite could not tell that from a fault. If the store offers Close() error, Close() or Close(context.Context)
// error, itself or through its As, Run closes it when the row is over.
//
// A row runs in a bubble of testing/synctest, where time stands still until everybody waits, so that lives are
// checked to the nanosecond. newStore is called inside that bubble: the goroutines it starts belong to the store
// and end with its Close, and it makes no use of the network. A store that does takes [RealTime].
//
// Run may be called from several tests at once; each call runs its rows one after the other, unless [Beside] is given.
func Run(t *testing.T, newStore func(t testing.TB) tarn.Store[string, string], opts ...Option) {
	t.Helper()
	if newStore == nil {
		panic("storetest: Run: newStore is nil")
	}
	c := config{newStore: newStore, repeat: 8}
	if testing.Short() {
		c.repeat = 3
	}
	for _, o := range opts {
		o(&c)
	}
	c.beside = c.beside && c.unit != 0
	var offered Capability
	if err := c.try(t, row{check: func(x *trial) error { offered = x.offered; return nil }}); err != nil {
		t.Fatalf("storetest: %v", err)
	}
	if c.beside {
		c.runBeside(t, suite(), offered)
		return
	}
	for _, g := range suite() {
		t.Run(g.name, func(t *testing.T) {
			c.applies(t, g, offered)
			for _, r := range g.rows {
				t.Run(r.name, func(t *testing.T) { c.run(t, r, offered) })
			}
		})
	}
}

// applies ends a group's subtest if the store lacks what the group is about.
func (c *config) applies(t *testing.T, g group, offered Capability) {
	if missing := g.needs &^ offered; missing != 0 {
		c.leftOut(t, missing, fmt.Sprintf("its %d rows are", len(g.rows)))
	}
}

// run runs one row as a subtest.
func (c *config) run(t *testing.T, r row, offered Capability) {
	if missing := r.needs &^ offered; missing != 0 {
		c.leftOut(t, missing, "this row is")
	}
	if r.exact && c.unit != 0 {
		t.Skip("left out: it checks lives to the nanosecond, and the store's time is real")
	}
	switch err := c.try(t, r).(type) {
	case nil:
	case notApplicable:
		t.Skipf("left out: %v", err)
	default:
		t.Errorf("%v\nThe rule: %s", err, r.rule)
	}
}

// leftOut ends a subtest for which the store lacks a capability.
func (c *config) leftOut(t *testing.T, missing Capability, what string) {
	if required := missing & c.required; required != 0 {
		t.Fatalf("required, but the store does not offer it: %v", required)
	}
	t.Skipf("the store does not offer %v: %s left out", missing, what)
}

// An Option of [Run].
type Option func(*config)

type config struct {
	newStore func(t testing.TB) tarn.Store[string, string]
	required Capability
	unit     time.Duration // zero: time is synctest's
	beside   bool          // rows that wait do so at the same time
	repeat   int           // of random rows; zero: as the row says
	seed     uint64
	replay   bool

	making sync.Mutex // held while newStore is called
}

// Require makes the suite fail where the store lacks one of the capabilities. Left out, a capability that the
// store lacks is a skipped subtest.
func Require(capabilities ...Capability) Option {
	return func(c *config) {
		for _, capability := range capabilities {
			c.required |= capability
		}
	}
}

// RealTime runs the suite by the real clock, for a store whose time is not the program's, such as one behind a
// network. Lives that a row waits for take a few units; a unit well above the time that one call takes, such as
// 200 milliseconds, gives answers that do not depend on the machine; a row that waits for lives to end and fails all the
// same is tried twice more, with units four and sixteen times as long. Rows that need time to the nanosecond are
// skipped. A store that caps lives is taken to keep what shall live for ever for an hour at least. Left out, time is that
// of testing/synctest. It panics if unit is not positive.
func RealTime(unit time.Duration) Option {
	if unit <= 0 {
		panic(fmt.Sprintf("storetest: RealTime: not positive: %v", unit))
	}
	return func(c *config) { c.unit = unit }
}

// Repeat runs the rows of random operations so many times, each time with another seed. Left out, they run 8 times, or
// 3 times with -short. It panics if times is not positive.
func Repeat(times int) Option {
	if times <= 0 {
		panic(fmt.Sprintf("storetest: Repeat: not positive: %d", times))
	}
	return func(c *config) { c.repeat = times }
}

// Replay runs the rows of random operations with this seed alone, which a failure printed. Left out, seeds are
// new in every run.
func Replay(seed uint64) Option {
	return func(c *config) { c.seed, c.replay = seed, true }
}

// try runs one row and returns what was wrong with the store.
func (c *config) try(t *testing.T, r row) (err error) {
	for range c.times(r) {
		seed := c.seed
		if !c.replay {
			seed = rand.Uint64()
		}
		if c.unit != 0 {
			err = c.inRealTime(t, r, seed)
		} else {
			synctest.Test(t, func(t *testing.T) { err = c.attempt(t, r, seed, 0) })
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// inRealTime runs one row by the real clock. One that waits and was wrong is tried again with longer lives: a fault is there
// again, and an answer that came late is not.
func (c *config) inRealTime(t *testing.T, r row, seed uint64) error {
	unit := c.unit
	err := c.attempt(t, r, seed, unit)
	for tries := 1; err != nil && r.waits && tries < 3; tries++ {
		if _, none := err.(notApplicable); none {
			break
		}
		t.Logf("with a unit of %v: %v", unit, err)
		unit *= 4
		err = c.attempt(t, r, seed, unit)
	}
	return err
}

// times is how often a row runs.
func (c *config) times(r row) int {
	switch {
	case r.repeat == 0 || c.replay:
		return 1
	case c.repeat != 0:
		return c.repeat
	}
	return r.repeat
}

type group struct {
	name  string
	needs Capability
	rows  []row
}

// row is one check of the suite.
type row struct {
	name   string
	rule   string               // what it guards, printed when it fails
	needs  Capability           // beyond those of its group
	exact  bool                 // it needs time to stand still
	waits  bool                 // it waits for lives to end: by the real clock for longer than it works
	repeat int                  // it is random, and runs so often unless told otherwise, each time with a seed of its own
	check  func(x *trial) error // runs on a new store
}

// suite returns all rows.
func suite() []group {
	return []group{
		{"Store", 0, concat(basicRows, expiryRows, cancelledRows(0), sharedRows, modelRows)},
		{"BatchStore", BatchStore, concat(batchRows, cancelledRows(BatchStore))},
		{"Adder", Adder, concat(addRows, cancelledRows(Adder))},
		{"Toucher", Toucher, concat(touchRows, cancelledRows(Toucher))},
		{"Computer", Computer, concat(computeRows, cancelledRows(Computer))},
		{"Clearer", Clearer, concat(clearRows, cancelledRows(Clearer))},
		{"Scanner", Scanner, scanRows},
		{"Hitter", Hitter, concat(hitRows, hitAfterRows())},
		{"Clocker", Clocker, clockRows},
		{"Leaser", Leaser, concat(leaseRows, voidRows(), cancelledRows(Leaser), leaseRaceRows)},
		{"Holder", Holder, concat(holdRows, settleRows, taintRows, heldRows, cancelledRows(Holder), holdRaceRows)},
		{"Tagger", Tagger, concat(tagRows, goneRows(), keepRows(), storedRows(), tagLeaseRows, tagRaceRows)},
		{"Closer", Closer, closedRows()},
	}
}

func concat(tables ...[]row) (rows []row) {
	for _, t := range tables {
		rows = append(rows, t...)
	}
	return rows
}
