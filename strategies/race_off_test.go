//go:build !race

package strategies_test

// racing says that the race detector runs, under which some things allocate that otherwise do not.
const racing = false
