package proof

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Breaks switch a mechanism off each, by name; the empty one none. Nothing that they break knows of it.
var Breaks = map[string]struct {
	script [][2]string // what stands in the script, and what in its place
	store  func(tarn.Store[int64, Item]) tarn.Store[int64, Item]
}{
	"": {},

	// A fill stores its value whether its lease stands or not.
	"leases": {script: [][2]string{{"if not leased(ARGV[6]) then return 0 end", ""}}},

	// Nothing is held: the writer believes that it is.
	"holds": {store: around(func(b *broken) { b.Holder = noHolds{b.Holder} })},

	// Several writers hold a key, and the last one to settle stores its value.
	"taint by writers": {script: [][2]string{
		{"rehold(live, shared)", "rehold(live, false)"},
		{"rehold(others, true)", "rehold(others, false)"},
	}},

	// An invalidation during a hold leaves the hold as it was.
	"taint by deletes": {script: [][2]string{{"rehold(live, true)", "rehold(live, false)"}}},

	// An invalidation during a hold ends it.
	"holds that outlast deletes": {script: [][2]string{
		{"if #live > 0 then rehold(live, true) else redis.call('DEL', key) end", "redis.call('DEL', key)"},
	}},

	// Whoever finds a load of its key joins it.
	"sharing": {store: around(func(b *broken) { b.Leaser = joinAny{b.Leaser} })},

	// The near copies of others learn nothing of a hold.
	"publishing at the hold": {script: [][2]string{{"proceed()\n  changed()\n  local shared", "proceed()\n  local shared"}}},

	// The near store does not hear that messages were lost.
	"lost": {store: around(func(b *broken) { b.Watcher = deaf{b.Watcher} })},

	// What is loaded is stamped when it is stored, and not before its source was read.
	"stamps of leases": {store: around(func(b *broken) { b.Leaser = lateStamps{b.Leaser, b.Store} })},

	// The near store does not hear of tags.
	"tags on the bus": {store: around(func(b *broken) { b.Watcher = deafToTags{b.Watcher} })},

	// A generation stays for ever: Clear and renewal change nothing.
	"generations at Clear":   {script: [][2]string{{"generation = pack(", "generation = generation or pack("}}},
	"generations at renewal": {script: [][2]string{{"generation = pack(", "generation = generation or pack("}}},

	// A hold gets the life of the last one that came, though others have longer ones.
	"longest life": {script: [][2]string{{"last = math.max(last, ends)", "last = ends"}}},

	// A settle that finds its hold gone leaves what stands there.
	"settle without its hold": {script: [][2]string{
		{
			"  redis.call('DEL', key)\n  return full and 'refused'",
			"  if mine then redis.call('DEL', key) end\n  return full and 'refused'",
		},
	}},

	// A settle that finds its hold gone ends those of others.
	"holds of others": {script: [][2]string{
		{"if #others > 0 then\n    rehold(others, true)", "if mine and #others > 0 then\n    rehold(others, true)"},
	}},

	// A writer believes that its hold stands for longer than it does.
	"the writer's own clock": {store: around(func(b *broken) { b.Holder = shortHolds{b.Holder} })},
}

// broken is a store of which some capabilities are not what they seem.
type broken struct {
	tarn.Store[int64, Item]
	tarn.Leaser[int64, Item]
	tarn.Holder[int64, Item]
	tarn.Watcher[int64]
}

func around(change func(b *broken)) func(tarn.Store[int64, Item]) tarn.Store[int64, Item] {
	return func(s tarn.Store[int64, Item]) tarn.Store[int64, Item] {
		b := &broken{Store: s}
		b.Leaser, _ = tarn.LeaserOf(s)
		b.Holder, _ = tarn.HolderOf(s)
		b.Watcher, _ = tarn.As[tarn.Watcher[int64]](s)
		change(b)
		return b
	}
}

func (b *broken) As(target any) bool {
	switch t := target.(type) {
	case *tarn.Leaser[int64, Item]:
		*t = b.Leaser
	case *tarn.Holder[int64, Item]:
		*t = b.Holder
	case *tarn.Watcher[int64]:
		*t = b.Watcher
	default:
		return b.Store.(tarn.Wrapper).As(target)
	}
	return true
}

type noHolds struct{ tarn.Holder[int64, Item] }

func (noHolds) Hold(_ context.Context, _ []int64, _ time.Duration, tokens []tarn.Token) error {
	for i := range tokens {
		_, _ = rand.Read(tokens[i][:])
	}
	return nil
}

type joinAny struct{ tarn.Leaser[int64, Item] }

func (joinAny) Stands(_ context.Context, _ []int64, _ []tarn.Token, into []bool) error {
	for i := range into {
		into[i] = true
	}
	return nil
}

type shortHolds struct{ tarn.Holder[int64, Item] }

func (s shortHolds) Hold(ctx context.Context, keys []int64, life time.Duration, tokens []tarn.Token) error {
	return s.Holder.Hold(ctx, keys, life/100, tokens)
}

type deaf struct{ tarn.Watcher[int64] }

func (d deaf) Watch(ctx context.Context, w tarn.Watch[int64]) error {
	return d.Watcher.Watch(ctx, &half{w})
}

// half passes on all but that something was lost.
type half struct{ to tarn.Watch[int64] }

func (h *half) Changed(keys []int64)   { h.to.Changed(keys) }
func (h *half) Current(until ttl.Time) { h.to.Current(until) }
func (*half) Lost()                    {}

type lateStamps struct {
	tarn.Leaser[int64, Item]
	store tarn.Store[int64, Item]
}

func (l lateStamps) Fill(ctx context.Context, fills []tarn.Fill[int64, Item]) error {
	tagger, ok := tarn.As[tarn.Tagger](l.store)
	if !ok {
		return errors.ErrUnsupported
	}
	stamp, err := tagger.Stamp(ctx)
	if err != nil {
		return err
	}
	for i := range fills {
		e := &fills[i].Entry
		if e.Tags, err = tarn.NewTags(stamp, e.Tags.Names()...); err != nil {
			return err
		}
	}
	return l.Leaser.Fill(ctx, fills)
}

type deafToTags struct{ tarn.Watcher[int64] }

func (d deafToTags) Watch(ctx context.Context, w tarn.Watch[int64]) error {
	return d.Watcher.Watch(ctx, &tagless{w})
}

// tagless passes on all but that tags were invalidated.
type tagless struct{ tarn.Watch[int64] }

func (*tagless) Invalidated([]string) {}
