package redisstore

import (
	"context"
	"strconv"
	"strings"

	"github.com/tarncache/tarn"
)

// tagRecord is what was read of a tag.
type tagRecord struct {
	generation string // of its partition; empty: that has no record
	at         uint64 // when it was last invalidated; 0: it has no record
	floor      uint64 // when it was at the latest, if it has no record, and all is true
	all        bool
}

// tagRecords are those of the tags of some entries.
type tagRecords struct {
	index   map[string]int
	names   []keyName
	records []tagRecord
}

// valid reports whether none of the tags was invalidated after their stamp, as far as is known.
func (t *tagRecords) valid(tags *tarn.Tags) bool {
	for _, name := range tags.Names() {
		if at := t.records[t.index[name]].at; at == 0 || at > uint64(tags.Stamp()) {
			return false
		}
	}
	return true
}

// gone reports whether one of the tags was invalidated after their stamp, for good: one without a record may have one again.
func (t *tagRecords) gone(tags *tarn.Tags) bool {
	for _, name := range tags.Names() {
		if t.records[t.index[name]].at > uint64(tags.Stamp()) {
			return true
		}
	}
	return false
}

// standing returns the records of the tags of entries that were found, which were read later than they. Tags may be nil.
func (s *Store[K, V]) standing(ctx context.Context, all []*tarn.Tags) (*tagRecords, error) {
	t := newTagRecords(s.names, all)
	gets := s.divide(t.names)
	if _, err := s.fetchMany(ctx, t.names, gets); err != nil {
		return nil, err
	}
	t.read(gets)
	return t, nil
}

// stands reports whether an entry that was found is there still, by its tags.
func (s *Store[K, V]) stands(ctx context.Context, tags *tarn.Tags) (bool, error) {
	if tags == nil {
		return true, nil
	}
	t, err := s.standing(ctx, []*tarn.Tags{tags})
	return err == nil && t.valid(tags), err
}

func newTagRecords[K comparable](names *keyNames[K], all []*tarn.Tags) *tagRecords {
	t := &tagRecords{index: make(map[string]int)}
	for _, tags := range all {
		for _, name := range tags.Names() {
			if _, ok := t.index[name]; !ok {
				t.index[name] = len(t.names)
				t.names = append(t.names, names.tag(name))
			}
		}
	}
	t.records = make([]tagRecord, len(t.names))
	return t
}

// read takes the answers of gets, each of which has read tags together with the records of their partitions.
func (t *tagRecords) read(gets []mget) {
	for _, g := range gets {
		at := 0 // the record of the tag's partition; both are in order
		for n, i := range g.which {
			for g.records[at] != t.names[i].partition {
				at++
			}
			t.records[i] = tagRecordOf(g.reply.Items[n].Text, g.reply.Items[len(g.which)+at].Text)
		}
	}
}

// tagRecordOf reads the record of a tag by that of its partition.
func tagRecordOf(text, partition string) (r tagRecord) {
	if len(partition) <= 8 {
		return r
	}
	rest := partition[8:]
	end := strings.IndexAny(rest, ":~")
	if end < 0 {
		end = len(rest)
	}
	if end == 0 || strings.Trim(rest[:end], "0123456789") != "" {
		return r
	}
	r.generation = partition[:8]
	if end < len(rest) {
		r.all = rest[end] == ':'
		r.floor = momentOf(rest[end+1:])
	}
	moments, ok := strings.CutPrefix(text, r.generation)
	if at, latest, _ := strings.Cut(moments, " "); ok && momentOf(latest) != 0 {
		r.at = momentOf(at)
	}
	return r
}

// momentOf returns the number that a script has written, or 0 if it is none.
func momentOf(digits string) uint64 {
	if len(digits) > 16 || strings.Trim(digits, "0123456789") != "" {
		return 0
	}
	n, _ := strconv.ParseUint(digits, 10, 64)
	if n > largestStamp {
		return 0
	}
	return n
}
