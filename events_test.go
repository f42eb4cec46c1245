package tarn_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

// Every kind has words of its own. The kinds are counted in the source, so that a new one cannot be forgotten.
func TestEventKindString(t *testing.T) {
	kinds := 0
	file, err := parser.ParseFile(token.NewFileSet(), "events.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		decl, ok := n.(*ast.GenDecl)
		if !ok || decl.Tok != token.CONST {
			return true
		}
		for _, spec := range decl.Specs {
			for _, name := range spec.(*ast.ValueSpec).Names {
				if strings.HasPrefix(name.Name, "Event") {
					kinds++
				}
			}
		}
		return true
	})
	require.GreaterOrEqual(t, kinds, int(tarn.EventPanicked))

	unknown := tarn.EventKind(0).String()
	seen := map[string]tarn.EventKind{unknown: 0}
	for k := tarn.EventKind(1); int(k) <= kinds; k++ {
		words := k.String()
		require.NotContains(t, seen, words, "kind %d", k)
		seen[words] = k
	}
	require.Equal(t, unknown, tarn.EventKind(kinds+1).String())
	require.Equal(t, unknown, tarn.EventKind(255).String())
	require.Equal(t, "hit", tarn.EventHit.String())
	require.Equal(t, "dead-lettered", tarn.EventDeadLettered.String())
}

func TestObserverFunc(t *testing.T) {
	type key struct{}
	var got []tarn.Event
	var o tarn.Observer = tarn.ObserverFunc(func(ctx context.Context, e tarn.Event) {
		require.Equal(t, "caller", ctx.Value(key{}))
		got = append(got, e)
	})
	o.Observe(context.WithValue(t.Context(), key{}, "caller"), tarn.Event{Kind: tarn.EventMiss, N: 3})
	require.Equal(t, []tarn.Event{{Kind: tarn.EventMiss, N: 3}}, got)
}
