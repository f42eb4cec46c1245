//go:build race

package features_test

const racing = true
