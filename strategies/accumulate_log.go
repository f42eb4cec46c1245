package strategies

import (
	"context"
	"math/rand/v2"
)

// newEpoch returns a random epoch.
func newEpoch() uint64 { return 1 + rand.Uint64N(1<<63-1) } // fits a signed column

// settle says that a batch is not sent again.
func (a *Accumulator[K, V, D]) settle(b *deltaBatch[K, V, D]) { a.unsettled.end(b.Seq) }

// replace gives names to batches that one is parted into.
func (a *Accumulator[K, V, D]) replace(b *deltaBatch[K, V, D], parts []*deltaBatch[K, V, D]) error {
	for _, part := range parts {
		part.Seq = a.unsettled.begin()
	}
	a.unsettled.end(b.Seq)
	return nil
}

func (a *Accumulator[K, V, D]) closeLog(ctx context.Context) error { return nil }
