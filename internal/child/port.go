package child

import (
	"errors"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
)

// given are the ports that FreePort has returned.
var given sync.Map

// FreePort returns a port of the loopback interface that nobody listens on, and none twice while there are others. It is
// below the ports that systems give to whoever connects, so that it is still free when a server that was killed comes back
// to it. Another program may be quicker all the same.
func FreePort() (int, error) {
	again := 0
	for range 1000 {
		port := 10_000 + rand.IntN(22_000)
		l, err := net.Listen("tcp", Address(port))
		if err != nil {
			continue
		}
		l.Close()
		if _, before := given.LoadOrStore(port, true); !before {
			return port, nil
		}
		again = port
	}
	if again != 0 {
		return again, nil
	}
	return 0, errors.New("child: no port is free")
}

// Address is a port's address.
func Address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }
