package rueidisclient_test

import (
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// rueidis closes a connection that it no longer uses five seconds later.
	options := []goleak.Option{
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient).redirectOrNew.func1"),
		goleak.IgnoreAnyFunction("github.com/redis/rueidis.(*clusterClient)._refresh.func2"),
	}
	goleak.VerifyTestMain(patient{m, options}, options...)
}

// patient lets goroutines take longer to end than goleak does: half a second may be little on a busy machine.
type patient struct {
	m       *testing.M
	options []goleak.Option
}

func (p patient) Run() int {
	code := p.m.Run()
	for end := time.Now().Add(20 * time.Second); goleak.Find(p.options...) != nil && time.Now().Before(end); {
		time.Sleep(10 * time.Millisecond)
	}
	return code
}
