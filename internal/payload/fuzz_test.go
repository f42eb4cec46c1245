package payload_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarncache/tarn/codec"
	"github.com/tarncache/tarn/internal/payload"
)

// FuzzDecode reads any bytes as a payload, with and without layers.
func FuzzDecode(f *testing.F) {
	const limit = 1 << 12
	small, secret := small(), secret(f)
	stacks := [][]codec.Layer{nil, {small}, {secret}, {small, secret}, {secret, small}}
	all := make([]*payload.Form[string], len(stacks))
	for i, layers := range stacks {
		all[i] = form[string](limit, layers...)
		f.Add(encode(f, all[i], strings.Repeat("Ada ", 20), "42"))
	}
	f.Add(payload.AppendHead(nil, payload.None))
	f.Fuzz(func(t *testing.T, src []byte) {
		before := string(src)
		parts, ok := payload.Cut(src)
		if !ok {
			return
		}
		for _, form := range all {
			parts.IDs = []byte(form.IDs())
			value, err := form.Decode(parts, []byte("42"))
			if err != nil && (value != "" || !errors.Is(err, errUndecodable)) || len(value) > limit {
				t.Fatalf("%q: %d bytes and %v", form.IDs(), len(value), err)
			}
		}
		if string(src) != before {
			t.Fatal("what was read is changed")
		}
	})
}
