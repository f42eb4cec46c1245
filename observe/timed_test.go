package observe_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/observe"
)

func TestTimed(t *testing.T) {
	tests := []struct {
		rule  string
		event tarn.Event
		want  string
	}{
		{"a load", tarn.Event{Kind: tarn.EventLoaded, Duration: 1}, "load success"},
		{"a load that took no time that a clock could tell", tarn.Event{Kind: tarn.EventLoaded}, "load success"},
		{"a load that failed", tarn.Event{Kind: tarn.EventLoadFailed, Duration: 1}, "load error"},
		{"a flush is a write", tarn.Event{Kind: tarn.EventFlushed, Duration: time.Second}, "write success"},
		{"a write whose time is known", tarn.Event{Kind: tarn.EventWritten, Duration: 1}, "write success"},
		{"a write whose time is not", tarn.Event{Kind: tarn.EventWritten}, ""},
		{"a write that failed", tarn.Event{Kind: tarn.EventWriteFailed, Duration: 1}, "write error"},
		{"one whose time is not known", tarn.Event{Kind: tarn.EventWriteFailed}, ""},
		{"a retry was told as a failure before", tarn.Event{Kind: tarn.EventRetried, Duration: 1}, ""},
		{"a hit", tarn.Event{Kind: tarn.EventHit}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			op, outcome, ok := observe.Timed(tt.event)
			require.Equal(t, tt.want != "", ok)
			if ok {
				require.Equal(t, tt.want, op+" "+outcome)
			}
		})
	}
}
