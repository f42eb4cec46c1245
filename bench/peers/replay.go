package peers

// run is the loop of the policies that only hit ratios are measured of.
func run[K Key, V any](c Cache[K, V], l Load[K, V]) (hits int) {
	for i := l.From; i < l.From+l.Ops; i++ {
		at := i & l.Mask
		if i&3 < l.Reads {
			if _, found := c.Get(l.Keys[at]); found {
				hits++
			}
		} else {
			c.Set(l.Keys[at], l.Values[at])
		}
	}
	return hits
}

// queue is a first-in, first-out queue in a ring that grows.
type queue[T any] struct {
	ring []T // a power of two of places, or none
	head int // the place of the oldest, to be masked
	n    int
}

func (q *queue[T]) push(x T) {
	if q.n == len(q.ring) {
		larger := make([]T, max(16, 2*len(q.ring)))
		for i := range q.n {
			larger[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = larger, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = x
	q.n++
}

func (q *queue[T]) pop() T {
	var none T
	at := q.head & (len(q.ring) - 1)
	x := q.ring[at]
	q.ring[at] = none
	q.head, q.n = at+1, q.n-1
	return x
}
