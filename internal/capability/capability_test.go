package capability_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/internal/capability"
)

type named struct{ name string }

func (n *named) String() string { return n.name }

// denying says that it offers nothing, whatever it has.
type denying struct{ *named }

func (denying) As(any) bool { return false }

func TestOf(t *testing.T) {
	var s fmt.Stringer
	n := &named{"a"}
	require.True(t, capability.Of(n, &s))
	require.Same(t, n, s)
	var e error
	require.False(t, capability.Of(n, &e))
	require.Nil(t, e)
	require.True(t, capability.Of(denying{n}, &s), "its methods alone count")
}

func TestPassOn(t *testing.T) {
	var s fmt.Stringer
	require.False(t, capability.PassOn(denying{&named{"a"}}, &s), "a Wrapper has the last word")
	require.Nil(t, s)
	require.True(t, capability.PassOn(&named{"b"}, &s))
	require.Equal(t, "b", s.String())
}
