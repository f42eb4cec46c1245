package features_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// marks are what the README's table says, by the words of a line and the column.
type marks map[string]map[string]string

// readme reads the table of the section Compared.
func readme(t testing.TB) marks {
	t.Helper()
	table, columns := make(marks), []string(nil)
	for line := range strings.Lines(compared(t)) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = unlinked.ReplaceAllString(strings.TrimSpace(cells[i]), "$1")
		}
		if columns == nil {
			columns = cells
			continue
		}
		table[cells[0]] = make(map[string]string)
		for i, cell := range cells[1:] {
			table[cells[0]][columns[i+1]] = cell
		}
	}
	return table
}

var unlinked = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)

func compared(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Compared\n")
	if !found {
		t.Fatal("the README has no section Compared")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	return section
}

// agrees fails the test unless the mark of a line says what a cache does. What it has in part may do so or not: there a note
// says what it is.
func (m marks) agrees(t *testing.T, line, column string, does bool) {
	t.Helper()
	mark, found := m[line][column]
	switch {
	case !found:
		t.Errorf("the table has no line %q, or no column %q", line, column)
	case mark == "✓" && !does:
		t.Errorf("the table says that %s has it, and it does not: %s", column, line)
	case mark == "–" && does:
		t.Errorf("the table says that %s does not have it, and it does: %s", column, line)
	case mark != "✓" && mark != "–" && mark != "◐":
		t.Errorf("the table says %q of %s: %s", mark, column, line)
	}
}

// The versions that the text names are those that are tried.
func TestVersions(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	section := compared(t)
	for name, module := range map[string]string{
		"otter":          "github.com/maypok86/otter/v2",
		"sturdyc":        "github.com/viccon/sturdyc",
		"go-redis/cache": "github.com/go-redis/cache/v9",
	} {
		version := regexp.MustCompile(`(?m)^\t` + regexp.QuoteMeta(module) + ` v(\S+)$`).FindSubmatch(mod)
		if version == nil {
			t.Errorf("bench/go.mod does not have %s", module)
		} else if want := name + " " + string(version[1]); !strings.Contains(section, want) {
			t.Errorf("the README does not say that it compares with %s", want)
		}
	}
}

func TestAgreesCanFail(t *testing.T) {
	table := marks{"line": {"a": "✓", "b": "–", "c": "◐"}}
	for _, tt := range []struct {
		line, column string
		does, fails  bool
	}{
		{"line", "a", true, false}, {"line", "a", false, true}, {"line", "b", false, false}, {"line", "b", true, true},
		{"line", "c", true, false}, {"line", "c", false, false}, {"line", "d", true, true}, {"another", "a", true, true},
	} {
		got := new(testing.T)
		table.agrees(got, tt.line, tt.column, tt.does)
		if got.Failed() != tt.fails {
			t.Errorf("%+v: failed is %v", tt, got.Failed())
		}
	}
}
