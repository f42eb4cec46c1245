package tarn_test

import (
	"bytes"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
)

// An event is logged as a group of what it says, and never with its key.
func TestEventLogValue(t *testing.T) {
	tests := []struct {
		rule  string
		event tarn.Event
		text  string
	}{
		{"what is zero says nothing", tarn.Event{Kind: tarn.EventHit, N: 3}, `e.event=hit e.keys=3`},
		{"all there is", tarn.Event{
			Kind: tarn.EventRetried, N: 1, Duration: time.Second, Age: time.Minute, Attempt: 2, Err: errors.New("down"), Key: "ada@example.org",
		}, `e.event=retried e.keys=1 e.took=1s e.age=1m0s e.attempt=2 e.error=down`},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			var text bytes.Buffer
			slog.New(slog.NewTextHandler(&text, nil)).Info("x", "e", tt.event)
			require.Contains(t, text.String(), "msg=x "+tt.text+"\n")
		})
	}
}
