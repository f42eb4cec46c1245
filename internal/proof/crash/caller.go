package crash

import (
	"context"
	"errors"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/proof"
)

// caller is a goroutine of an application.
type caller struct {
	node *node
	id   int
	last int64 // the number of its last operation
	over bool  // nothing is accepted any more
	rng  *rand.Rand
}

func (c *caller) each(ctx context.Context, do func(c *caller, ctx context.Context)) {
	for ctx.Err() == nil && !c.over {
		c.call(do)
		if rest := c.node.spec.Load.Rest; rest > 0 {
			select {
			case <-time.After(time.Duration(c.rng.Int64N(int64(rest)))):
			case <-ctx.Done():
			}
		}
	}
}

// call gives a call the time it has: much, or too little.
func (c *caller) call(do func(c *caller, ctx context.Context)) {
	patience := c.node.spec.Load.Patience
	if patience == 0 {
		patience = 20 * time.Second
	}
	if c.rng.Float64() < c.node.spec.Load.Cancel {
		patience = time.Duration(c.rng.Int64N(int64(2 * time.Millisecond)))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	do(c, ctx)
}

// keys draws some keys, all different.
func (c *caller) keys() []int64 {
	n, all := int64(1), c.node.spec.Load.Keys
	if c.rng.Float64() < c.node.spec.Load.Batch {
		n = min(2+c.rng.Int64N(10), all)
	}
	keys := make([]int64, n)
	first := c.rng.Int64N(all)
	for i := range keys {
		keys[i] = 1 + (first+int64(i))%all
	}
	return keys
}

func (c *caller) number() int64 {
	c.last = c.node.spec.number(proof.Now(), c.id, c.last)
	return c.last
}

func (c *caller) write(ctx context.Context) {
	keys := c.keys()
	asked := make([]Message, len(keys))
	values := make(map[int64]Item, len(keys))
	deletes := c.rng.Float64() < c.node.spec.Load.Deletes
	isDelete := int64(0)
	if deletes {
		isDelete = 1
	}
	fill := strings.Repeat("x", c.node.spec.Load.Fill)
	for i, key := range keys {
		op := c.number()
		asked[i] = Message{Kind: Asked, Key: key, Op: op, N: isDelete}
		values[key] = Item{Key: key, Op: op, Fill: fill}
	}
	if deletes || c.node.spec.Load.Readers > 0 { // what a value tells itself when it arrives
		c.node.tell.tell(asked...)
	}
	cache := tarn.Cache[int64, Item](c.node.cache)
	var err error
	switch {
	case deletes && len(keys) == 1:
		err = cache.Delete(ctx, keys[0])
	case deletes:
		err = tarn.DeleteMany(ctx, cache, keys)
	case len(keys) == 1:
		err = cache.Set(ctx, keys[0], values[keys[0]])
	default:
		err = tarn.SetMany(ctx, cache, values)
	}
	c.answered(asked, err)
}

// answered tells what a caller was told of each of its operations.
func (c *caller) answered(asked []Message, err error) {
	end := proof.Now()
	var each *tarn.BatchError[int64]
	errs := make(map[int64]error)
	if errors.As(err, &each) {
		for _, f := range each.Failed {
			errs[f.Key] = f.Err
		}
		err = nil
	}
	for i := range asked {
		m := &asked[i]
		m.End = end
		own := err
		if own == nil {
			own = errs[m.Key]
		}
		switch {
		case own == nil:
			m.Kind = Acknowledged
		case errors.Is(own, tarn.ErrFull), errors.Is(own, tarn.ErrClosed):
			m.Kind, m.Text = Refused, own.Error()
			c.over = errors.Is(own, tarn.ErrClosed)
		default:
			m.Kind, m.Text = Failed, own.Error()
		}
	}
	c.node.tell.tell(asked...)
}

func (c *caller) read(ctx context.Context) {
	key := c.keys()[0]
	m := Message{Kind: Read, Key: key, Begin: proof.Now()}
	item, err := c.node.cache.Get(ctx, key)
	m.End = proof.Now()
	if err != nil && !errors.Is(err, tarn.ErrNotFound) {
		return
	}
	if m.Op = item.Op; err == nil && item.Key != key {
		m.Op = -1 // nobody wrote that under this key
	}
	c.node.tell.tell(m)
}
