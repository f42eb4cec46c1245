package check

import (
	"fmt"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/tarncache/tarn"

// nested are the folders that hold modules of their own, whose dependencies are their own affair. The root module
// imports none of them, and nothing outside a leaf imports it.
var (
	adapters = []string{
		"codec/zstd", "observe/otel", "observe/prometheus", "source", "store/breaker", "store/redisstore/goredisclient",
		"store/redisstore/rueidisclient", "strategies/journal/bolt",
	}
	modules = []string{"bench", "examples", "internal/proof", "tools"}
	nested  = slices.Concat(adapters, modules)
	leaves  = slices.Concat(modules, []string{"internal/check"})
)

// Packages that are made for tests import testing: storetest, which strangers use, and what the tests of several
// packages here have in common. Only tests import the latter.
var (
	forOurTests = []string{
		"internal/fakeredis", "internal/farstore", "internal/faultproxy", "internal/interleave", "internal/memjournal",
		"internal/pgtest", "internal/redistest",
	}
	forTests     = append([]string{"store/storetest", "strategies/journal/journaltest"}, forOurTests...)
	errOnlyTests = "only tests, " + strings.Join(forTests, " and ") + " import it"
)

// mayImport says which packages of the root module a package may import, by the folder both begin with; the
// longest that fits counts. A folder always may import within itself, and "." is package tarn. Imports point one
// way: ttl ← tarn ← {store/*, strategies, internal/*, observe}, and codec ← internal/payload ← {store/*, strategies}.
var mayImport = map[string][]string{
	"ttl":              {},
	".":                {"ttl"},
	"codec":            {},
	"internal":         {"ttl", "."},
	"internal/payload": {".", "codec"},
	"store":            {"ttl", ".", "codec", "internal"},
	"strategies":       {"ttl", ".", "codec", "internal"},
	"observe":          {"ttl", "."},
	"internal/check":   {},
}

func init() {
	for _, folder := range forOurTests {
		mayImport[folder] = []string{"ttl", ".", "codec", "internal", "store", "strategies"}
	}
}

// Beyond the standard library the root module is built of these, and tested with those.
var (
	builtWith  = []string{"github.com/cespare/xxhash/v2", "golang.org/x/sync"}
	testedWith = []string{"github.com/stretchr/testify"}
)

func TestImports(t *testing.T) {
	files := goFiles(t)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, problem := range importProblems(name, files[name]) {
			t.Error(problem)
		}
	}
}

// importProblems says what a file imports that it may not.
func importProblems(name, text string) []string {
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly)
	if err != nil {
		return []string{err.Error()}
	}
	f := goFile{
		dir:      path.Dir(name),
		test:     strings.HasSuffix(name, "_test.go"),
		external: strings.HasSuffix(file.Name.Name, "_test"),
	}
	var problems []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return []string{fmt.Sprintf("%s: %v", name, err)}
		}
		if why := f.mayNotImport(imported); why != "" {
			problems = append(problems, fmt.Sprintf("%s imports %s: %s", name, imported, why))
		}
	}
	return problems
}

type goFile struct {
	dir      string
	test     bool // a _test.go file
	external bool // of a package x_test, which users' code would be like
}

func (f goFile) nested() bool {
	return withinOne(f.dir, nested)
}

// mayNotImport says why not, or nothing.
func (f goFile) mayNotImport(imported string) string {
	if imported == "testing" || strings.HasPrefix(imported, "testing/") {
		if !f.test && !withinOne(f.dir, forTests) {
			return errOnlyTests
		}
		return ""
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return "" // the standard library
	}
	if own, ok := ownFolder(imported); ok {
		return f.mayNotImportOwn(own)
	}
	allowed := builtWith
	switch {
	case f.test:
		allowed = append(testedWith, builtWith...)
	case within(f.dir, "ttl"):
		allowed = nil
	}
	if f.nested() || slices.ContainsFunc(allowed, func(a string) bool { return within(imported, a) }) {
		return ""
	}
	return "ttl is built of the standard library, the root module of xxhash and x/sync too, tested with testify"
}

func (f goFile) mayNotImportOwn(own string) string {
	for _, leaf := range leaves {
		if within(own, leaf) && !within(f.dir, leaf) {
			return "nothing imports " + leaf
		}
	}
	if withinOne(own, forOurTests) && !withinOne(f.dir, forOurTests) && !f.test {
		return errOnlyTests
	}
	if withinOne(own, nested) && !f.nested() {
		return "the root module imports no other"
	}
	if f.nested() || f.test && f.external {
		return ""
	}
	folder := longestRule(f.dir)
	if folder == "" {
		return "no rule says what " + f.dir + " may import; add one"
	}
	if own != "." && within(own, folder) {
		return ""
	}
	for _, allowed := range mayImport[folder] {
		if own == allowed || allowed != "." && within(own, allowed) {
			return ""
		}
	}
	return "imports point one way: ttl, tarn and codec, then store, strategies and observe, none of which imports another"
}

// ownFolder returns the folder of a package of this repository.
func ownFolder(imported string) (string, bool) {
	if imported == module {
		return ".", true
	}
	return strings.CutPrefix(imported, module+"/")
}

func longestRule(dir string) string {
	best := ""
	for folder := range mayImport {
		if within(dir, folder) && len(folder) > len(best) {
			best = folder
		}
	}
	return best
}

// within reports whether path is folder or lies in it. Nothing lies in ".": it is a package, not a tree.
func within(path, folder string) bool {
	return path == folder || folder != "." && strings.HasPrefix(path, folder+"/")
}

func withinOne(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(folder string) bool { return within(path, folder) })
}

func TestImportRules(t *testing.T) {
	const tarn = module
	tests := []struct {
		rule, file, pkg, imports string
		allowed                  bool
	}{
		{"ttl is the standard library alone", "ttl/ttl.go", "ttl", tarn, false},
		{"ttl is the standard library alone", "ttl/ttl.go", "ttl", "golang.org/x/sync/errgroup", false},
		{"tarn knows ttl", "tarn.go", "tarn", tarn + "/ttl", true},
		{"tarn knows no store", "tarn.go", "tarn", tarn + "/store/memory", false},
		{"tarn knows nothing internal", "tarn.go", "tarn", tarn + "/internal/guard", false},
		{"tarn knows no codec", "tarn.go", "tarn", tarn + "/codec", false},
		{"a codec knows no cache", "codec/codec.go", "codec", tarn, false},
		{"a payload knows codecs", "internal/payload/payload.go", "payload", tarn + "/codec", true},
		{"and no store", "internal/payload/payload.go", "payload", tarn + "/store/redisstore", false},
		{"the rest of what is internal knows none", "internal/guard/record.go", "guard", tarn + "/codec", false},
		{"a store knows codecs", "store/redisstore/store.go", "redisstore", tarn + "/codec", true},
		{"a strategy knows codecs", "strategies/writeback.go", "strategies", tarn + "/codec", true},
		{"who observes knows none", "observe/counts.go", "observe", tarn + "/codec", false},
		{"a store knows tarn", "store/memory/memory.go", "memory", tarn, true},
		{"a store knows what is internal", "store/memory/memory.go", "memory", tarn + "/internal/guard", true},
		{"a store may wrap another", "store/tiered/tiered.go", "tiered", tarn + "/store/memory", true},
		{"a store knows no strategy", "store/memory/memory.go", "memory", tarn + "/strategies", false},
		{"a strategy knows no store", "strategies/readthrough.go", "strategies", tarn + "/store/memory", false},
		{"nor do its internal tests", "strategies/readthrough_test.go", "strategies", tarn + "/store/memory", false},
		{"its external tests and examples do", "strategies/example_test.go", "strategies_test", tarn + "/store/memory", true},
		{"a file named so is not yet a test", "strategies/example.go", "strategies_test", tarn + "/store/memory", false},
		{"what is internal knows no strategy", "internal/guard/record.go", "guard", tarn + "/strategies", false},
		{"nothing imports the examples", "strategies/example_test.go", "strategies_test", tarn + "/examples/quickstart", false},
		{"nothing imports the benchmarks", "examples/quickstart/main.go", "main", tarn + "/bench", false},
		{"nothing imports the checks", "store/memory/memory.go", "memory", tarn + "/internal/check", false},
		{"x/sync is allowed", "strategies/load.go", "strategies", "golang.org/x/sync/semaphore", true},
		{"the checks import nothing", "internal/check/tree_test.go", "check", tarn, false},
		{"examples import everything", "examples/quickstart/main.go", "main", tarn + "/strategies", true},
		{"examples have drivers", "examples/quickstart/main.go", "main", "modernc.org/sqlite", true},
		{"the root module has none", "strategies/readthrough.go", "strategies", "modernc.org/sqlite", false},
		{"its tests have none", "strategies/example_test.go", "strategies_test", "modernc.org/sqlite", false},
		{"a name that only begins alike is another", "strategies/load.go", "strategies", "golang.org/x/synctools", false},
		{"xxhash is allowed", "store/memory/hash.go", "memory", "github.com/cespare/xxhash/v2", true},
		{"testify is for tests", "ttl/ttl_test.go", "ttl_test", "github.com/stretchr/testify/require", true},
		{"and for nothing else", "ttl/ttl.go", "ttl", "github.com/stretchr/testify/require", false},
		{"testing is for tests", "ttl/ttl.go", "ttl", "testing", false},
		{"testing/synctest too", "ttl/ttl.go", "ttl", "testing/synctest", false},
		{"in every module", "bench/trace.go", "bench", "testing", false},
		{"storetest is a test", "store/storetest/run.go", "storetest", "testing", true},
		{"what tests have in common is a test too", "internal/interleave/races/races.go", "races", "testing", true},
		{"it knows the strategies", "internal/interleave/races/races.go", "races", tarn + "/strategies", true},
		{"tests import it", "strategies/races_test.go", "strategies_test", tarn + "/internal/interleave/races", true},
		{"nothing else does", "strategies/load.go", "strategies", tarn + "/internal/interleave", false},
		{"in no module", "examples/quickstart/main.go", "main", tarn + "/internal/interleave", false},
		{"servers are for tests", "internal/redistest/server.go", "redistest", "testing", true},
		{"their client is the store's", "internal/redistest/client.go", "redistest", tarn + "/store/redisstore", true},
		{"which does not know them", "store/redisstore/store.go", "redisstore", tarn + "/internal/redistest", false},
		{"an adapter has its client", "store/redisstore/goredisclient/wrap.go", "goredisclient", "github.com/redis/go-redis/v9", true},
		{"the benchmarks have the adapters", "bench/peers/redis.go", "peers", tarn + "/store/redisstore/goredisclient", true},
		{"the root module has no adapter", "store/redisstore/store.go", "redisstore", tarn + "/store/redisstore/goredisclient", false},
		{"nor have its tests", "store/redisstore/store_test.go", "redisstore_test", tarn + "/store/breaker", false},
		{"a new folder needs a rule", "cmd/tarn/main.go", "main", tarn, false},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			problems := importProblems(tt.file, fmt.Sprintf("package %s\n\nimport _ %q\n", tt.pkg, tt.imports))
			if allowed := len(problems) == 0; allowed != tt.allowed {
				t.Errorf("%s may import %s: %v, want %v (%q)", tt.file, tt.imports, allowed, tt.allowed, problems)
			}
		})
	}
}
