package storetest

import (
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/tarncache/tarn"
)

var computeRows = []row{
	{
		name: "Compute that stores",
		rule: "Compute calls its function with what stands, stores what it returns, and returns what stands then.",
		check: func(x *trial) error {
			e := entry{Value: "1", Fresh: x.in(long), Expires: x.in(2 * long)}
			return all(x.compute("a", nil, e, tarn.ComputeStore, &e), x.sees("a", e),
				x.compute("a", &e, plain("2"), tarn.ComputeStore, ptr(plain("2"))), x.sees("a", plain("2")))
		},
	},
	{
		name: "Compute that keeps",
		rule: "ComputeKeep leaves a key as it is, and an absent one absent, whatever entry comes with it.",
		check: func(x *trial) error {
			e := entry{Value: "1", Fresh: x.in(long), Expires: x.in(2 * long)}
			return all(x.compute("a", nil, plain("2"), tarn.ComputeKeep, nil), x.misses("a"), x.setEntry("a", e),
				x.compute("a", &e, plain("2"), tarn.ComputeKeep, &e), x.sees("a", e))
		},
	},
	{
		name: "Compute that deletes",
		rule: "ComputeDelete deletes the key; where there is none that is no error.",
		check: func(x *trial) error {
			return all(x.set("a", "1"), x.compute("a", ptr(plain("1")), plain("2"), tarn.ComputeDelete, nil),
				x.misses("a"), x.compute("a", nil, plain("2"), tarn.ComputeDelete, nil), x.misses("a"))
		},
	},
	{
		name: "Compute of a negative entry",
		rule: "A remembered absence is an entry, which Compute reads and writes as any other.",
		check: func(x *trial) error {
			absent := entry{Negative: true, Expires: x.in(long)}
			return all(x.compute("a", nil, absent, tarn.ComputeStore, &absent), x.sees("a", absent),
				x.compute("a", &absent, plain("1"), tarn.ComputeStore, ptr(plain("1"))), x.sees("a", plain("1")))
		},
	},
	{
		name:  "Compute at the nanosecond of expiry",
		rule:  "Compute's function sees an entry until the last nanosecond before its Expires, and none from then on.",
		exact: true,
		check: func(x *trial) error {
			e := until("1", x.in(x.unit))
			return all(x.setEntry("a", e), x.wait(x.unit-1), x.compute("a", &e, e, tarn.ComputeKeep, &e), x.wait(1),
				x.compute("a", nil, e, tarn.ComputeKeep, nil), x.misses("a"))
		},
	},
	{
		name: "Compute to an entry that has expired",
		rule: "Compute that stores an entry whose Expires has passed leaves nothing.",
		check: func(x *trial) error {
			e := until("2", x.in(-time.Second))
			return all(x.set("a", "1"), x.compute("a", ptr(plain("1")), e, tarn.ComputeStore, nil), x.misses("a"))
		},
	},
	{
		name: "Compute sees a change made meanwhile",
		rule: "Compute is one atomic step: if the key changes while its function runs, it runs again with what stands.",
		check: func(x *trial) error {
			appended := func(meddle func() error) func(entry, bool) (entry, tarn.ComputeOp) {
				first := true
				return func(old entry, found bool) (entry, tarn.ComputeOp) {
					if first {
						first = false
						_ = meddle()
					}
					if !found {
						old.Value = "nothing"
					}
					return plain(old.Value + "+"), tarn.ComputeStore
				}
			}
			_, _, err1 := x.computer.Compute(x.ctx, "a", appended(func() error { return x.set("a", "1") }))
			err1 = all(did("Compute during a first Set", err1), x.has("a", "1+"))
			_, _, err2 := x.computer.Compute(x.ctx, "a", appended(func() error { return x.set("a", "2") }))
			err2 = all(did("Compute during a Set", err2), x.has("a", "2+"))
			_, _, err3 := x.computer.Compute(x.ctx, "a", appended(func() error { return x.del("a") }))
			err3 = all(did("Compute during a Delete", err3), x.has("a", "nothing+"))
			return all(err1, err2, err3)
		},
	},
	{
		name: "Compute's function may use the store",
		rule: "Compute's function runs outside every lock.",
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.set("b", "2")); err != nil {
				return err
			}
			inside := wrong("Compute: its function was not called")
			done := make(chan error, 1)
			go func() {
				_, _, err := x.computer.Compute(x.ctx, "a", func(entry, bool) (entry, tarn.ComputeOp) {
					inside = all(x.has("a", "1"), x.has("b", "2"), x.set("c", "3"), x.del("b"))
					return plain("4"), tarn.ComputeStore
				})
				done <- err
			}()
			select {
			case err := <-done:
				return all(did("Compute", err), inside, x.has("a", "4"), x.misses("b"), x.has("c", "3"))
			case <-x.ctx.Done():
				return wrong("Compute did not return")
			}
		},
	},
	{
		name:  "a hold during a Compute",
		rule:  "A key that is held while Compute's function runs is ErrHeld, and nothing is stored.",
		needs: Holder,
		check: func(x *trial) error {
			var token tarn.Token
			var held error
			_, _, err := x.computer.Compute(x.ctx, "a", func(entry, bool) (entry, tarn.ComputeOp) {
				if token == (tarn.Token{}) {
					token, held = x.hold("a")
				}
				return plain("computed"), tarn.ComputeStore
			})
			return all(held, fails("Compute", err, tarn.ErrHeld), x.held("a"), x.settle("a", token, "1", true),
				x.has("a", "1"))
		},
	},
	{
		name: "many Computes of one key",
		rule: "Compute is one atomic step: of N increments at the same time none is lost.",
		check: func(x *trial) error {
			const goroutines, increments = 8, 50
			errs := make(chan error, goroutines)
			var wg sync.WaitGroup
			for range goroutines {
				wg.Go(func() {
					for range increments {
						if _, _, err := x.computer.Compute(x.ctx, "n", increment); err != nil {
							errs <- err
							return
						}
					}
				})
			}
			wg.Wait()
			close(errs)
			return all(did("Compute", <-errs), x.has("n", fmt.Sprint(goroutines*increments)))
		},
	},
}

func increment(old entry, _ bool) (entry, tarn.ComputeOp) {
	n, _ := strconv.Atoi(old.Value)
	return plain(fmt.Sprint(n + 1)), tarn.ComputeStore
}

// compute expects Compute's function to be given old, and the call to return what stands; nil is no entry.
func (x *trial) compute(
	key string, old *entry, e entry, op tarn.ComputeOp, stands *entry,
) error {
	given := errors.New("its function was not called")
	got, found, err := x.computer.Compute(x.ctx, key, func(was entry, found bool) (entry, tarn.ComputeOp) {
		given = x.entryIs("Compute's function", was, found, old)
		return e, op
	})
	if err = all(err, given, x.entryIs("Compute's answer", got, found, stands)); err != nil {
		return wrong("Compute: %w", err)
	}
	return nil
}

func (x *trial) entryIs(what string, got entry, found bool, want *entry) error {
	switch {
	case found != (want != nil):
		return fmt.Errorf("%s: found is %v, want %v", what, found, want != nil)
	case !found:
		return nil
	}
	return x.same(what, got, *want)
}

func ptr(e entry) *entry { return &e }
