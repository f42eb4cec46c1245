package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"slices"
)

// row is what the database has of a product.
type row struct{ product, views, updates int64 }

func readRows(ctx context.Context, dir string) (rows []row, err error) {
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	found, err := db.QueryContext(ctx, `select id, views, updates from products`)
	if err != nil {
		return nil, fmt.Errorf("read the products: %w", err)
	}
	defer func() { _ = found.Close() }()
	for found.Next() {
		var r row
		if err := found.Scan(&r.product, &r.views, &r.updates); err != nil {
			return nil, fmt.Errorf("read the products: %w", err)
		}
		rows = append(rows, r)
	}
	return rows, found.Err()
}

// rank prints the most popular products.
func rank(stdout io.Writer, rows []row) {
	slices.SortFunc(rows, func(a, b row) int { return cmp.Compare(b.views, a.views) })
	fmt.Fprintln(stdout, "rank   product   views")
	for i, r := range rows[:min(5, len(rows))] {
		fmt.Fprintf(stdout, "%-6d %-9d %d\n", i+1, r.product, r.views)
	}
	fmt.Fprintln(stdout)
}

// total returns how many views were acknowledged.
func (t *tally) total() (n int64) {
	for _, seen := range t.seen {
		n += seen
	}
	return n
}

// judge compares what the database has with what was said: of each product, every acknowledged view once, and at most
// those beside that were under way at a kill.
func (t *tally) judge(stdout io.Writer, rows []row) error {
	var counted [products + 1]int64
	var views, updates, lost, twice int64
	for _, r := range rows {
		if r.product < 1 || r.product > products {
			return fmt.Errorf("the database has a product %d", r.product)
		}
		counted[r.product] = r.views
		views, updates = views+r.views, updates+r.updates
	}
	for i := range counted {
		lost += max(t.seen[i]-counted[i], 0)
		twice += max(counted[i]-t.begun[i], 0)
	}
	if lost > 0 || twice > 0 {
		return fmt.Errorf("of %d acknowledged views %d were lost, and at least %d counted twice", t.total(), lost, twice)
	}
	fmt.Fprintf(stdout, "The sums are right: each of %d acknowledged views counts once, and so do %d of those that were under way\n"+
		"at a kill. The database made %d updates of it, one for %d views.\n",
		t.total(), views-t.total(), updates, views/max(updates, 1))
	return nil
}
