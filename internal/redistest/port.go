package redistest

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// freePort returns a port of the loopback interface that nobody listens on. It is below the ports that systems give to
// whoever connects, so that it is still free when a server that was killed comes back to it.
func freePort(t testing.TB) int {
	t.Helper()
	for range 1000 {
		port := 10_000 + rand.IntN(22_000)
		l, err := net.Listen("tcp", address(port))
		if err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("redistest: no port is free")
	return 0
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
