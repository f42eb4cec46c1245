package redisstore

import (
	"encoding/binary"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/tarncache/tarn"
)

// The marks of an entry, which follow its deadlines, are
//
//	1 byte   1: it was rescued; 2: it has tags
//
// and of one with tags
//
//	8 bytes         their stamp, the highest byte first
//	uvarint         how many there are
//	uvarint, bytes  each of them
const (
	markRescued = 1
	markTagged  = 2

	stampSize = 8
)

// largestStamp is above what a counter comes to. Numbers of scripts are whole ones up to there.
const largestStamp = 9e15

// appendMarks appends the marks of an entry whose tags have a stamp.
func appendMarks(dst []byte, rescued bool, tags *tarn.Tags) []byte {
	mark := byte(0)
	if rescued {
		mark |= markRescued
	}
	if tags == nil {
		return append(dst, mark)
	}
	dst = binary.BigEndian.AppendUint64(append(dst, mark|markTagged), uint64(tags.Stamp()))
	names := tags.Names()
	dst = binary.AppendUvarint(dst, uint64(len(names)))
	for _, name := range names {
		dst = append(binary.AppendUvarint(dst, uint64(len(name))), name...)
	}
	return dst
}

// cutMarks parts the marks from the payload that follows them, and reports whether it could.
func cutMarks(text string) (marks, payload string, ok bool) {
	switch {
	case text == "" || text[0] > markRescued|markTagged:
		return "", "", false
	case text[0]&markTagged == 0:
		return text[:1], text[1:], true
	}
	count, rest, ok := cutCount(text)
	for range count {
		if _, rest, ok = cutName(rest); !ok {
			break
		}
	}
	if !ok {
		return "", "", false
	}
	at := len(text) - len(rest)
	return text[:at], text[at:], true
}

// cutCount takes the number of tags off, and what comes before it.
func cutCount(text string) (count int, rest string, ok bool) {
	if len(text) < 1+stampSize {
		return 0, "", false
	}
	n, size := binary.Uvarint(bytesOf(text[1+stampSize:]))
	if size <= 0 || n == 0 || n > tarn.MaxTags {
		return 0, "", false
	}
	return int(n), text[1+stampSize+size:], true
}

func cutName(text string) (name, rest string, ok bool) {
	n, size := binary.Uvarint(bytesOf(text))
	if size <= 0 || n == 0 || n > tarn.MaxTagLength || n > uint64(len(text)-size) {
		return "", "", false
	}
	end := size + int(n)
	return text[size:end], text[end:], true
}

// tagsOf returns the tags that marks say, and whether they can be some of an entry. It keeps nothing of marks.
func tagsOf(marks string) (*tarn.Tags, bool) {
	if marks[0]&markTagged == 0 {
		return nil, true
	}
	marks = strings.Clone(marks)
	stamp := binary.BigEndian.Uint64(bytesOf(marks[1:]))
	if stamp == 0 || stamp > largestStamp {
		return nil, false
	}
	count, rest, _ := cutCount(marks)
	names := make([]string, count)
	for i := range names {
		names[i], rest, _ = cutName(rest)
	}
	tags, err := tarn.NewTags(tarn.Stamp(stamp), names...)
	return tags, err == nil && len(tags.Names()) == count
}

// marked returns the name by which the payload of an entry with these marks is sealed: what seals the one seals the
// other.
func (n keyName) marked(marks string) keyName {
	if marks != "\x00" {
		n.hash ^= xxhash.Sum64String(marks)
	}
	return n
}
