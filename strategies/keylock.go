package strategies

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
)

// keyLocks lets one caller at a time have a key; the others queue in the order of their arrival, each waiting no
// longer than its context. A key is its hash, so that many keys can be taken in one order by everybody, and so that
// a key that does not equal itself leaves nothing behind. Two keys of one hash wait for each other, which
// is harmless and rare.
type keyLocks[K comparable] struct {
	seed maphash.Seed

	mu     sync.Mutex                 // protects queues
	queues map[uint64][]chan struct{} // present: taken; who waits, first come first
}

func newKeyLocks[K comparable]() *keyLocks[K] {
	return &keyLocks[K]{seed: maphash.MakeSeed(), queues: make(map[uint64][]chan struct{})}
}

// hash returns the lock of key.
func (l *keyLocks[K]) hash(key K) uint64 { return maphash.Comparable(l.seed, key) }

// lock takes a lock, or returns the context's error and has nothing.
func (l *keyLocks[K]) lock(ctx context.Context, h uint64) error {
	l.mu.Lock()
	queue, taken := l.queues[h]
	if !taken {
		l.queues[h] = nil
		l.mu.Unlock()
		return nil
	}
	turn := make(chan struct{})
	l.queues[h] = append(queue, turn)
	l.mu.Unlock()
	select {
	case <-turn:
		return nil
	case <-ctx.Done():
	}
	l.mu.Lock()
	i := slices.Index(l.queues[h], turn)
	if i >= 0 {
		l.queues[h] = slices.Delete(l.queues[h], i, i+1)
	}
	l.mu.Unlock()
	if i < 0 { // the turn came at the same moment
		l.unlock(h)
	}
	return ctx.Err()
}

// unlock gives a lock to the next in its queue.
func (l *keyLocks[K]) unlock(h uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	queue := l.queues[h]
	if len(queue) == 0 {
		delete(l.queues, h)
		return
	}
	close(queue[0])
	l.queues[h] = slices.Delete(queue, 0, 1)
}

// lockAll takes the locks of all keys, in one order for everybody, so that two batches cannot wait for each other.
// It returns the function that gives them back.
func (l *keyLocks[K]) lockAll(ctx context.Context, keys []K) (unlock func(), err error) {
	hashes := make([]uint64, len(keys))
	for i, key := range keys {
		hashes[i] = l.hash(key)
	}
	slices.Sort(hashes)
	hashes = slices.Compact(hashes)
	for i, h := range hashes {
		if err := l.lock(ctx, h); err != nil {
			l.unlockAll(hashes[:i])
			return nil, err
		}
	}
	return func() { l.unlockAll(hashes) }, nil
}

func (l *keyLocks[K]) unlockAll(hashes []uint64) {
	for _, h := range hashes {
		l.unlock(h)
	}
}
