package storetest

import (
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
)

// closedRows returns a row for each operation of a closed store.
func closedRows() []row {
	rows := []row{{
		name: "Close twice",
		rule: "A store may be closed twice.",
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.shut()); err != nil {
				return err
			}
			if err := x.close(x.ctx); err != nil && !errors.Is(err, tarn.ErrClosed) {
				return fmt.Errorf("the second Close: %w", err)
			}
			return nil
		},
	}}
	for _, op := range closedOps {
		rows = append(rows, closedRow(op.name, op.needs, op.do))
	}
	for _, c := range changes {
		if !c.onMissing || c.needs == Adder {
			rows = append(rows, closedRow(c.name, c.needs, func(x *trial) error { return c.do(x.ctx, x, "a") }))
		}
	}
	return rows
}

func closedRow(name string, needs Capability, do func(x *trial) error) row {
	return row{
		name:  name + " after Close",
		rule:  "What is used after its Close says so: it returns ErrClosed.",
		needs: needs,
		check: func(x *trial) error {
			if err := all(x.set("a", "1"), x.shut()); err != nil {
				return err
			}
			return fails(name+" after Close", do(x), tarn.ErrClosed)
		},
	}
}

var closedOps = []struct {
	name  string
	needs Capability
	do    func(x *trial) error
}{
	{"Get", 0, func(x *trial) error {
		_, found, err := x.store.Get(x.ctx, "a")
		return all(is("Get after Close: found", found, false), err)
	}},
	{"Get of what is not there", 0, func(x *trial) error {
		_, _, err := x.store.Get(x.ctx, "none")
		return err
	}},
	{"GetMany", BatchStore, func(x *trial) error {
		return x.batch.GetMany(x.ctx, []string{"a", "none"}, make([]tarn.Lookup[string], 2))
	}},
	{"Compute that keeps", Computer, func(x *trial) error {
		_, _, err := x.computer.Compute(x.ctx, "a", keeping)
		return err
	}},
	{"Count", Scanner, func(x *trial) error {
		_, err := x.scanner.Count(x.ctx)
		return err
	}},
	{"Scan", Scanner, func(x *trial) error {
		seq, end := x.scanner.Scan(x.ctx)
		for key := range seq {
			return wrong("Scan after Close found %q", key)
		}
		return end()
	}},
	{"Lease", Leaser, func(x *trial) error {
		_, err := x.lease("none")
		return err
	}},
	{"Lease of a hit", Leaser, func(x *trial) error {
		_, err := x.lease("a")
		return err
	}},
	{"Fill", Leaser, func(x *trial) error {
		return x.leaser.Fill(x.ctx, []tarn.Fill[string, string]{{Key: "none", Token: tarn.Token{1}, Store: true}})
	}},
	{"Stands", Leaser, func(x *trial) error {
		return x.leaser.Stands(x.ctx, []string{"a"}, make([]tarn.Token, 1), make([]bool, 1))
	}},
	{"Settle", Holder, func(x *trial) error {
		return x.holder.Settle(x.ctx, []tarn.Settlement[string, string]{{Key: "a", Token: tarn.Token{1}}})
	}},
}
