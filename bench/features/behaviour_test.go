package features_test

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// behaviours are the lines of the README's table that can be tried in one process, by their words. Each reports whether a
// cache behaves so.
var behaviours = []struct {
	line string // in the README
	does func(t *testing.T, made func(source, lives) subject) bool
}{
	{"One load for a key that many ask for", oneLoad},
	{"A caller leaves on its own context, and fails no other by it", leaves},
	{"A loader that panics or exits is an error for those who wait", contained},
	{"Many keys in one load", loadsMany},
	{"Batches and single reads share their loads", batchesShare},
	{"Absence is remembered", absenceRemembered},
	{"Reloads before anyone waits", reloadsInBackground},
	{"The old value while the source fails", servesOldValue},
	{"A source that failed is left alone for a while", leavesSourceAlone},
	{"What was read before an invalidation is not stored or served after it", nothingStale},
}

// TestBehaviours tries each line on each cache, and compares with the table.
func TestBehaviours(t *testing.T) {
	table := readme(t)
	for _, b := range behaviours {
		for name, make := range subjects {
			t.Run(b.line+"/"+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					does := b.does(t, func(src source, l lives) subject {
						s := make(t, src, l)
						t.Cleanup(s.close)
						return s
					})
					table.agrees(t, b.line, name, does)
				})
			})
		}
	}
}

const key = "key"

var hour = lives{life: time.Hour}

// gate is a source whose loads wait until they are let through.
type gate struct {
	open  chan struct{}
	loads atomic.Int64
	value atomic.Value
}

func newGate(value string) *gate {
	g := &gate{open: make(chan struct{})}
	g.value.Store(value)
	return g
}

// load reads the value at once, and returns it when the gate is open.
func (g *gate) load(context.Context, string) (string, error) {
	value := g.value.Load().(string)
	g.loads.Add(1)
	<-g.open
	return value, nil
}

func oneLoad(_ *testing.T, made func(source, lives) subject) bool {
	g := newGate("v")
	s := made(source{load: g.load}, hour)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() { _, _ = s.get(context.Background(), key) })
	}
	synctest.Wait()
	close(g.open)
	all.Wait()
	return g.loads.Load() == 1
}

func leaves(t *testing.T, made func(source, lives) subject) bool {
	alone, harmless := leavesAlone(t, made), failsNoOther(t, made)
	t.Logf("leaves: %v, fails no other: %v", alone, harmless)
	return alone && harmless
}

// leavesAlone lets a caller's time end while it waits for the load of another.
func leavesAlone(_ *testing.T, made func(source, lives) subject) bool {
	g := newGate("v")
	s := made(source{load: g.load}, hour)
	var all sync.WaitGroup
	all.Go(func() { _, _ = s.get(context.Background(), key) })
	synctest.Wait()
	var left atomic.Bool
	all.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := s.get(ctx, key)
		left.Store(err != nil)
	})
	time.Sleep(time.Minute)
	did := left.Load()
	close(g.open)
	all.Wait()
	return did
}

// failsNoOther cancels the caller whose load another waits for.
func failsNoOther(_ *testing.T, made func(source, lives) subject) bool {
	s := made(source{load: func(ctx context.Context, _ string) (string, error) {
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(10 * time.Second):
			return "v", nil
		}
	}}, hour)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() { _, _ = s.get(ctx, key) })
	synctest.Wait()
	var value string
	var err error
	all.Go(func() { value, err = s.get(context.Background(), key) })
	synctest.Wait()
	cancel()
	all.Wait()
	return err == nil && value == "v"
}

// contained tries a loader that panics, and one that ends its goroutine, while another caller waits: that one has to get an
// error, and the next one a value.
func contained(t *testing.T, made func(source, lives) subject) bool {
	for _, end := range []func(){func() { panic("loader") }, runtime.Goexit} {
		open, loads := make(chan struct{}), atomic.Int64{}
		s := made(source{load: func(context.Context, string) (string, error) {
			if loads.Add(1) == 1 {
				<-open
				end()
			}
			return "v", nil
		}}, hour)
		get := func() (value string, err error) {
			defer func() {
				if r := recover(); r != nil {
					value = "panicked"
				}
			}()
			return s.get(context.Background(), key)
		}
		var all sync.WaitGroup
		all.Go(func() { _, _ = get() })
		synctest.Wait()
		value, err := "exited", error(nil)
		all.Go(func() { value, err = get() })
		synctest.Wait()
		close(open)
		all.Wait()
		t.Logf("who waited got %q, %v", value, err)
		if err == nil {
			return false
		}
		if value, err := get(); value != "v" || err != nil {
			t.Logf("the next got %q, %v", value, err)
			return false
		}
	}
	return true
}

func loadsMany(_ *testing.T, made func(source, lives) subject) bool {
	var calls atomic.Int64
	s := made(source{
		load: func(context.Context, string) (string, error) { calls.Add(1); return "v", nil },
		loadMany: func(_ context.Context, keys []string) (map[string]string, error) {
			calls.Add(1)
			found := make(map[string]string)
			for _, k := range keys {
				found[k] = "v"
			}
			return found, nil
		},
	}, hour)
	if s.getMany == nil {
		return false
	}
	values, err := s.getMany(context.Background(), []string{"a", "b", "c"})
	return err == nil && len(values) == 3 && calls.Load() == 1
}

func batchesShare(_ *testing.T, made func(source, lives) subject) bool {
	open := make(chan struct{})
	var mu sync.Mutex
	loads := make(map[string]int)
	s := made(source{
		load: func(_ context.Context, k string) (string, error) {
			mu.Lock()
			loads[k]++
			mu.Unlock()
			<-open
			return "v", nil
		},
		loadMany: func(_ context.Context, keys []string) (map[string]string, error) {
			found := make(map[string]string)
			for _, k := range keys {
				mu.Lock()
				loads[k]++
				mu.Unlock()
				found[k] = "v"
			}
			<-open
			return found, nil
		},
	}, hour)
	if s.getMany == nil {
		return false
	}
	var all sync.WaitGroup
	all.Go(func() { _, _ = s.get(context.Background(), "a") })
	synctest.Wait()
	all.Go(func() { _, _ = s.getMany(context.Background(), []string{"a", "b"}) })
	synctest.Wait()
	all.Go(func() { _, _ = s.get(context.Background(), "b") })
	synctest.Wait()
	close(open)
	all.Wait()
	return loads["a"] == 1 && loads["b"] == 1
}

func absenceRemembered(_ *testing.T, made func(source, lives) subject) bool {
	var loads atomic.Int64
	s := made(source{load: func(context.Context, string) (string, error) {
		loads.Add(1)
		return "", errAbsent
	}}, lives{life: time.Hour, absent: true})
	for range 5 {
		_, _ = s.get(context.Background(), key)
	}
	return loads.Load() == 1
}

// minuteOfHour is to be reloaded after a minute, and served for an hour.
var minuteOfHour = lives{refresh: time.Minute, life: time.Hour}

// after is a source that says "old" at first, and what then says from the second load on.
func after(then func() (string, error)) (source, *atomic.Int64) {
	loads := new(atomic.Int64)
	return source{load: func(context.Context, string) (string, error) {
		if loads.Add(1) == 1 {
			return "old", nil
		}
		return then()
	}}, loads
}

func reloadsInBackground(_ *testing.T, made func(source, lives) subject) bool {
	src, loads := after(func() (string, error) { time.Sleep(10 * time.Second); return "new", nil })
	s := made(src, minuteOfHour)
	_, _ = s.get(context.Background(), key)
	time.Sleep(2 * time.Minute)
	start := time.Now()
	value, err := s.get(context.Background(), key)
	waited := time.Since(start)
	time.Sleep(time.Minute)
	later, _ := s.get(context.Background(), key)
	return err == nil && value == "old" && waited == 0 && later == "new" && loads.Load() == 2
}

func servesOldValue(_ *testing.T, made func(source, lives) subject) bool {
	src, loads := after(func() (string, error) { return "", errDown })
	s := made(src, minuteOfHour)
	_, _ = s.get(context.Background(), key)
	for range 20 { // minutes
		time.Sleep(2 * time.Minute)
		if value, err := s.get(context.Background(), key); value != "old" || err != nil {
			return false
		}
		synctest.Wait()
	}
	return loads.Load() > 2 // it was tried again
}

func leavesSourceAlone(_ *testing.T, made func(source, lives) subject) bool {
	src, loads := after(func() (string, error) { return "", errDown })
	s := made(src, minuteOfHour)
	_, _ = s.get(context.Background(), key)
	time.Sleep(2 * time.Minute)
	for range 100 { // within a second
		time.Sleep(10 * time.Millisecond)
		if value, _ := s.get(context.Background(), key); value != "old" {
			return false
		}
		synctest.Wait()
	}
	return loads.Load() == 2
}

// nothingStale is what three ways of a stale value ask for.
func nothingStale(t *testing.T, made func(source, lives) subject) bool {
	stored, joined, reloaded := noStaleFill(t, made), noStaleJoin(t, made), noStaleReload(t, made)
	t.Logf("not stored: %v, not joined: %v, not brought back by a reload: %v", stored, joined, reloaded)
	return stored && joined && reloaded
}

// noStaleFill lets a key be dropped while it is loaded, and asks for it when the load is over.
func noStaleFill(_ *testing.T, made func(source, lives) subject) bool {
	g := newGate("old")
	s := made(source{load: g.load}, hour)
	var all sync.WaitGroup
	all.Go(func() { _, _ = s.get(context.Background(), key) })
	synctest.Wait() // it has read "old"
	g.value.Store("new")
	s.drop(key)
	close(g.open)
	all.Wait()
	value, err := s.get(context.Background(), key)
	return err == nil && value == "new"
}

// noStaleJoin asks for it while the load is still under way.
func noStaleJoin(_ *testing.T, made func(source, lives) subject) bool {
	g := newGate("old")
	s := made(source{load: g.load}, hour)
	var all sync.WaitGroup
	all.Go(func() { _, _ = s.get(context.Background(), key) })
	synctest.Wait() // it has read "old"
	g.value.Store("new")
	s.drop(key)
	var value string
	all.Go(func() { value, _ = s.get(context.Background(), key) })
	synctest.Wait()
	close(g.open)
	all.Wait()
	return value == "new"
}

// noStaleReload lets a key be dropped while it is reloaded in the background.
func noStaleReload(_ *testing.T, made func(source, lives) subject) bool {
	open := make(chan struct{})
	var reloading atomic.Bool
	src, loads := after(func() (string, error) {
		if reloading.CompareAndSwap(false, true) {
			<-open
			return "older", nil
		}
		return "new", nil
	})
	s := made(src, minuteOfHour)
	_, _ = s.get(context.Background(), key)
	time.Sleep(2 * time.Minute)
	_, _ = s.get(context.Background(), key)
	synctest.Wait()
	if loads.Load() == 1 { // it does not reload
		close(open)
		return false
	}
	s.drop(key)
	close(open)
	synctest.Wait()
	value, err := s.get(context.Background(), key)
	return err == nil && value == "new"
}
