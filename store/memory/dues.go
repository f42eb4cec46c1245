package memory

import "github.com/tarncache/tarn/ttl"

// dues say when it is worth looking into a bucket for what has expired: for each bucket of a table, and for each chunk
// of them, an instant before which none of its nodes expires. An entry with a deadline costs a share of its bucket's
// eight bytes this way, and no other order of the entries has to be kept. The segment's mu protects it.
//
// Deadlines that are moved or leave before they pass are not taken back: a look into their bucket finds nothing then,
// and writes down when the next is due.
type dues struct {
	chunks []dueChunk // as many as the table has, or fewer
	first  ttl.Time   // before it nothing expires; 0 or ttl.End: nothing has a deadline
	cursor int        // the chunk to look into next
}

type dueChunk struct {
	buckets []ttl.Time // up to the last that got a deadline since the chunk is there
	first   ttl.Time
}

// next returns an instant before which nothing expires.
func (d *dues) next() ttl.Time {
	if d.first == 0 {
		return ttl.End
	}
	return d.first
}

// any reports whether any entry has a deadline, or had one not long ago.
func (d *dues) any() bool { return d.next() != ttl.End }

// set notes that bucket i has a node that expires then.
func (d *dues) set(i uint32, at ttl.Time) {
	c := int(i / chunkBuckets)
	for c >= len(d.chunks) {
		d.chunks = append(d.chunks, dueChunk{first: ttl.End})
	}
	chunk := &d.chunks[c]
	for j := int(i % chunkBuckets); j >= len(chunk.buckets); {
		chunk.buckets = append(chunk.buckets, ttl.End)
	}
	bucket := &chunk.buckets[i%chunkBuckets]
	if at >= *bucket {
		return // nor does it come before what is noted of the chunk, or of all
	}
	*bucket = at
	chunk.first = min(chunk.first, at)
	d.first = min(d.next(), at)
}

// of returns what is noted of bucket i.
func (d *dues) of(i uint32) ttl.Time {
	if c := int(i / chunkBuckets); c < len(d.chunks) {
		if j := int(i % chunkBuckets); j < len(d.chunks[c].buckets) {
			return d.chunks[c].buckets[j]
		}
	}
	return ttl.End
}

// copy notes for bucket i what is noted of another.
func (d *dues) copy(from, i uint32) {
	if at := d.of(from); at != ttl.End {
		d.set(i, at)
	}
}

// merge notes for a bucket what is noted of the last one, which is taken away.
func (d *dues) merge(last, into uint32) {
	if at := d.of(last); at != ttl.End {
		d.set(into, at)
		d.chunks[last/chunkBuckets].buckets[last%chunkBuckets] = ttl.End
	}
}

// cut lets go of all but so many chunks.
func (d *dues) cut(chunks int) {
	if chunks < len(d.chunks) {
		clear(d.chunks[chunks:])
		d.chunks = d.chunks[:chunks]
	}
}

// due notes the deadline of a node in bucket i.
func (t *table[K, V]) due(i uint32, n *node[K, V]) {
	if at := n.expires(); at != 0 && at != ttl.End {
		t.dues.set(i, at)
	}
}

// expire calls remove for nodes that have expired, until it has done so for some of them or has looked at twice as
// many, and reports whether there may be more.
func (t *table[K, V]) expire(now ttl.Time, some int, remove func(*node[K, V])) (more bool) {
	d := &t.dues
	budget := 2 * some
	for range len(d.chunks) {
		if budget <= 0 {
			break
		}
		if d.cursor >= len(d.chunks) {
			d.cursor = 0
		}
		if d.chunks[d.cursor].first.Passed(now) {
			budget -= chunkWork
			t.expireChunk(d.cursor, now, &budget, remove)
		}
		if budget > 0 {
			d.cursor++
		}
	}
	d.first = ttl.End
	for i := range d.chunks {
		d.first = min(d.first, d.chunks[i].first)
	}
	return d.first.Passed(now)
}

// chunkWork is what a look through the instants of a chunk costs, in looks at nodes.
const chunkWork = 16

func (t *table[K, V]) expireChunk(c int, now ttl.Time, budget *int, remove func(*node[K, V])) {
	chunk := &t.dues.chunks[c]
	first := ttl.End
	for j, at := range chunk.buckets {
		if at.Passed(now) && *budget > 0 {
			at = t.expireBucket(uint32(c*chunkBuckets+j), now, budget, remove)
			chunk.buckets[j] = at
		}
		first = min(first, at)
	}
	chunk.first = first
}

// expireBucket removes what has expired in a bucket, and returns when the next of it is due.
func (t *table[K, V]) expireBucket(i uint32, now ttl.Time, budget *int, remove func(*node[K, V])) ttl.Time {
	for {
		var gone *node[K, V]
		first := ttl.End
		for b := t.bucket(i); b != nil; b = b.next.Load() {
			b.each(func(_ int, n *node[K, V]) {
				*budget--
				switch at := n.expires(); {
				case at == 0:
				case at.Passed(now):
					gone = n
				default:
					first = min(first, at)
				}
			})
		}
		if gone == nil {
			return first
		}
		remove(gone)
		if *budget <= 0 {
			return now
		}
	}
}
