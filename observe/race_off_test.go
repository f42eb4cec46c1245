//go:build !race

package observe_test

const racing = false
