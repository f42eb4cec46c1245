package main

import "strings"

// table is a table in Markdown.
type table struct {
	columns []string
	rows    [][]string
}

func (t *table) head(columns ...string) { t.columns = columns }

func (t *table) column(name string) { t.columns = append(t.columns, name) }

func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

func (t *table) empty() bool { return len(t.rows) == 0 }

// String returns the table, or nothing if it has no rows.
func (t *table) String() string {
	if t.empty() {
		return ""
	}
	var out strings.Builder
	line := func(cells []string) {
		for _, c := range cells {
			out.WriteString("| " + strings.ReplaceAll(c, "|", `\|`) + " ")
		}
		out.WriteString("|\n")
	}
	line(t.columns)
	out.WriteString(strings.Repeat("|---", len(t.columns)) + "|\n")
	for _, r := range t.rows {
		line(r)
	}
	return out.String()
}
