package redisstore

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// What stands under the Redis key of a key is a string, and begins with
//
//	1 byte   version
//	8 bytes  generation: that of the partition's record, or what follows is not there
//	1 byte   kind: value (v), absence (n), lease (l), holds (h), or the mark of a removal (d)
//
// Of a value and an absence there follow
//
//	8 bytes  ID of the operation that wrote it, which is new with each change
//	8 bytes  milliseconds of the server's clock at which it expires, the highest byte first
//	8 bytes  milliseconds of the server's clock until which it is fresh; 0: until it expires
//	1 byte or more: marks; see marks.go
//	the rest the payload; see payloads
//
// of a lease its token; of holds 't' if they are tainted, and for each its token and the milliseconds at which it ends;
// of a removal the ID of the operation. The lease on a value that stands is a string of its own: the ID of the value, and
// the token. So whatever changes the value voids the lease.
const (
	oldestVersion = 0xA1
	newestVersion = 0xA1

	atGeneration = 1
	atKind       = 9
	atID         = 10
	atExpires    = 18
	atFresh      = 26
	atMarks      = 34

	kindValue    = 'v'
	kindNegative = 'n'
	kindLease    = 'l'
	kindHold     = 'h'
	kindRemoved  = 'd'
)

// maxHolds is how many writers may hold one key at once.
const maxHolds = 1024

// sight is what a read saw under a key.
type sight struct {
	kind byte   // 0: nothing, or nothing that this version knows
	text string // all of it
}

// id returns the ID of the operation that wrote a value; of anything else it is empty.
func (s sight) id() string {
	if !s.isEntry() {
		return ""
	}
	return s.text[atID:atExpires]
}

func (s sight) isEntry() bool { return s.kind == kindValue || s.kind == kindNegative }

// see tells what stands under a key, by the partition's record. Where that is nothing of this store's, it tells.
func (s *Store[K, V]) see(ctx context.Context, text, record string) sight {
	switch {
	case text == "":
		return sight{}
	case len(text) < atID || text[0] < oldestVersion || text[0] > s.newest:
		s.foreign(ctx)
		return sight{}
	}
	switch kind := text[atKind]; kind {
	case kindHold:
		return sight{kind, text}
	case kindValue, kindNegative:
		if len(text) > atMarks && len(record) > 8 && text[atGeneration:atKind] == record[:8] {
			return sight{kind, text}
		}
	case kindLease, kindRemoved:
	default:
		s.foreign(ctx)
	}
	return sight{}
}

// entry returns the entry that was seen, or an error that is ErrUndecodable. ok is false where it has expired. Whether its
// tags were invalidated is for the caller to find out.
func (s *Store[K, V]) entry(seen sight, name keyName, clock *serverClock) (e tarn.Entry[V], ok bool, err error) {
	marks, payload, ok := cutMarks(seen.text[atMarks:])
	if !ok {
		return e, false, s.payloads.damaged()
	}
	name = name.marked(marks)
	if seen.kind == kindNegative {
		e.Negative = true
		err = s.payloads.decodeNone(payload, name)
	} else {
		e.Value, err = s.payloads.decode(payload, name)
	}
	if err != nil {
		return tarn.Entry[V]{}, false, err
	}
	if e.Tags, ok = tagsOf(marks); !ok {
		return tarn.Entry[V]{}, false, s.payloads.damaged()
	}
	e.Rescued = marks[0]&markRescued != 0
	now := s.clock.Now()
	e.Expires = clock.local(int64(binary.BigEndian.Uint64([]byte(seen.text[atExpires:atFresh]))))
	if e.Expires.Passed(now) {
		return tarn.Entry[V]{}, false, nil
	}
	if fresh := int64(binary.BigEndian.Uint64([]byte(seen.text[atFresh:atMarks]))); fresh != 0 {
		e.Fresh = clock.local(fresh)
		e.Stale = e.Fresh.Passed(now)
	}
	if e.Expires.Sub(now) > forever/2 {
		e.Expires = 0
	}
	return e, true, nil
}

// forever is the life of what never expires: Redis is always told when to forget.
const forever = 100 * 365 * 24 * time.Hour

// life returns how long an entry is to live in milliseconds, at least 1, or 0 if it has expired.
func (s *Store[K, V]) life(expires, now ttl.Time) int64 {
	left := s.maxLife
	if expires != 0 && expires != ttl.End {
		left = min(left, expires.Sub(now))
	}
	if left <= 0 {
		return 0
	}
	return milliseconds(left)
}

// capped returns when an entry that is stored now is gone, if that is before expires, which nobody else knows of.
func (s *Store[K, V]) capped(expires ttl.Time) ttl.Time {
	if s.maxLife == forever && (expires == 0 || expires == ttl.End) {
		return expires
	}
	if end := s.clock.Now().Add(s.maxLife); expires == 0 || expires > end {
		return end
	}
	return expires
}

// milliseconds rounds up.
func milliseconds(d time.Duration) int64 {
	ms := d.Milliseconds()
	if d > time.Duration(ms)*time.Millisecond {
		ms++
	}
	return ms
}
