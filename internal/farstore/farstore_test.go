package farstore_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/storetest"
	"github.com/tarncache/tarn/ttl"
)

// closing is a View that closes the store that it is of.
type closing struct {
	*farstore.View[string, string]
	inner *memory.Store[string, string]
}

func (c closing) Close() error { return c.inner.Close() }

func TestView(t *testing.T) {
	storetest.Run(t, func(testing.TB) tarn.Store[string, string] {
		inner := memory.New(memory.Options[string, string]{MaxEntries: 20_000})
		return closing{farstore.New(inner).View(), inner}
	}, storetest.Require(storetest.All&^storetest.Hitter))
}

// told writes down what a Watch is told, and when.
type told struct {
	start time.Time
	clock ttl.Clock
	log   []string
}

func (w *told) Changed(keys []string)  { w.add(fmt.Sprint("changed ", keys)) }
func (w *told) Lost()                  { w.add("lost") }
func (w *told) Invalidated(t []string) { w.add(fmt.Sprint("invalidated ", t)) }
func (w *told) Current(until ttl.Time) {
	w.add(fmt.Sprint("current for ", until.Sub(w.clock.Now())))
}

func (w *told) add(s string) { w.log = append(w.log, fmt.Sprintf("%v %s", time.Since(w.start), s)) }

type view = farstore.View[string, int]

// nameless is a Watch that cannot be told of tags.
type nameless struct{ tarn.Watch[string] }

func TestWatch(t *testing.T) {
	ctx := context.Background()
	e := tarn.Entry[int]{Value: 1}
	set := func(v *view, keys ...string) {
		for _, key := range keys {
			v.Set(ctx, key, e)
		}
	}
	hold := func(v *view, life time.Duration) tarn.Token {
		tokens := make([]tarn.Token, 1)
		v.Hold(ctx, []string{"k"}, life, tokens)
		return tokens[0]
	}
	settle := func(v *view, token tarn.Token, store bool) {
		v.Settle(ctx, []tarn.Settlement[string, int]{{Key: "k", Token: token, Store: store}})
	}
	for _, c := range []struct {
		rule string
		do   func(far *farstore.Far[string, int], a, b *view) // half a second after b began to watch
		want []string                                         // of the 2.4 seconds after that
	}{
		{"heartbeats are told", func(*farstore.Far[string, int], *view, *view) {},
			[]string{"1s current for 2s", "2s current for 2s"}},
		{"what others change is told", func(_ *farstore.Far[string, int], a, b *view) { set(a, "k", "l"); a.Delete(ctx, "k") },
			[]string{"500ms changed [k]", "500ms changed [l]", "500ms changed [k]", "1s current for 2s", "2s current for 2s"}},
		{"what is changed here is not", func(_ *farstore.Far[string, int], a, b *view) { set(b, "k"); set(a, "l") },
			[]string{"500ms changed [l]", "1s current for 2s", "2s current for 2s"}},
		{"a hold is told, and a settle that stores", func(_ *farstore.Far[string, int], a, _ *view) { settle(a, hold(a, time.Hour), true) },
			[]string{"500ms changed [k]", "500ms changed [k]", "1s current for 2s", "2s current for 2s"}},
		{"but not one that stores nothing", func(_ *farstore.Far[string, int], a, _ *view) { settle(a, hold(a, time.Hour), false) },
			[]string{"500ms changed [k]", "1s current for 2s", "2s current for 2s"}},
		{"unless its hold is gone", func(_ *farstore.Far[string, int], a, _ *view) {
			token := hold(a, time.Millisecond)
			time.Sleep(time.Millisecond)
			settle(a, token, false)
		}, []string{"500ms changed [k]", "501ms changed [k]", "1s current for 2s", "2s current for 2s"}},
		{"invalidated tags are told", func(_ *farstore.Far[string, int], a, b *view) {
			a.InvalidateTags(ctx, "t", "u")
			b.InvalidateTags(ctx, "v")
			a.InvalidateTags(ctx)
			a.InvalidateTags(ctx, "")
		}, []string{"500ms invalidated [t u]", "1s current for 2s", "2s current for 2s"}},
		{"a clear is all", func(_ *farstore.Far[string, int], a, _ *view) { a.Clear(ctx) },
			[]string{"500ms lost", "500ms current for 2s", "1s current for 2s", "2s current for 2s"}},
		{"a gap is a loss", func(_ *farstore.Far[string, int], a, b *view) {
			n := 0
			b.Fate(func() farstore.Fate { n++; return farstore.Fate{Dropped: n == 1} })
			set(a, "k", "l")
		}, []string{"500ms lost", "500ms current for 2s", "1s current for 2s", "2s current for 2s"}},
		{"a last message that is lost is a loss when patience is over", func(_ *farstore.Far[string, int], a, b *view) {
			b.Fate(func() farstore.Fate { return farstore.Fate{Dropped: true} })
			set(a, "k")
		}, []string{"2s lost", "2s current for 2s"}},
		{"one that is late is none", func(_ *farstore.Far[string, int], a, b *view) {
			b.Fate(func() farstore.Fate { return farstore.Fate{Delay: 900 * time.Millisecond} })
			set(a, "k")
		}, []string{"1.4s changed [k]", "1.4s current for 1.6s", "2s current for 2s"}},
		{"a connection that is lost is a loss, until there is another", func(_ *farstore.Far[string, int], a, b *view) {
			b.Cut()
			time.Sleep(250 * time.Millisecond)
			b.Mend()
		}, []string{"500ms lost", "800ms current for 2s", "1.8s current for 2s"}},
		{"a store that is down is not heard of", func(far *farstore.Far[string, int], a, b *view) {
			far.Down(true)
			if _, _, err := a.Get(ctx, "k"); !errors.Is(err, farstore.ErrDown) {
				panic(err)
			}
			time.Sleep(time.Second)
			far.Down(false)
		}, []string{"2s current for 2s", "3s current for 2s"}},
	} {
		t.Run(c.rule, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
				defer inner.Close()
				far := farstore.New(inner)
				a, b := far.View(), far.View()
				w := &told{start: time.Now(), clock: b.Clock()}
				ctx, cancel := context.WithCancel(ctx)
				ended := make(chan error)
				go func() { ended <- b.Watch(ctx, w) }()
				time.Sleep(500 * time.Millisecond)
				c.do(far, a, b)
				time.Sleep(1900 * time.Millisecond)
				synctest.Wait()
				want := append([]string{"0s current for 2s"}, c.want...)
				got := slices.CompactFunc(w.log, func(a, b string) bool { // two heartbeats may come at one time
					return a == b && strings.Contains(a, "current")
				})
				if !slices.Equal(got, want) {
					t.Errorf("told  %q\nwant %q", got, want)
				}
				cancel()
				if err := <-ended; !errors.Is(err, context.Canceled) {
					t.Errorf("Watch ended with %v", err)
				}
			})
		})
	}
}

// TestWatchWithoutTags has a Watch that is told of no tags by name.
func TestWatchWithoutTags(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
		defer inner.Close()
		far := farstore.New(inner)
		a, b := far.View(), far.View()
		w := &told{start: time.Now(), clock: b.Clock()}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- b.Watch(ctx, nameless{w}) }()
		synctest.Wait()
		a.InvalidateTags(ctx, "t")
		synctest.Wait()
		a.Set(ctx, "k", tarn.Entry[int]{})
		synctest.Wait()
		cancel()
		<-ended
		want := []string{"0s current for 2s", "0s lost", "0s current for 2s", "0s changed [k]", "0s lost"}
		if !slices.Equal(w.log, want) {
			t.Errorf("told  %q\nwant %q", w.log, want)
		}
	})
}

func TestSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := memory.New(memory.Options[string, int]{MaxEntries: 100})
		defer inner.Close()
		far := farstore.New(inner)
		v := far.View()
		far.Slow(time.Second)
		begin := time.Now()
		if err := v.Set(t.Context(), "k", tarn.Entry[int]{}); err != nil || time.Since(begin) != 2*time.Second {
			t.Errorf("Set took %v: %v", time.Since(begin), err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
		defer cancel()
		if err := v.Delete(ctx, "k"); !errors.Is(err, context.DeadlineExceeded) || inner.Len() != 0 {
			t.Errorf("a delete whose reply is not awaited: %v, and %d entries", err, inner.Len())
		}
	})
}
