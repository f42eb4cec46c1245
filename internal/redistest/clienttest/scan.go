package clienttest

import (
	"errors"
	"fmt"
	"testing"

	"github.com/tarncache/tarn/store/redisstore"
)

// scan checks that ScanKeys names all keys that match, on all nodes, and nothing else. A client that cannot is left alone.
func scan(t *testing.T, c Client) {
	scanner, ok := c.(redisstore.KeyScanner)
	if !ok {
		return
	}
	const n = 3000
	var sets []redisstore.Command
	for i := range n {
		sets = append(sets, command("SET", fmt.Sprintf("{scan[*]:%d}k", i), "v"))
	}
	for _, got := range do(t.Context(), c, append(sets, command("SET", "{scan*:0}k", "v"), command("SET", "{scan[*]:0}other", "v"))...) {
		if got.Err != nil {
			t.Fatal(got.Err)
		}
	}
	seen := make(map[string]int)
	calling := false
	err := scanner.ScanKeys(t.Context(), `{scan\[\*\]:*}k`, func(keys []string) error {
		if calling || len(keys) == 0 {
			t.Errorf("called while called: %v, with %d keys", calling, len(keys))
		}
		calling = true
		for _, key := range keys {
			seen[key]++
		}
		if got := call(t.Context(), c, "GET", keys[0]); !same(got, text("v")) {
			t.Errorf("a command meanwhile: %s", short(got))
		}
		calling = false
		return nil
	})
	twice := 0
	for _, times := range seen {
		if times > 1 {
			twice++
		}
	}
	if err != nil || len(seen) != n || twice > n/10 {
		t.Errorf("%d of %d keys were named, %d of them twice: %v", len(seen), n, twice, err)
	}

	stop, calls := errors.New("stop"), 0
	err = scanner.ScanKeys(t.Context(), "*", func([]string) error {
		calls++
		return stop
	})
	if !errors.Is(err, stop) || calls != 1 {
		t.Errorf("a function that wants no more was called %d times: %v", calls, err)
	}
}
