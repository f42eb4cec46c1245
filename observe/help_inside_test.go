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
// The fields are read from the sources of every module, so that none can be forgotten.
func TestEveryNumberOfOursIsDescribed(t *testing.T) {
	found := make(map[string]bool)
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
		for of, fields := range numbersOf(file) {
			for _, field := range fields {
				found[of+"."+snake(field)] = true
			}
		}
		return nil
	})
	require.NoError(t, err)
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
		require.True(t, strings.HasSuffix(words, "."), "%s: %q is no sentence", name, words)
	}
}

// numbersOf returns the names of the fields that are numbers of each exported struct called Stats, or something and Stats, by
// the name that StatsOf gives to what has them.
func numbersOf(file *ast.File) map[string][]string {
	found := make(map[string][]string)
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.TypeSpec)
		if !ok || !spec.Name.IsExported() || !strings.HasSuffix(spec.Name.Name, "Stats") {
			return true
		}
		fields, ok := spec.Type.(*ast.StructType)
		if !ok {
			return true
		}
		of := snake(strings.TrimSuffix(spec.Name.Name, "Stats"))
		if of == "" {
			of = snake(file.Name.Name)
		}
		for _, field := range fields.Fields.List {
			for _, name := range field.Names {
				if name.IsExported() && isNumber(field.Type) {
					found[of] = append(found[of], name.Name)
				}
			}
		}
		return true
	})
	return found
}

func isNumber(expr ast.Expr) bool {
	switch x := expr.(type) {
	case *ast.Ident:
		return strings.HasPrefix(x.Name, "int") || strings.HasPrefix(x.Name, "uint") || strings.HasPrefix(x.Name, "float")
	case *ast.SelectorExpr:
		return x.Sel.Name == "Duration"
	}
	return false
}
