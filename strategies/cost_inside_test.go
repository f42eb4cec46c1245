package strategies

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The first load is all that is known of what a load costs; those after it weigh an eighth each.
func TestCostOfALoad(t *testing.T) {
	var c cost
	require.Zero(t, c.load())
	c.add(8 * time.Second)
	require.Equal(t, 8*time.Second, c.load())
	c.add(16 * time.Second)
	require.Equal(t, 9*time.Second, c.load())
	c.add(time.Second)
	require.Equal(t, 8*time.Second, c.load())
}
