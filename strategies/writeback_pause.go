package strategies

import (
	"context"
	"errors"

	"github.com/tarncache/tarn"
)

// ErrPaused says that nothing is written to the source, since write-back is paused.
var ErrPaused = errors.New("strategies: write-back: paused")

// Pause lets nothing be written to the source from now on, such as for a migration, and returns when nothing is being
// written any more. Writes are accepted as long as there is room; what would be written through waits for its context or
// for Resume. Flush returns [ErrPaused] in an [*UnwrittenError] if something is pending; a Flush that runs already waits.
// If ctx ends before, Pause returns its error, and the pause stays. Close ends a pause.
func (c *WriteBackCache[K, V]) Pause(ctx context.Context) error {
	if err := c.refuses(ctx); err != nil {
		return err
	}
	still, ok := c.table.queue.pause()
	if !ok {
		return tarn.ErrClosed
	}
	select {
	case <-still:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Resume ends a pause, if there is one.
func (c *WriteBackCache[K, V]) Resume() { c.table.queue.goOn() }
