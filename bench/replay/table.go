package replay

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
)

// overfull marks, in a table, a cache that held more than its capacity by this much or more, and could be better than
// it is by that.
const overfull = 0.01

// Table writes the rows of one plan: a column for each cache, hits in percent of requests.
func Table(w io.Writer, rows []Row) error {
	if len(rows) == 0 {
		return nil
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(t, "trace\trequests\tkeys\tentries\toptimum\t")
	for _, c := range rows[0].Cells {
		fmt.Fprint(t, c.Cache+"\t")
	}
	fmt.Fprintln(t)
	marked := false
	for i, r := range rows {
		name, requests, keys, best := "", "", "", "-"
		if i == 0 || rows[i-1].Trace != r.Trace {
			name, requests, keys = r.Trace, strconv.FormatInt(r.Requests, 10), "-"
			if r.Known {
				keys = strconv.FormatInt(r.Keys, 10)
			}
		}
		if r.Known {
			best = fmt.Sprintf("%.2f", r.Ratio(r.Optimum))
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%s\t", name, requests, keys, r.Capacity, best)
		for _, c := range r.Cells {
			mark := " "
			if r.Overfull(c) {
				mark, marked = "*", true
			}
			fmt.Fprintf(t, "%.2f%s\t", r.Ratio(c.Hits), mark)
		}
		fmt.Fprintln(t)
	}
	if err := t.Flush(); err != nil || !marked {
		return err
	}
	_, err := fmt.Fprintf(w, "* held more entries than its capacity, by %.0f %% or more\n", 100*overfull)
	return err
}

// Overfull reports whether a cache held so many more entries than its capacity that it is not to be compared with
// those that do not.
func (r Row) Overfull(c Cell) bool { return float64(c.Held) >= float64(r.Capacity)*(1+overfull) }

// CSV writes a line for each cache in each row, after one that names the fields: the trace, its requests, its
// different keys, the capacity in entries, the cache, its hits, their part of the requests in percent, that in the
// run with the fewest and in the one with the most, and the most entries that were in it. The optimum is a cache named
// "optimum". What is not known is empty.
func CSV(w io.Writer, rows []Row) error {
	lines := [][]string{{"trace", "requests", "keys", "entries", "cache", "hits", "percent", "least", "most", "held"}}
	for _, r := range rows {
		keys := ""
		if r.Known {
			keys = strconv.FormatInt(r.Keys, 10)
		}
		percent := func(hits int64) string { return strconv.FormatFloat(r.Ratio(hits), 'f', 3, 64) }
		line := func(c Cell, held string) {
			lines = append(lines, []string{
				r.Trace, strconv.FormatInt(r.Requests, 10), keys, strconv.Itoa(r.Capacity), c.Cache,
				strconv.FormatInt(c.Hits, 10), percent(c.Hits), percent(c.Least), percent(c.Most), held,
			})
		}
		if r.Known {
			line(Cell{Cache: "optimum", Hits: r.Optimum, Least: r.Optimum, Most: r.Optimum}, "")
		}
		for _, c := range r.Cells {
			line(c, strconv.Itoa(c.Held))
		}
	}
	if err := csv.NewWriter(w).WriteAll(lines); err != nil {
		return fmt.Errorf("replay: write the table: %w", err)
	}
	return nil
}
