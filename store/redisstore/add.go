package redisstore

import (
	"context"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// maxUntold is how often an operation on an entry with tags is tried that others change meanwhile.
const maxUntold = 16

// Add stores e if key has no entry and no writer holds it, and reports whether it did. An entry that has expired
// already is not stored, and neither is one whose tags were invalidated.
func (s *Store[K, V]) Add(ctx context.Context, key K, e tarn.Entry[V]) (added bool, err error) {
	name, err := s.writing(ctx, key)
	if err != nil {
		return false, wrap("add", err)
	}
	t := s.tagging(ctx, e.Tags)
	args, tags, err := s.lives(name, &e, t, true)
	if err != nil || args[0] == "" {
		return false, wrap("add", err)
	}
	gone := ""
	for range maxUntold {
		var r [1]Reply
		now := s.clock.Now()
		s.runTagged(ctx, t, []Command{s.call("add", name, 2, args[0], args[1], args[2], args[3], gone)}, r[:])
		seen, untold := untoldOf(r[0])
		if !untold {
			if err = answered(r[0], "stored", "there", "held"); err != nil || r[0].Text != "stored" {
				return false, wrap("add", err)
			}
			_, err = t.stood(tags)
			return err == nil, wrap("add", err)
		}
		_, found, err := s.told(ctx, seen, name, now, r[0].Items[2].Int)
		if err != nil || found {
			return false, wrap("add", err)
		}
		gone = seen.id()
	}
	return false, wrap("add", errContended)
}

// untoldOf returns the entry with tags in an answer that leaves it to the caller whether it is gone.
func untoldOf(r Reply) (sight, bool) {
	if r.Err != nil || len(r.Items) != 3 || r.Items[0].Text != "tagged" || len(r.Items[1].Text) <= atMarks ||
		r.Items[2].Kind != Int {
		return sight{}, false
	}
	seen := sight{r.Items[1].Text[atKind], r.Items[1].Text}
	return seen, seen.isEntry()
}

// told returns the records of the tags of an entry that was seen, and whether it is there. What cannot be decoded is
// not. The server was asked, and answered with its time.
func (s *Store[K, V]) told(
	ctx context.Context, seen sight, name keyName, asked ttl.Time, answer int64,
) (t *tagging, found bool, err error) {
	clock := s.clockOf(name.partition)
	clock.set(asked, answer)
	e, live, err := s.entry(seen, name, clock)
	if err != nil {
		s.undecodable(ctx, err, damage{name, seen.text})
		return nil, false, nil
	}
	if !live {
		return nil, false, nil
	}
	records, err := s.standing(ctx, []*tarn.Tags{e.Tags})
	if err != nil {
		return nil, false, err
	}
	t = &tagging{tagRecords: *records, uses: make([]tagUse, len(records.names))}
	t.use(e.Tags, 0)
	return t, records.valid(e.Tags), nil
}
