package faulty

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"strings"
	"sync"
)

// ErrInjected is what an operation that a [Fault] makes fail returns, if the Fault names no other error.
var ErrInjected = errors.New("faulty: injected fault")

// Op is an operation of a store, or several or-ed together.
type Op uint32

const (
	Get Op = 1 << iota
	Set
	Delete
	GetMany
	SetMany
	DeleteMany
	Add
	Touch
	Compute
	Clear
	Count
	Scan
	Lease
	Fill
	Stands
	Hold
	Settle
	InvalidateTags
	Stamp

	// Batches are the operations of tarn.BatchStore.
	Batches = GetMany | SetMany | DeleteMany
	// Leases are the operations of tarn.Leaser.
	Leases = Lease | Fill | Stands
	// Holds are the operations of tarn.Holder.
	Holds = Hold | Settle
	// Tags are the operations of tarn.Tagger.
	Tags = InvalidateTags | Stamp
	// Reads change nothing in the store.
	Reads = Get | GetMany | Count | Scan | Stands | Stamp
	// Writes are all the others.
	Writes = All &^ Reads
	// All is every operation.
	All Op = 1<<19 - 1
)

var opNames = [...]string{
	"Get", "Set", "Delete", "GetMany", "SetMany", "DeleteMany", "Add", "Touch", "Compute", "Clear", "Count", "Scan",
	"Lease", "Fill", "Stands", "Hold", "Settle", "InvalidateTags", "Stamp",
}

// String returns the operations' names.
func (o Op) String() string {
	var names []string
	for b, name := range opNames {
		if o&(1<<b) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Kind is what is wrong with an operation.
type Kind uint8

const (
	// Fail does nothing and returns the error.
	Fail Kind = iota + 1

	// LoseReply does the operation and returns the error all the same, as when a connection breaks after the
	// command was sent.
	LoseReply

	// Lie reports success and does nothing. Reads find nothing; Add and Touch report true; Compute calls its
	// function with what is stored and returns what would stand; Lease and Hold grant tokens that the store does
	// not know; Stands is true; Fill and Settle say Stored where they should store; Stamps, of leases too, are from
	// before everything that was ever invalidated.
	Lie

	// Stall waits until the fault is released, and goes on as if nothing had been. If the context ends before,
	// the operation is not done and the context's error is returned.
	Stall

	// Late keeps the operation back until the caller has given up and the fault is released, as a network does
	// that delivers a packet after its sender's timeout. The caller waits for the end of its context and gets
	// the context's error; under a context that cannot end it gets the Fault's error at once. If the fault is
	// released while the caller waits, the operation is done in time.
	Late
)

// Fault says which calls go wrong, and how. Calls that none of a store's faults strikes are passed on; of several
// faults that would strike one call the one injected first does.
type Fault struct {
	Kind Kind
	Ops  Op    // the operations it strikes; zero: all of them
	Err  error // what they return; nil: ErrInjected

	Every  int     // it strikes each Every-th call of these operations only; zero: each
	Times  int     // it strikes so many calls and no more; zero: it goes on until it is released
	Chance float64 // it strikes with this probability; zero: always
}

// validate panics on what makes no sense.
func (f Fault) validate() {
	switch {
	case f.Kind < Fail || f.Kind > Late:
		panic(fmt.Sprintf("faulty: Fault.Kind is none of the kinds: %d", f.Kind))
	case f.Ops&^All != 0:
		panic(fmt.Sprintf("faulty: Fault.Ops has unknown operations: %#x", uint32(f.Ops&^All)))
	case f.Every < 0:
		panic(fmt.Sprintf("faulty: Fault.Every is negative: %d", f.Every))
	case f.Times < 0:
		panic(fmt.Sprintf("faulty: Fault.Times is negative: %d", f.Times))
	case !(f.Chance >= 0 && f.Chance <= 1):
		panic(fmt.Sprintf("faulty: Fault.Chance is not between 0 and 1: %v", f.Chance))
	}
}

// Injection is a fault at work in a store. Its methods may be called by any number of goroutines.
type Injection struct {
	fault    Fault
	faults   *faults
	released chan struct{}

	// faults.mu protects the following.
	calls   int // that it might have struck
	struck  int
	waiting int
	over    bool
	late    []func()
}

// Release ends the fault: later calls are passed on, those that stall go on, and what is late is done, in the order
// of the calls and before Release returns. Releasing twice does nothing.
func (i *Injection) Release() {
	i.faults.mu.Lock()
	over := i.over
	i.over = true
	late := i.late
	i.late = nil
	i.faults.drop(i)
	i.faults.mu.Unlock()
	if over {
		return
	}
	for _, do := range late {
		do()
	}
	close(i.released)
}

// Struck returns how many calls the fault has struck.
func (i *Injection) Struck() int {
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	return i.struck
}

// Waiting returns how many calls stall at this moment, or wait for their context to end.
func (i *Injection) Waiting() int {
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	return i.waiting
}

// faults are those of one store.
type faults struct {
	mu     sync.Mutex // protects the following, and the injections
	rng    *rand.Rand
	active []*Injection
	calls  [32]int // by operation
}

func (fs *faults) inject(f Fault) *Injection {
	f.validate()
	if f.Ops == 0 {
		f.Ops = All
	}
	if f.Err == nil {
		f.Err = ErrInjected
	}
	i := &Injection{fault: f, faults: fs, released: make(chan struct{})}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.active = append(fs.active, i)
	return i
}

// drop forgets an injection. The lock is held.
func (fs *faults) drop(i *Injection) {
	for n, active := range fs.active {
		if active == i {
			fs.active = append(fs.active[:n:n], fs.active[n+1:]...)
			return
		}
	}
}

// heal releases every fault.
func (fs *faults) heal() {
	fs.mu.Lock()
	active := fs.active
	fs.mu.Unlock()
	for _, i := range active {
		i.Release()
	}
}

func (fs *faults) count(ops Op) (n int) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for b, calls := range fs.calls {
		if ops&(1<<b) != 0 {
			n += calls
		}
	}
	return n
}

// strike counts a call, and returns the fault that strikes it, if one does.
func (fs *faults) strike(op Op) *Injection {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.calls[bits.TrailingZeros32(uint32(op))]++
	for _, i := range fs.active {
		if i.strikes(op, fs.rng) {
			return i
		}
	}
	return nil
}

// strikes reports whether the fault strikes this call. The lock is held.
func (i *Injection) strikes(op Op, rng *rand.Rand) bool {
	f := &i.fault
	if f.Ops&op == 0 || f.Times > 0 && i.struck == f.Times {
		return false
	}
	i.calls++
	if f.Every > 0 && i.calls%f.Every != 0 {
		return false
	}
	if f.Chance > 0 && rng.Float64() >= f.Chance {
		return false
	}
	i.struck++
	return true
}

// call is one call of a store's method.
type call struct {
	op  Op
	do  func(ctx context.Context) error // the operation itself
	lie func(ctx context.Context) error // what answers as if it were done

	// keep returns do on copies of the caller's slices, for when it is done after the call has returned. Nil: do
	// itself will do.
	keep func() func(ctx context.Context) error

	lost func() // takes the answer back, which the caller is not to see; nil: there is none in the caller's slices
}

// run does a call, or what a fault makes of it.
func (fs *faults) run(ctx context.Context, c call) error {
	i := fs.strike(c.op)
	if i == nil {
		return c.do(ctx)
	}
	switch i.fault.Kind {
	case LoseReply:
		_ = c.do(ctx)
		if c.lost != nil {
			c.lost()
		}
		return i.fault.Err
	case Lie:
		return c.lie(ctx)
	case Stall:
		if err := i.wait(ctx); err != nil {
			return err
		}
		return c.do(ctx)
	case Late:
		return i.keepBack(ctx, c)
	}
	return i.fault.Err
}

// wait waits for the release or the end of ctx.
func (i *Injection) wait(ctx context.Context) error {
	i.count(1)
	defer i.count(-1)
	select {
	case <-i.released:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (i *Injection) count(n int) {
	i.faults.mu.Lock()
	defer i.faults.mu.Unlock()
	i.waiting += n
}

// keepBack is a call that arrives late.
func (i *Injection) keepBack(ctx context.Context, c call) error {
	err := i.fault.Err
	if ctx.Done() != nil {
		if err = i.wait(ctx); err == nil {
			return c.do(ctx)
		}
	}
	do := c.do
	if c.keep != nil {
		do = c.keep()
	}
	i.faults.mu.Lock()
	over := i.over
	if !over {
		i.late = append(i.late, func() { _ = do(context.WithoutCancel(ctx)) })
	}
	i.faults.mu.Unlock()
	if over {
		// Released just when the caller gave up: it is late by no more than that.
		_ = do(context.WithoutCancel(ctx))
	}
	return err
}
