package goredisclient_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // it logs each connection that fails, as tests want them to
	goleak.VerifyTestMain(patient{m})
}

// patient lets goroutines take longer to end than goleak does: half a second may be little on a busy machine.
type patient struct{ m *testing.M }

func (p patient) Run() int {
	code := p.m.Run()
	for end := time.Now().Add(20 * time.Second); goleak.Find() != nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return code
}
