package storetest

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

// The rows in which several goroutines use one store; they mean most under the race detector.

// together runs f in n goroutines and returns the first error.
func together(n int, f func(g int) error) error {
	errs := make(chan error, n)
	var wg sync.WaitGroup
	for g := range n {
		wg.Go(func() {
			if err := f(g); err != nil {
				errs <- err
			}
		})
	}
	wg.Wait()
	close(errs)
	return <-errs
}

var sharedRows = []row{
	{
		name: "goroutines with keys of their own",
		rule: "All methods may be called by any number of goroutines: what others do to other keys changes nothing.",
		check: func(x *trial) error {
			return together(8, func(g int) error {
				for i := range 200 {
					key, value := fmt.Sprintf("%d-%d", g, i%20), fmt.Sprint(i)
					if err := all(x.misses(key), x.set(key, value), x.has(key, value)); err != nil {
						return err
					}
					if i%20 == 19 {
						for j := range 20 {
							if err := x.del(fmt.Sprintf("%d-%d", g, j)); err != nil {
								return err
							}
						}
					}
				}
				return nil
			})
		},
	},
	{
		name: "a reader does not go back",
		rule: "A read that begins after another has returned a value returns that one or a later one, and once Set has " +
			"returned its value is seen.",
		check: func(x *trial) error {
			var written atomic.Int64
			var done atomic.Bool
			return together(5, func(g int) error {
				if g == 0 {
					defer done.Store(true)
					for i := int64(1); i <= 300; i++ {
						if err := x.set("a", fmt.Sprint(i)); err != nil {
							return err
						}
						written.Store(i)
						x.pause(4)
					}
					return nil
				}
				seen := int64(0)
				for range 2000 {
					if done.Load() {
						break
					}
					x.pause(4)
					seen = max(seen, written.Load())
					got, err := x.number("a")
					if err != nil {
						return err
					}
					if got < seen {
						return wrong("Get: got %d after %d was there", got, seen)
					}
					seen = got
				}
				return nil
			})
		},
	},
	{
		name: "goroutines with one key",
		rule: "What Get returns is an entry that some Set stored, whole, however many write it at once.",
		check: func(x *trial) error {
			return together(8, func(g int) error {
				mine := entry{
					Value: fmt.Sprint(g), Fresh: x.in(long).Add(lifeOf(g)), Expires: x.in(2 * long).Add(lifeOf(g)),
				}
				for i := range 100 {
					if g%4 == 3 && i%10 == 0 {
						if err := x.del("a"); err != nil {
							return err
						}
						continue
					}
					e, found, err := x.store.Get(x.ctx, "a")
					if err = all(did("Get", err), x.setEntry("a", mine)); err != nil {
						return err
					}
					if !found {
						continue
					}
					writer, err := strconv.Atoi(e.Value)
					if err != nil || x.fake && e.Expires.Sub(mine.Expires) != lifeOf(writer)-lifeOf(g) ||
						x.fake && e.Fresh.Sub(mine.Fresh) != lifeOf(writer)-lifeOf(g) {
						return wrong("Get: the entry %+v is none that was stored", e)
					}
				}
				return nil
			})
		},
	},
}

// pause lets others run: in fake time for a random while, so that goroutines meet in every order.
func (x *trial) pause(most int) {
	if x.fake {
		time.Sleep(time.Duration(rand.IntN(most)))
	}
	runtime.Gosched()
}

// lifeOf is what tells the deadlines of one goroutine's entries from another's.
func lifeOf(g int) time.Duration { return time.Duration(g) * time.Second }

// number reads a key whose value is a number; 0 where there is none.
func (x *trial) number(key string) (int64, error) {
	e, found, err := x.store.Get(x.ctx, key)
	if err != nil || !found {
		return 0, did("Get", err)
	}
	return strconv.ParseInt(e.Value, 10, 64)
}

// source is a database of one key, which hands out a version with each write.
type source struct {
	mu      sync.Mutex
	version int64        // of what is committed; protected by mu
	acked   atomic.Int64 // the greatest version whose write was acknowledged
}

func (s *source) read() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.version
}

func (s *source) write() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
	return s.version
}

// acknowledge tells readers that the write of version is done.
func (s *source) acknowledge(version int64) {
	for {
		acked := s.acked.Load()
		if version <= acked || s.acked.CompareAndSwap(acked, version) {
			return
		}
	}
}

// readThrough reads the key as a cache in front of the source does, and checks that it did not go back.
func (s *source) readThrough(x *trial) error {
	x.pause(4)
	least := s.acked.Load()
	l, err := x.lease("k")
	if err != nil {
		return err
	}
	if l.State == tarn.Hit {
		return atLeast(l.Entry.Value, least)
	}
	version := s.read()
	x.pause(4)
	if l.State != tarn.Granted {
		return nil
	}
	fills := []tarn.Fill[string, string]{{Key: "k", Token: l.Token, Store: true, Entry: plain(fmt.Sprint(version))}}
	return did("Fill", x.leaser.Fill(x.ctx, fills))
}

// atLeast checks a version that a read found, which began after the write of another was acknowledged.
func atLeast(value string, least int64) error {
	version, err := strconv.ParseInt(value, 10, 64)
	if err == nil && version < least {
		err = fmt.Errorf("a read found version %d, which began after the write of %d was acknowledged", version, least)
	}
	return err
}

func (s *source) readOften(x *trial) error {
	for range 1000 {
		if err := s.readThrough(x); err != nil {
			return err
		}
	}
	return nil
}

var leaseRaceRows = []row{
	{
		name: "one lease among many",
		rule: "Of several that ask for the lease of one key at the same time exactly one gets it.",
		check: func(x *trial) error {
			for round := range 50 {
				key := fmt.Sprint(round)
				var granted atomic.Int32
				err := together(8, func(int) error {
					l, err := x.lease(key)
					if l.State == tarn.Granted {
						granted.Add(1)
					}
					return err
				})
				if err = all(err, is("leases granted of one key", granted.Load(), 1)); err != nil {
					return err
				}
			}
			return nil
		},
	},
	{
		name: "Delete against Fill",
		rule: "After Delete has returned no Fill that was leased before it puts an older value back.",
		check: func(x *trial) error {
			return x.fillAgainst(func(key string) error { return x.del(key) })
		},
	},
	{
		name:  "Clear against Fill",
		rule:  "After Clear has returned no Fill that was leased before it puts an older value back.",
		needs: Clearer,
		check: func(x *trial) error {
			return x.fillAgainst(func(string) error { return x.clear() })
		},
	},
	{
		name: "reads and invalidations",
		rule: "A read that starts after an invalidation was acknowledged never returns an older value.",
		check: func(x *trial) error {
			var s source
			return together(8, func(g int) error {
				if g > 2 {
					return s.readOften(x)
				}
				for range 200 {
					x.pause(20)
					version := s.write()
					x.pause(4)
					if err := x.del("k"); err != nil {
						return err
					}
					s.acknowledge(version)
				}
				return nil
			})
		},
	},
}

// fillAgainst runs a Fill and what forgets its key at the same time. Whichever is first, nothing remains.
func (x *trial) fillAgainst(forget func(key string) error) error {
	for round := range 100 {
		key := fmt.Sprint(round)
		token, err := x.granted(key)
		if err != nil {
			return err
		}
		err = together(2, func(g int) error {
			if (g+round)%2 == 0 {
				return forget(key)
			}
			fills := []tarn.Fill[string, string]{{Key: key, Token: token, Store: true, Entry: plain("old")}}
			return did("Fill", x.leaser.Fill(x.ctx, fills))
		})
		if err = all(err, x.misses(key), x.free(key)); err != nil {
			return err
		}
	}
	return nil
}

var holdRaceRows = []row{
	{
		name:  "reads and held writes",
		rule:  "A read that starts after a write was acknowledged never returns an older value, and holds leave nothing.",
		needs: Leaser,
		check: func(x *trial) error {
			var s source
			err := together(8, func(g int) error {
				if g > 2 {
					return s.readOften(x)
				}
				for range 200 {
					x.pause(20)
					token, err := x.hold("k")
					if err != nil {
						return err
					}
					version := s.write()
					x.pause(4)
					settlement := []tarn.Settlement[string, string]{
						{Key: "k", Token: token, Store: true, Entry: plain(fmt.Sprint(version))},
					}
					if err := did("Settle", x.holder.Settle(x.ctx, settlement)); err != nil {
						return err
					}
					s.acknowledge(version)
				}
				return nil
			})
			return all(err, x.set("k", "free"), x.has("k", "free"))
		},
	},
	{
		name: "holds and invalidations",
		rule: "A value that a hold stores was committed after every invalidation that was acknowledged before its settle.",
		check: func(x *trial) error {
			for round := range 100 {
				key := fmt.Sprint(round)
				token, err := x.hold(key)
				if err != nil {
					return err
				}
				err = together(2, func(g int) error {
					if (g+round)%2 == 0 {
						return x.del(key)
					}
					settlement := []tarn.Settlement[string, string]{
						{Key: key, Token: token, Store: true, Entry: plain("old")},
					}
					return did("Settle", x.holder.Settle(x.ctx, settlement))
				})
				if err = all(err, x.unheld(key)); err != nil {
					return err
				}
			}
			return nil
		},
	},
}
