package bench

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
)

// batcher is write-back as it is written in an afternoon: the cache gets the value, a channel takes the write, and a
// goroutine makes batches of what comes out of it, due when tarn's are, with the last write of a key alone.
//
// What it has loses whoever kills the process, a batch that fails is gone, a value that was evicted before it was written
// is read as the source still has it, and two writes of a key at once may reach the cache in one order and the source in
// the other.
type batcher struct {
	store  *memory.Store[int64, Product]
	source *table
	writes chan Product
	done   chan error
}

func newBatcher(_ *testing.B, source *table) *batcher {
	c := &batcher{
		store:  memory.New(memory.Options[int64, Product]{MaxEntries: 2 * writeKeys}),
		source: source,
		writes: make(chan Product, 100_000),
		done:   make(chan error),
	}
	go func() { c.done <- c.run() }()
	return c
}

func (c *batcher) Get(ctx context.Context, id int64) (Product, error) {
	if e, found, err := c.store.Get(ctx, id); found || err != nil {
		return e.Value, err
	}
	return c.source.Load(ctx, id)
}

func (c *batcher) Set(ctx context.Context, id int64, p Product) error {
	if err := c.store.Set(ctx, id, tarn.Entry[Product]{Value: p}); err != nil {
		return err
	}
	c.writes <- p
	return nil
}

func (c *batcher) Delete(context.Context, int64) error { panic("the benchmark deletes nothing") }

func (c *batcher) Close(context.Context) error {
	close(c.writes)
	return <-c.done
}

// run makes batches until the channel is closed. While one is written, the next gathers, however large it gets.
func (c *batcher) run() error {
	const most, delay = 500, 100 * time.Millisecond
	batches, failed := make(chan map[int64]Product), make(chan error)
	go func() { failed <- c.writeAll(batches) }()
	batch := map[int64]Product{}
	var due <-chan time.Time
	var ready chan<- map[int64]Product // batches, once a batch is full or old
	for {
		select {
		case p, ok := <-c.writes:
			if !ok {
				batches <- batch
				close(batches)
				return <-failed
			}
			if len(batch) == 0 {
				due = time.After(delay)
			}
			if batch[p.ID] = p; len(batch) >= most {
				ready = batches
			}
		case <-due:
			ready = batches
		case ready <- batch:
			batch, due, ready = map[int64]Product{}, nil, nil
		}
	}
}

func (c *batcher) writeAll(batches <-chan map[int64]Product) (err error) {
	for batch := range batches {
		ops := make([]tarn.Op[int64, Product], 0, len(batch))
		for id, p := range batch {
			ops = append(ops, tarn.Op[int64, Product]{Key: id, Value: p})
		}
		err = errors.Join(err, c.source.Apply(context.Background(), ops))
	}
	return err
}
