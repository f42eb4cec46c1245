package tiered_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/ttl"
)

// closing closes what a tiered store is made of, with it.
type closing struct {
	*tiered.Store[string, string]
	stores  []*memory.Store[string, string]
	without storetest.Capability
}

func (c closing) Close() error {
	err := c.Store.Close()
	for _, s := range c.stores {
		s.Close()
	}
	return err
}

func (c closing) As(target any) bool {
	switch t := target.(type) {
	case *interface{ Close() error }:
		*t = c
		return true
	case *tarn.Hitter[string, string]:
		if c.without&storetest.Hitter != 0 {
			return false
		}
	}
	return c.Store.As(target)
}

func TestStore(t *testing.T) {
	for _, c := range []struct {
		name    string
		options []tiered.Option
		told    bool          // copies are made from the first read on
		offset  time.Duration // of the clocks
		near    int           // entries
		without storetest.Capability
	}{
		{name: "told of everything", told: true, near: 20_000},
		{name: "clocks that differ", told: true, offset: time.Hour, near: 20_000},
		{name: "little room near", told: true, near: 10},
		{name: "never told of anything", near: 20_000, without: storetest.Hitter},
		{name: "unwatched", options: []tiered.Option{tiered.Unwatched(ttl.Forever)}, near: 20_000},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
				near := memory.New(memory.Options[string, string]{MaxEntries: c.near})
				time.Sleep(c.offset)
				inner := memory.New(memory.Options[string, string]{MaxEntries: 20_000})
				view := farstore.New(inner).View()
				if !c.told {
					view.Cut()
				}
				s := tiered.New(near, view, c.options...)
				time.Sleep(time.Nanosecond) // who may speak has spoken by then
				if trusted := c.told || c.options != nil; s.Trusted() != trusted {
					t.Errorf("copies are trusted: %v, want %v", s.Trusted(), trusted)
				}
				return closing{s, []*memory.Store[string, string]{near, inner}, c.without}
			}, storetest.Require(storetest.All&^c.without))
		})
	}
}

// TestStoreOverRedis has the far store in a real Redis, and copies that it vouches for.
func TestStoreOverRedis(t *testing.T) {
	t.Parallel()
	client := redistest.Start(t).Client()
	var namespaces atomic.Int64
	storetest.Run(t, func(t testing.TB) tarn.Store[string, string] {
		near := memory.New(memory.Options[string, string]{MaxEntries: 20_000})
		s := tiered.New(near, redisstore.New(client, redisstore.Config[string, string]{
			Namespace: fmt.Sprint("tiered-", namespaces.Add(1)), Partitions: 16,
		}))
		for end := time.Now().Add(20 * time.Second); !s.Trusted(); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Error("copies are never trusted")
				break
			}
		}
		return closing{s, []*memory.Store[string, string]{near}, 0}
	}, storetest.RealTime(500*time.Millisecond), storetest.Beside(),
		storetest.Require(storetest.All&^storetest.Scanner))
}
