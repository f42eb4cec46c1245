package tarn_test

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/tarncache/tarn"

// Imports point one way: ttl <- tarn <- stores and strategies, which know nothing of each other. Of what is internal
// they use guard; the rest is for tests, and may import what it likes.
func TestImportsPointOneWay(t *testing.T) {
	rules := []struct {
		folder string
		may    []string // import, of this module; a trailing slash stands for everything below
	}{
		{"ttl", nil},
		{".", []string{"ttl"}},
		{"internal/guard", []string{"", "ttl"}},
		{"store", []string{"", "ttl", "internal/guard", "store/"}},
		{"strategies", []string{"", "ttl", "internal/guard", "strategies/"}},
	}
	checked := 0
	for _, rule := range rules {
		for _, file := range sources(t, rule.folder) {
			checked++
			for _, path := range imports(t, file) {
				ours, ok := strings.CutPrefix(path, module)
				if !ok {
					continue
				}
				ours = strings.TrimPrefix(ours, "/")
				require.True(t, allowed(ours, rule.may), "%s imports %s", file, path)
			}
		}
	}
	require.Greater(t, checked, 10)
}

// A program that embeds tarn does not get the flags of go test, unless it asks for the suite that is made of them.
func TestOnlyTheSuiteImportsTesting(t *testing.T) {
	for _, file := range sources(t, "ttl", ".", "internal/guard", "store", "strategies") {
		if strings.HasPrefix(file, "store/storetest/") {
			continue
		}
		for _, path := range imports(t, file) {
			require.False(t, path == "testing" || strings.HasPrefix(path, "testing/"), "%s imports %s", file, path)
			require.NotContains(t, path, "testify", file)
		}
	}
}

func allowed(path string, may []string) bool {
	for _, m := range may {
		if path == m || strings.HasSuffix(m, "/") && strings.HasPrefix(path, m) {
			return true
		}
	}
	return false
}

// sources lists the Go files of this module in the folders and below that are not tests; "." stands for its root
// alone.
func sources(t *testing.T, folders ...string) []string {
	var files []string
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && (folder == "." && path != "." || path != folder && isModule(path)):
				return filepath.SkipDir
			case strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go"):
				files = append(files, filepath.ToSlash(path))
			}
			return nil
		})
		require.NoError(t, err)
	}
	return files
}

func isModule(folder string) bool {
	mods, err := filepath.Glob(filepath.Join(folder, "go.mod"))
	return err == nil && len(mods) > 0
}

func imports(t *testing.T, file string) []string {
	parsed, err := parser.ParseFile(token.NewFileSet(), filepath.FromSlash(file), nil, parser.ImportsOnly)
	require.NoError(t, err)
	var paths []string
	for _, spec := range parsed.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		require.NoError(t, err)
		paths = append(paths, path)
	}
	return paths
}
