package crash

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strings"
	"testing"
)

// wallClock are the names by which a program learns of the wall clock, or drops the monotonic reading that time.Now comes
// with, so that a clock which jumps would matter.
var wallClock = map[string]bool{
	"Unix": true, "UnixMilli": true, "UnixMicro": true, "UnixNano": true, "Format": true,
	"AppendFormat": true, "UTC": true, "Local": true, "In": true, "Round": true, "MarshalBinary": true, "MarshalText": true,
	"Truncate": true,
}

// notTimes are selectors of these names that are of other things.
var notTimes = map[string]bool{"f.Truncate": true}

// TestNoWallClock shows that a clock that jumps changes nothing: nothing of write-back, of merging writes, or of their
// journal looks at it. What they keep of a time, they have from time.Now, which reads the clock that only goes forward,
// too.
func TestNoWallClock(t *testing.T) {
	files := 0
	err := filepath.WalkDir("../../../strategies", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		files++
		set := token.NewFileSet()
		file, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, at := range wallClocks(file) {
			t.Errorf("%v looks at the wall clock", set.Position(at))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 20 {
		t.Errorf("there are only %d files", files)
	}
}

func wallClocks(file *ast.File) (found []token.Pos) {
	ast.Inspect(file, func(n ast.Node) bool {
		s, ok := n.(*ast.SelectorExpr)
		if !ok || !wallClock[s.Sel.Name] {
			return true
		}
		if x, ok := s.X.(*ast.Ident); !ok || !notTimes[x.Name+"."+s.Sel.Name] {
			found = append(found, s.Pos())
		}
		return true
	})
	return found
}

// TestWallClocksAreFound shows that it would be seen.
func TestWallClocksAreFound(t *testing.T) {
	const text = `package p

import "time"

var began = time.Now()

func age() int64 { return time.Now().UnixNano() - began.Round(0).Unix() }

func mono() time.Duration { return time.Since(began) }
`
	file, err := parser.ParseFile(token.NewFileSet(), "p.go", text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	if found := wallClocks(file); len(found) != 3 {
		t.Errorf("found %d looks at the wall clock, want 3", len(found))
	}
}
