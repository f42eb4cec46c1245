package goredisclient_test

import (
	"testing"

	"github.com/redis/go-redis/v9/logging"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logging.Disable() // it logs each connection that fails, as tests want them to
	goleak.VerifyTestMain(m)
}
