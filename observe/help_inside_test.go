package observe

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// What there is here is described in words, and in one place: whoever adds a number to a Stats describes it in help.go.
// Whoever takes one out takes the words out. The fields are read from the sources of every module, so that none can be
// forgotten.
func TestEveryNumberOfOursIsDescribed(t *testing.T) {
	folders := make(map[string][]*ast.File)
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if name := d.Name(); path != ".." && (strings.HasPrefix(name, ".") ||
				name == "testdata" || name == "internal" || name == "bench" || name == "examples") {
				return filepath.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		folders[filepath.Dir(path)] = append(folders[filepath.Dir(path)], file)
		return nil
	})
	require.NoError(t, err)
	found := make(map[string]bool)
	for _, files := range folders {
		for _, name := range numbersOf(files) {
			found[name] = true
		}
	}
	require.Contains(t, found, "memory.hits", "the walk has found nothing")

	var missing []string
	for name := range found {
		if help[name] == "" {
			missing = append(missing, name)
		}
	}
	slices.Sort(missing)
	require.Empty(t, missing, "these are not described in help.go")
	for name, words := range help {
		require.True(t, found[name], "help.go describes %s, which is not there", name)
		require.True(t, strings.HasSuffix(words, "."), "%s: %q is no sentence", name, words)
	}
}

// numbersOf returns the fields that are numbers of each exported struct of a package that is called Stats, or something and
// Stats, by the names that StatsOf gives to them.
func numbersOf(files []*ast.File) (names []string) {
	numbers := make(map[string]bool) // types of the package that are numbers
	structs := make(map[string]*ast.StructType)
	for _, file := range files {
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			numbers[spec.Name.Name] = isNumber(spec.Type, nil)
			fields, ok := spec.Type.(*ast.StructType)
			if ok && spec.Name.IsExported() && strings.HasSuffix(spec.Name.Name, "Stats") {
				of := strings.TrimSuffix(spec.Name.Name, "Stats")
				if of == "" {
					of = file.Name.Name
				}
				structs[snake(of)] = fields
			}
			return true
		})
	}
	for of, fields := range structs {
		for _, field := range fields.Fields.List {
			for _, name := range field.Names {
				if name.IsExported() && isNumber(field.Type, numbers) {
					names = append(names, of+"."+snake(name.Name))
				}
			}
		}
	}
	return names
}

var numeric = []string{
	"int", "int8", "int16", "int32", "int64", "uint", "uint8", "uint16", "uint32", "uint64", "float32", "float64",
	"bool", // is one, as StatsOf has it
}

// isNumber reports whether an expression is the type of a number; numbers are those that the package declares.
func isNumber(expr ast.Expr, numbers map[string]bool) bool {
	switch x := expr.(type) {
	case *ast.Ident:
		return numbers[x.Name] || slices.Contains(numeric, x.Name)
	case *ast.SelectorExpr:
		return x.Sel.Name == "Duration"
	}
	return false
}
