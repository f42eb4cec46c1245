package replay

import (
	"errors"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/tarncache/tarn/bench/peers"
)

// everything is a cache that has one value, under every key.
type everything uint64

func (e everything) Get(uint64) (uint64, bool)              { return uint64(e), true }
func (e everything) Set(uint64, uint64)                     {}
func (e everything) Run(peers.Load[uint64, uint64]) (n int) { return 0 }

// A cache that mixes keys up would look better than it is.
func TestWrongValues(t *testing.T) {
	if hits, err := ask(everything(7), []uint64{7, 7}, same); hits != 2 || err != nil {
		t.Errorf("%d hits, %v", hits, err)
	}
	if _, err := ask(everything(7), []uint64{7, 8}, same); !errors.Is(err, errValue) {
		t.Errorf("the value of 7 for 8: %v", err)
	}
}

// On one processor, with nothing but hits, the goroutines of a cache run too.
func TestGoroutinesOfCachesHaveTurns(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var turns atomic.Int64
	end, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-end:
				return
			default:
				turns.Add(1)
				runtime.Gosched()
			}
		}
	}()
	const expected = 100
	if _, err := ask(everything(7), slices.Repeat([]uint64{7}, expected*turn), same); err != nil {
		t.Error(err)
	}
	if n := turns.Load(); n < expected/2 {
		t.Errorf("%d turns in %d requests", n, expected*turn)
	}
	close(end)
	<-ended
}
