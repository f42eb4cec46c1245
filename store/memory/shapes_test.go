package memory_test

import (
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/tarncache/tarn/store/memory"
)

// TestShapesOfValues: a value of whatever type is read as it was set, while others overwrite it and the garbage collector
// runs, which has to find what only the store refers to.
func TestShapesOfValues(t *testing.T) {
	type mixture struct {
		p    *int
		n    int32
		ok   bool
		text string
		any  any
		m    map[int]int
		last *[4]int
	}
	type large struct {
		mixture
		more [4]*int
	}
	ints := func(i int) []int { return []int{i, i + 1, i + 2} }
	pointer := func(i int) *int { return &i }
	mixed := func(i int) mixture {
		return mixture{pointer(i), int32(i), i%2 > 0, fmt.Sprint(i), ints(i), map[int]int{i: i}, &[4]int{i, 3: i}}
	}
	start := time.Now()
	shape(t, "bool", func(i int) bool { return i%3 > 0 })
	shape(t, "int32", func(i int) int32 { return int32(i) })
	shape(t, "[3]byte", func(i int) [3]byte { return [3]byte{byte(i), byte(i), byte(i)} })
	shape(t, "[16]byte", func(i int) [16]byte { return [16]byte{byte(i), 15: byte(i)} })
	shape(t, "struct{}", func(int) struct{} { return struct{}{} })
	shape(t, "int", func(i int) int { return i })
	shape(t, "string", func(i int) string { return strings.Repeat(fmt.Sprint(i), i) })
	shape(t, "[]int", func(i int) []int { return make([]int, i, 2*i) })
	shape(t, "pointer", pointer)
	shape(t, "any", func(i int) any {
		return []any{nil, i, ints(i), pointer(i), fmt.Sprint(i), mixed(i)}[i%6]
	})
	shape(t, "error", func(i int) error { return fmt.Errorf("%d", i) })
	shape(t, "func", func(i int) func() int { return func() int { return i } })
	shape(t, "map", func(i int) map[int]int { return map[int]int{i: i} })
	shape(t, "chan", func(i int) chan int { return make(chan int, i) })
	shape(t, "time.Time", func(i int) time.Time {
		return start.Add(time.Duration(i)).In(time.FixedZone(fmt.Sprint(i), i))
	})
	shape(t, "[2]string", func(i int) [2]string { return [2]string{fmt.Sprint(i), fmt.Sprint(-i)} })
	shape(t, "struct", mixed)
	shape(t, "large struct", func(i int) large { return large{mixed(i), [4]*int{pointer(i), 3: pointer(i)}} })
	shape(t, "[8]uint64", func(i int) [8]uint64 { return [8]uint64{uint64(i), 7: uint64(i)} })
	shape(t, "[9]uint64", func(i int) [9]uint64 { return [9]uint64{uint64(i), 8: uint64(i)} })
}

// same reports whether two values were made alike.
func same(a, b any) bool {
	switch a := a.(type) {
	case func() int:
		return a() == b.(func() int)()
	case chan int:
		return cap(a) == cap(b.(chan int))
	default:
		return reflect.DeepEqual(a, b)
	}
}

// shape sets and reads values that are made anew each time, so that nobody but the store has them.
func shape[V any](t *testing.T, name string, made func(i int) V) {
	t.Run(name, func(t *testing.T) {
		const keys, kinds, rounds = 2, 7, 800
		s := memory.New(memory.Options[int, V]{MaxEntries: 10 * keys})
		oneOf := func(key int, v V) bool {
			for kind := range kinds {
				if same(v, made(key*kinds+kind)) {
					return true
				}
			}
			return false
		}
		var writers, others sync.WaitGroup
		var stop atomic.Bool
		for key := range keys { // each key has one writer, who knows what is there
			writers.Go(func() {
				for i := range rounds {
					n := key*kinds + i%kinds
					if err := s.Put(key, made(n), 0); err != nil {
						t.Errorf("put: %v", err)
					}
					runtime.Gosched()
					if v, found := s.Value(key); !found || !same(v, made(n)) {
						t.Errorf("key %d: %v, %v; want %v", key, v, found, made(n))
						return
					}
				}
			})
		}
		others.Go(func() {
			for !stop.Load() {
				runtime.GC()
			}
		})
		others.Go(func() {
			for i := 0; !stop.Load() && !t.Failed(); i++ {
				if v, found := s.Value(i % keys); found && !oneOf(i%keys, v) {
					t.Errorf("key %d: %v, which nobody has set", i%keys, v)
				}
			}
		})
		writers.Wait()
		stop.Store(true)
		others.Wait()
	})
}
