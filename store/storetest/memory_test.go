package storetest_test

import (
	"testing"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/storetest"
)

func TestMemory(t *testing.T) {
	weigh := func(key, value string) int64 { return int64(len(key) + len(value) + 1) }
	for _, c := range []struct {
		name    string
		options memory.Options[string, string]
	}{
		{"twice the room that is asked for", memory.Options[string, string]{MaxEntries: 20_000}},
		{"room for a million", memory.Options[string, string]{MaxEntries: 1_000_000}},
		{"bounded by weight", memory.Options[string, string]{MaxWeight: 10 << 20, Weigh: weigh}},
		{"told of what is removed", memory.Options[string, string]{
			MaxEntries: 20_000, OnRemove: func(memory.Removal[string, string]) {},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
				return memory.New(c.options)
			}, storetest.Require(storetest.All))
		})
	}
}
