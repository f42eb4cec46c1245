package memory

import (
	"github.com/tarncache/tarn/internal/guard"
	"github.com/tarncache/tarn/ttl"
)

// records has what goes on at each key of a segment: leases and holds. The segment's mu protects it.
//
// Whoever took a lease or a hold normally ends it. For those that never come back the records form a ring, and
// each new record moves a hand over two others and drops them if their lives are over. So there are never more
// than about twice as many as there are leases and holds that live.
type records[K comparable] struct {
	byKey   map[K]*record[K]
	hand    *record[K]
	changes uint64 // counts changes of all keys at once
}

type record[K comparable] struct {
	guard.Record
	key        K
	changes    uint64 // up to which change of all keys it was told
	prev, next *record[K]
}

// find returns the record of key, or nil if nothing goes on.
func (t *records[K]) find(key K) *record[K] {
	if len(t.byKey) == 0 {
		return nil
	}
	r := t.byKey[key]
	if r != nil {
		t.catchUp(r)
	}
	return r
}

// catchUp tells a record of a change of all keys, if it has not been told.
func (t *records[K]) catchUp(r *record[K]) {
	if r.changes != t.changes {
		r.changes = t.changes
		r.Change()
	}
}

// changeAll tells every record of a change, at once or when it is next looked at.
func (t *records[K]) changeAll() { t.changes++ }

// take returns the record of key, a new one if there is none.
func (t *records[K]) take(key K, now ttl.Time) *record[K] {
	if r := t.find(key); r != nil {
		return r
	}
	for range 2 {
		if r := t.hand; r != nil {
			t.hand = r.next
			t.catchUp(r)
			t.tidy(r, now)
		}
	}
	r := &record[K]{key: key, changes: t.changes}
	t.byKey[key] = r
	if t.hand == nil {
		r.prev, r.next, t.hand = r, r, r
	} else {
		r.prev, r.next = t.hand.prev, t.hand
		r.prev.next, r.next.prev = r, r
	}
	return r
}

// tidy drops a record at which nothing goes on.
func (t *records[K]) tidy(r *record[K], now ttl.Time) {
	if !r.Idle(now) {
		return
	}
	delete(t.byKey, r.key)
	if t.hand == r {
		t.hand = r.next
	}
	if t.hand == r {
		t.hand = nil
	}
	r.prev.next, r.next.prev = r.next, r.prev
}
