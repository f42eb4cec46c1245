// Package journaltest is the conformance suite of journals: [Run] checks any [journal.Journal], ours or a stranger's,
// against what package journal promises. It does not cut the power: what is durable, a journal has to show by itself.
package journaltest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/tarncache/tarn/strategies/journal"
)

// Place is where one journal is kept, such as the name of a file.
type Place interface {
	// Open opens the journal that is there. If there is none it makes one.
	Open() (journal.Journal, error)
}

// Damager is a Place that can damage a record, so that it cannot be read. The journal is closed meanwhile. Without it,
// rows about damage check only what a reader calls unreadable.
type Damager interface {
	Damage(seq uint64) error
}

// Run checks the journals of the places that newPlace makes. Every row gets a place of its own, which is empty, and
// has room for 64 MiB. A row that fails prints the rule it guards.
func Run(t *testing.T, newPlace func(t testing.TB) Place) {
	t.Helper()
	if newPlace == nil {
		panic("journaltest: Run: newPlace is nil")
	}
	for _, r := range rows() {
		t.Run(r.name, func(t *testing.T) {
			if err := r.attempt(func() Place { return newPlace(t) }); err != nil {
				t.Errorf("%v\nThe rule: %s", err, r.rule)
			}
		})
	}
}

type row struct {
	name, rule string
	check      func(x *trial) error
}

// attempt runs a row once. What it opened and left open is closed.
func (r row) attempt(newPlace func() Place) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	x := &trial{ctx: ctx, newPlace: newPlace, place: newPlace()}
	done := make(chan error, 1)
	go func() {
		defer func() {
			if p := recover(); p != nil {
				done <- fmt.Errorf("panic: %v\n%s", p, debug.Stack())
			}
		}()
		done <- r.check(x)
	}()
	select {
	case err = <-done:
	case <-time.After(patience):
		return errors.New("it does not end")
	}
	for _, j := range x.opened {
		if cerr := j.Close(); err == nil && cerr != nil {
			err = fmt.Errorf("on Close: %w", cerr)
		}
	}
	return err
}

// patience is how long a row may take. One that does not end is left behind.
var patience = time.Minute
