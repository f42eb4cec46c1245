package main

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// printHead says what is about to be measured.
func printHead(out io.Writer, s settings) {
	fmt.Fprintf(out, `
  database   SQLite in a temporary folder: %s products
  cache      in %s: %s entries at most, none at the start of a run
  workload   %s operations by %d goroutines, %s of them reads;
             a few products are popular (Zipf, exponent %v);
             the same operations in every run (seed %d)

`, grouped(s.keys), s.cache(), grouped(s.entries()), grouped(s.ops), workers, percent(s.reads, -1), skew, s.seed)
}

const legend = `
  ops per second  Close counts too: by then the database has every write
  p50, p99        half of the operations, and 99 % of them, took no longer
  hits            reads that the cache answered without the database
  source          rows read from the database, and rows written to it
  stale reads     older than a write acknowledged before they began: must be 0
  wrong rows      not the last value written, after Close: must be 0

`

// printTable prints a row for each result, and what the columns mean.
func printTable(out io.Writer, results []result) {
	const row = "%-13s %9s %8s %8s %6s %8s %8s %6s %6s\n"
	fmt.Fprintf(out, row, "", "ops per", "", "", "", "source", "source", "stale", "wrong")
	fmt.Fprintf(out, row, "", "second", "p50", "p99", "hits", "reads", "writes", "reads", "rows")
	for _, r := range results {
		fmt.Fprintf(out, row, r.name, grouped(r.opsPerSecond()), brief(r.percentile(0.5)), brief(r.percentile(0.99)),
			r.hits(), grouped(r.rowsRead), grouped(r.rowsWritten), grouped(r.staleReads), grouped(r.wrongRows))
	}
	fmt.Fprint(out, legend)
	for _, r := range results {
		if r.transactions < int64(r.writes) {
			printGathered(out, r)
		}
	}
}

// printGathered says what became of writes that were not written one by one.
func printGathered(out io.Writer, r result) {
	fmt.Fprintf(out, "%s gathered %s writes into %s rows in %s transactions:\n"+
		"%s were coalesced with a later write of the same product.\n"+
		"Reads of what was still to be written count as hits.\n",
		r.name, grouped(r.writes), grouped(r.rowsWritten), grouped(r.transactions), grouped(r.coalesced))
	if r.wrongRows == 0 {
		fmt.Fprint(out, "After Close, every row equals the last value written.\n\n")
	}
}

// check returns an error that says which answers were wrong.
func check(results []result) error {
	var errs []error
	for _, r := range results {
		if r.staleReads > 0 {
			errs = append(errs, fmt.Errorf("%s: %d reads were older than a write acknowledged before they began",
				r.name, r.staleReads))
		}
		if r.wrongRows > 0 {
			errs = append(errs, fmt.Errorf("%s: %d rows are not the last value written", r.name, r.wrongRows))
		}
	}
	return errors.Join(errs...)
}

func (r result) opsPerSecond() int {
	return int(float64(r.reads+r.writes) / r.elapsed.Seconds())
}

// hits is the hit ratio in words; there is none without a cache, or without reads.
func (r result) hits() string {
	if !r.cached || r.reads == 0 {
		return "-"
	}
	return percent(1-float64(r.misses)/float64(r.reads), 1)
}

// percent writes a share with so many decimals, or with -1 as many as it takes.
func percent(share float64, decimals int) string {
	return strconv.FormatFloat(100*share, 'f', decimals, 64) + " %"
}

// brief writes a duration in three digits.
func brief(d time.Duration) string {
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{time.Second, "s"}, {time.Millisecond, "ms"}, {time.Microsecond, "µs"}} {
		if d >= unit.length {
			n := float64(d) / float64(unit.length)
			switch {
			case n < 9.995:
				return fmt.Sprintf("%.2f %s", n, unit.name)
			case n < 99.95:
				return fmt.Sprintf("%.1f %s", n, unit.name)
			}
			return fmt.Sprintf("%.0f %s", n, unit.name)
		}
	}
	return fmt.Sprintf("%d ns", d.Nanoseconds())
}

// grouped writes a number with a comma after every three digits.
func grouped[N int | int64](n N) string {
	s := strconv.FormatInt(int64(n), 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
