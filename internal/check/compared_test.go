package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCompared keeps the README's comparison with other caches honest about tarn: each line of its table leads to a file
// that is there and names, as the link's title, an Example or a test that is in it; each mark is one that the text explains;
// and what a cache has in part is explained by a note. What the other caches do is tried by bench/features.
func TestCompared(t *testing.T) {
	readme, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	notes, err := os.ReadFile(filepath.Join(root, "docs", "comparison.md"))
	if err != nil {
		t.Fatal(err)
	}
	files := goFiles(t)
	for _, problem := range comparedProblems(string(readme), string(notes), func(name string) (string, bool) {
		text, ok := files[name]
		return text, ok
	}) {
		t.Error(problem)
	}
}

var (
	link  = regexp.MustCompile(`\[[^\]]*\]\([^)]*\)`)
	shown = regexp.MustCompile(`^\[[^\]]+\]\(([^ )#]+_test\.go) "((?:Example|Test)\w*)"\)$`)
	group = regexp.MustCompile(`^\*\*\w[^*]*\*\*$`)
	part  = regexp.MustCompile(`^\[◐\]\(docs/comparison\.md#(\d+)\)$`)
	note  = regexp.MustCompile(`(?m)^### (\d+)$`)
)

// comparedProblems looks at the table in the section Compared. file returns the text of a file of the repository.
func comparedProblems(readme, notes string, file func(name string) (string, bool)) (problems []string) {
	problem := func(format string, args ...any) {
		problems = append(problems, "README.md, Compared: "+fmt.Sprintf(format, args...))
	}
	_, section, found := strings.Cut(readme, "\n## Compared\n")
	if !found {
		return []string{"README.md: there is no section Compared"}
	}
	section, _, _ = strings.Cut(section, "\n## ")
	unused := make(map[string]bool)
	for _, n := range note.FindAllStringSubmatch(notes, -1) {
		if unused[n[1]] {
			problem("docs/comparison.md has two notes %s", n[1])
		}
		unused[n[1]] = true
	}
	known, lines, columns := len(unused), make(map[string]bool), 0
	explained := make(map[string]bool)
	for line := range strings.Lines(section) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "|") || strings.HasPrefix(line, "|--") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if columns == 0 { // the head
			columns = len(cells)
			continue
		}
		if len(cells) != columns {
			problem("a line has %d cells and not %d: %s", len(cells), columns, line)
			continue
		}
		if group.MatchString(cells[0]) {
			continue
		}
		if lines[cells[0]] {
			problem("two lines say %s", cells[0])
		}
		lines[cells[0]] = true
		problems = append(problems, lineProblems(cells[0], file)...)
		for _, mark := range cells[1:] {
			if n := part.FindStringSubmatch(mark); n != nil {
				explained[n[1]] = true
				if !unused[n[1]] {
					problem("there is no note %s in docs/comparison.md: %s", n[1], cells[0])
				}
			} else if mark != "✓" && mark != "–" && mark != "?" {
				problem("the mark %q is none: %s", mark, cells[0])
			}
		}
	}
	if len(lines) == 0 {
		problem("it has no table")
	}
	if len(explained) < known {
		problem("docs/comparison.md has %d notes, of which the table uses %d", known, len(explained))
	}
	return problems
}

// lineProblems looks at what the links of a line's first cell lead to.
func lineProblems(cell string, file func(name string) (string, bool)) (problems []string) {
	links := link.FindAllString(cell, -1)
	if len(links) == 0 {
		return []string{fmt.Sprintf("README.md, Compared: the line leads nowhere: %s", cell)}
	}
	for _, l := range links {
		if leads := shown.FindStringSubmatch(l); leads == nil {
			problems = append(problems, fmt.Sprintf(`README.md, Compared: %s is not of the form [words](file_test.go "TestName")`, l))
		} else if text, ok := file(leads[1]); !ok {
			problems = append(problems, fmt.Sprintf("README.md, Compared: there is no file %s", leads[1]))
		} else if !declares(text, leads[2]) {
			problems = append(problems, fmt.Sprintf("README.md, Compared: there is no %s in %s", leads[2], leads[1]))
		}
	}
	return problems
}

// declares reports whether Go code has a function of that name.
func declares(text, name string) bool {
	parsed, err := parser.ParseFile(token.NewFileSet(), "", text, parser.SkipObjectResolution)
	return err == nil && slices.ContainsFunc(parsed.Decls, func(decl ast.Decl) bool {
		f, ok := decl.(*ast.FuncDecl)
		return ok && f.Recv == nil && f.Name.Name == name
	})
}

func TestComparedRules(t *testing.T) {
	const (
		head  = "# Title\n\n## Compared\n\n| | tarn | otter |\n|---|---|---|\n| **Loading** | | |\n"
		end   = "\nText with ? and ✓.\n\n## Packages\n\n| no | line | of it |\n"
		notes = "# Notes\n\n### 1\n\nText.\n"
		noted = "| [c](a/a_test.go \"TestA\") | ✓ | [◐](docs/comparison.md#1) |\n"
	)
	file := func(name string) (string, bool) {
		return "package a\n\nfunc TestA(t *testing.T) {}\n\nfunc ExampleB() {}\n\nfunc (x X) TestC() {}\n", name == "a/a_test.go"
	}
	tests := []struct {
		rule, lines, problem string // problem: part of the only one; empty: none
	}{
		{"a line that leads to a test", `| [a](a/a_test.go "TestA") | ✓ | – |` + "\n" + noted, ""},
		{"a line that leads to an Example", `| [a](a/a_test.go "ExampleB") | ✓ | ? |` + "\n" + noted, ""},
		{"a line that leads to both", `| [a](a/a_test.go "TestA") and [b](a/a_test.go "ExampleB") | ✓ | ? |` + "\n" + noted, ""},
		{"a line whose second link leads nowhere", `| [a](a/a_test.go "TestA"), [b](a/a_test.go "TestB") | ✓ | ? |` + "\n" + noted, "no TestB"},
		{"a line that leads nowhere", `| a | ✓ | – |` + "\n" + noted, "leads nowhere"},
		{"a line that names no function", `| [a](a/a_test.go) | ✓ | – |` + "\n" + noted, "is not of the form"},
		{"a file that is not there", `| [a](a/b_test.go "TestA") | ✓ | – |` + "\n" + noted, "no file a/b_test.go"},
		{"a function that is not there", `| [a](a/a_test.go "TestB") | ✓ | – |` + "\n" + noted, "no TestB in a/a_test.go"},
		{"a method is no test", `| [a](a/a_test.go "TestC") | ✓ | – |` + "\n" + noted, "no TestC"},
		{"a mark that nobody explains", `| [a](a/a_test.go "TestA") | ✓ | yes |` + "\n" + noted, `"yes"`},
		{"a part without a note", `| [a](a/a_test.go "TestA") | ✓ | ◐ |` + "\n" + noted, `"◐"`},
		{"a note that is not there", `| [a](a/a_test.go "TestA") | ✓ | [◐](docs/comparison.md#2) |` + "\n" + noted, "no note 2"},
		{"a cell too few", `| [a](a/a_test.go "TestA") | ✓ |` + "\n" + noted, "has 2 cells"},
		{"a line twice", noted + noted, "two lines"},
		{"a note that nobody uses", `| [a](a/a_test.go "TestA") | ✓ | – |` + "\n", "1 notes, of which the table uses 0"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			problems := comparedProblems(head+tt.lines+end, notes, file)
			switch {
			case tt.problem == "" && len(problems) > 0:
				t.Errorf("problems where there is none: %q", problems)
			case tt.problem != "" && (len(problems) != 1 || !strings.Contains(problems[0], tt.problem)):
				t.Errorf("problems %q, want one with %q", problems, tt.problem)
			}
		})
	}
	if problems := comparedProblems("# Title\n", notes, file); len(problems) != 1 {
		t.Errorf("without the section: %q", problems)
	}
	if problems := comparedProblems(head+end, "", file); len(problems) != 1 || !strings.Contains(problems[0], "no table") {
		t.Errorf("without a line: %q", problems)
	}
}
