package check

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestReadme keeps Go code in the README equal to code that is compiled and run. A block of it follows a comment
// that names its Example, which is looked for among the test files:
//
//	<!-- example: strategies.ExampleReadThrough -->
//
// and is what stands between that function's braces, one tab less indented, without the closing Output comment.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	examples := make(map[string]string)
	for name, text := range goFiles(t) {
		if strings.HasSuffix(name, "_test.go") {
			if err := addExamples(examples, name, text); err != nil {
				t.Error(err)
			}
		}
	}
	for _, problem := range readmeProblems(string(text), examples) {
		t.Error(problem)
	}
}

// addExamples adds the bodies of a file's Examples, by the name of their folder and their own.
func addExamples(examples map[string]string, name, text string) error {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, name, text, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	folder := path.Base(path.Dir(name))
	if folder == "." {
		folder = "tarn"
	}
	for _, decl := range file.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok || f.Recv != nil || f.Body == nil || !strings.HasPrefix(f.Name.Name, "Example") {
			continue
		}
		key := folder + "." + f.Name.Name
		if _, twice := examples[key]; twice {
			return fmt.Errorf("%s: there are two functions %s; the README could mean either", name, key)
		}
		examples[key] = normalBody(text[fset.Position(f.Body.Lbrace).Offset+1 : fset.Position(f.Body.Rbrace).Offset])
	}
	return nil
}

var output = regexp.MustCompile(`(?i)^\s*//\s*(unordered )?output:`)

// normalBody returns a function's body as the README shows it.
func normalBody(body string) string {
	lines := strings.Split(body, "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		comment := strings.HasPrefix(strings.TrimSpace(lines[i]), "//")
		if output.MatchString(lines[i]) {
			lines = lines[:i]
		}
		if !comment && strings.TrimSpace(lines[i]) != "" {
			break
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, "\t")
	}
	return trimmed(lines)
}

// trimmed joins lines without the spaces at their ends and without blank ones around them.
func trimmed(lines []string) string {
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " \t\r")
	}
	return strings.Trim(strings.Join(lines, "\n"), "\n")
}

var (
	marker = regexp.MustCompile(`^<!--\s*example:\s*(\S+)\s*-->$`)
	fence  = regexp.MustCompile("^ {0,3}(```+|~~~+) *([^ `]*)")
)

// readmeProblems compares the Go code of a README with the Examples that it names.
func readmeProblems(readme string, examples map[string]string) []string {
	var problems []string
	lines := strings.Split(strings.ReplaceAll(readme, "\r\n", "\n"), "\n")
	named := "" // by the comment last met, until a block follows
	for i := 0; i < len(lines); i++ {
		line := strings.TrimSpace(lines[i])
		opens := fence.FindStringSubmatch(lines[i])
		if opens == nil {
			if m := marker.FindStringSubmatch(line); m != nil {
				problems = append(problems, unused(named, i)...)
				named = m[1]
			} else if line != "" {
				problems = append(problems, unused(named, i)...)
				named = ""
			}
			continue
		}
		start := i + 1
		for i++; i < len(lines) && !closes(lines[i], opens[1]); i++ {
		}
		switch language := strings.ToLower(opens[2]); {
		case language == "go" || language == "golang":
			problems = append(problems, compare(start, named, trimmed(lines[start:min(i, len(lines))]), examples)...)
		case language == "":
			problems = append(problems, fmt.Sprintf("README.md:%d: the block names no language, so nobody knows what it is", start))
		default:
			problems = append(problems, unused(named, start)...)
		}
		named = ""
	}
	return append(problems, unused(named, len(lines))...)
}

func closes(line, fence string) bool {
	line = strings.TrimSpace(line)
	return strings.HasPrefix(line, fence) && strings.Trim(line, fence[:1]) == ""
}

func unused(named string, line int) []string {
	if named == "" {
		return nil
	}
	return []string{fmt.Sprintf("README.md:%d: no Go code follows the comment that names %s", line, named)}
}

func compare(line int, named, code string, examples map[string]string) []string {
	example, known := examples[named]
	switch {
	case named == "":
		return []string{fmt.Sprintf("README.md:%d: Go code that no Example compiles: put a comment before it, "+
			"<!-- example: package.ExampleName -->", line)}
	case !known:
		return []string{fmt.Sprintf("README.md:%d: there is no Example named %s", line, named)}
	case code != example:
		return []string{fmt.Sprintf("README.md:%d: not what %s is (- README, + Example):\n%s",
			line, named, diff(strings.Split(code, "\n"), strings.Split(example, "\n")))}
	}
	return nil
}

// diff shows how to come from the lines of a to those of b, by their longest common subsequence.
func diff(a, b []string) string {
	common := make([][]int, len(a)+1) // common[i][j] is how much a[i:] and b[j:] share
	for i := range common {
		common[i] = make([]int, len(b)+1)
	}
	for i := len(a) - 1; i >= 0; i-- {
		for j := len(b) - 1; j >= 0; j-- {
			if common[i][j] = max(common[i+1][j], common[i][j+1]); a[i] == b[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var text strings.Builder
	for i, j := 0, 0; i < len(a) || j < len(b); {
		switch {
		case i < len(a) && j < len(b) && a[i] == b[j]:
			fmt.Fprintf(&text, "  %s\n", a[i])
			i, j = i+1, j+1
		case j == len(b) || i < len(a) && common[i+1][j] >= common[i][j+1]:
			fmt.Fprintf(&text, "- %s\n", a[i])
			i++
		default:
			fmt.Fprintf(&text, "+ %s\n", b[j])
			j++
		}
	}
	return text.String()
}

const exampleFile = `package p_test

func ExampleNew() {
	v := 1
	if v > 0 {
		fmt.Println(v) // one
	}
	// Output:
	// 1
}

func ExampleNew_unordered() {
	fmt.Println("Output: 1")

	// A comment before it stays.

	// Unordered output: 1
}

func ExampleNew_silent() {
	// A comment at the end stays.
}

func (x X) ExampleMethod() {}
`

func TestReadmeRules(t *testing.T) {
	examples := make(map[string]string)
	if err := addExamples(examples, "store/p/example_test.go", exampleFile); err != nil {
		t.Fatal(err)
	}
	if err := addExamples(examples, "x/p/example_test.go", exampleFile); err == nil {
		t.Error("two Examples of one name: no error")
	}
	const (
		comment = "<!-- example: p.ExampleNew -->\n"
		code    = "v := 1\nif v > 0 {\n\tfmt.Println(v) // one\n}\n"
	)
	block := func(code string) string { return "```go\n" + code + "```\n" }
	tests := []struct {
		rule, readme, problem string // problem: part of the only one; empty: none
	}{
		{"equal code is right", "# Title\n\n" + comment + block(code) + "\nText\n", ""},
		{"a blank line after the comment does no harm", comment + "\n" + block(code), ""},
		{"nor do spaces at a line's end", comment + block("v := 1  \nif v > 0 {\n\tfmt.Println(v) // one\n}\n\n"), ""},
		{"nor do line ends of Windows", strings.ReplaceAll(comment+block(code), "\n", "\r\n"), ""},
		{"other languages are free", "```sh\nmake\n```\n\n```text\nGET key\n```\n", ""},
		{"a block of no language", "```\nimport \"x\"\n```\n", "README.md:1: the block names no language"},
		{"a ```go inside another block is no code", "````text\n```go\nx\n```\n````\n", ""},
		{"unordered output is dropped too", "<!-- example: p.ExampleNew_unordered -->\n" +
			block("fmt.Println(\"Output: 1\")\n\n// A comment before it stays.\n"), ""},
		{"a comment that is no output stays", "<!-- example: p.ExampleNew_silent -->\n" +
			block("// A comment at the end stays.\n"), ""},
		{"code without a comment", block(code), "README.md:1: Go code that no Example compiles"},
		{"a comment serves one block", comment + block(code) + block(code), "no Example compiles"},
		{"text between ends a comment's word", comment + "Text\n", "no Go code follows"},
		{"a comment for nothing", comment, "no Go code follows"},
		{"a comment before another language", comment + "```sh\nmake\n```\n", "no Go code follows"},
		{"an Example that is not there", "<!-- example: p.ExampleOld -->\n" + block(code), "no Example named p.ExampleOld"},
		{"a method is no Example", "<!-- example: p.ExampleMethod -->\n" + block(""), "no Example named"},
		{"a changed line", comment + block(strings.Replace(code, "1", "2", 1)), "- v := 2\n+ v := 1\n"},
		{"a missing line", comment + block(strings.Replace(code, "v := 1\n", "", 1)), "+ v := 1\n"},
		{"a line too many", comment + block(code+"more()\n"), "- more()\n"},
		{"another indentation", comment + block("\t"+code), "- \tv := 1\n"},
		{"golang is Go", comment + strings.Replace(block("x\n"), "go", "golang", 1), "- x\n"},
		{"tildes are fences", comment + strings.ReplaceAll(block("x\n"), "```", "~~~"), "- x\n"},
		{"a block that never ends", comment + "```go\nx\n", "- x\n"},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			problems := readmeProblems(tt.readme, examples)
			switch {
			case tt.problem == "" && len(problems) > 0:
				t.Errorf("problems where there is none: %q", problems)
			case tt.problem != "" && (len(problems) != 1 || !strings.Contains(problems[0], tt.problem)):
				t.Errorf("problems %q, want one with %q", problems, tt.problem)
			}
		})
	}
}
