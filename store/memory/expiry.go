package memory

import "github.com/tarncache/tarn/ttl"

// deadlines has the nodes that can expire, the first to do so on top: a binary heap of which every node knows its
// place. The store's mu protects it.
type deadlines[K comparable, V any] []*node[K, V]

// set puts n in, moves it to where its entry's Expires belongs, or takes it out if it never expires.
func (d *deadlines[K, V]) set(n *node[K, V]) {
	at := n.entry.Expires
	if at == 0 || at == ttl.End {
		d.remove(n)
		return
	}
	if n.timed == 0 {
		*d = append(*d, n)
		n.timed = len(*d)
	}
	if i := n.timed - 1; !d.down(i) {
		d.up(i)
	}
}

// remove takes n out, if it is in.
func (d *deadlines[K, V]) remove(n *node[K, V]) {
	if n.timed == 0 {
		return
	}
	i, last := n.timed-1, len(*d)-1
	d.swap(i, last)
	(*d)[last] = nil
	*d = (*d)[:last]
	n.timed = 0
	if i < last && !d.down(i) {
		d.up(i)
	}
	if c := cap(*d); c > 1024 && last < c/4 {
		*d = append(make([]*node[K, V], 0, c/2), *d...)
	}
}

// next returns the first deadline, or ttl.End if there is none.
func (d deadlines[K, V]) next() ttl.Time {
	if len(d) == 0 {
		return ttl.End
	}
	return d[0].entry.Expires
}

func (d deadlines[K, V]) swap(i, j int) {
	d[i], d[j] = d[j], d[i]
	d[i].timed, d[j].timed = i+1, j+1
}

func (d deadlines[K, V]) before(i, j int) bool { return d[i].entry.Expires < d[j].entry.Expires }

func (d deadlines[K, V]) up(i int) {
	for i > 0 {
		parent := (i - 1) / 2
		if !d.before(i, parent) {
			return
		}
		d.swap(i, parent)
		i = parent
	}
}

func (d deadlines[K, V]) down(i int) (moved bool) {
	for {
		child := 2*i + 1
		if child >= len(d) {
			return moved
		}
		if right := child + 1; right < len(d) && d.before(right, child) {
			child = right
		}
		if !d.before(child, i) {
			return moved
		}
		d.swap(i, child)
		i, moved = child, true
	}
}
