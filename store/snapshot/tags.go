package snapshot

import (
	"encoding/binary"

	"github.com/tarncache/tarn"
)

// appendTags appends the names of tags. Their stamp says nothing to the store into which they are loaded.
func appendTags(dst []byte, tags *tarn.Tags) []byte {
	names := tags.Names()
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = appendBytes(dst, []byte(name))
	}
	return dst
}

// tagReader makes tags of their names, as of one moment of the store that is loaded into: that from before the snapshot was
// read, so that an invalidation meanwhile reaches what is added after it.
type tagReader struct {
	stamp tarn.Stamp

	// Entries share their tags where others have had the same: by their bytes, as long as both are few.
	known map[string]*tarn.Tags
}

const (
	knownTags   = 1024 // how many tags are remembered for entries to share
	sharedBytes = 256  // how long they may be
)

// cut takes tags from the front of b.
func (r *tagReader) cut(b []byte) (tags *tarn.Tags, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n == 0 || n > tarn.MaxTags {
		return nil, nil, false
	}
	fields := b[size:]
	rest = fields
	for range n {
		if _, rest, ok = cutBytes(rest, tarn.MaxTagLength); !ok {
			return nil, nil, false
		}
	}
	b = b[:len(b)-len(rest)]
	if tags, ok := r.known[string(b)]; ok {
		return tags, rest, true
	}
	names := make([]string, n)
	for i := range names {
		var name []byte
		name, fields, _ = cutBytes(fields, tarn.MaxTagLength)
		names[i] = string(name)
	}
	tags, err := tarn.NewTags(r.stamp, names...)
	if err != nil {
		return nil, nil, false
	}
	r.remember(b, tags)
	return tags, rest, true
}

func (r *tagReader) remember(b []byte, tags *tarn.Tags) {
	if len(b) > sharedBytes {
		return
	}
	if r.known == nil || len(r.known) >= knownTags {
		r.known = make(map[string]*tarn.Tags)
	}
	r.known[string(b)] = tags
}
