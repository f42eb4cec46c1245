package redisstore

import "encoding/binary"

// A message on the namespace's channel says what was changed:
//
//	8 bytes   generation of the partition
//	8 bytes   publisher: the Store that changed it; zeros for what concerns everybody
//	8 bytes   sequence, the highest byte first
//	2 bytes   partition, the highest byte first
//	1 byte    what: a key (k), a tag (t), or the whole partition (c), which has a new generation now
//	the rest  the key's bytes, or the tag
const messageHead = 27

const (
	changedKey     = 'k'
	invalidatedTag = 't'
	clearedAllKeys = 'c'
)

type message struct {
	mark      mark
	publisher string
	partition int
	what      byte
	key       string
}

// mark is how far a partition has come.
type mark struct {
	generation string // empty: there is no record
	sequence   uint64
}

func parseMessage(text string) (m message, ok bool) {
	if len(text) < messageHead {
		return m, false
	}
	head := []byte(text[:messageHead])
	return message{
		mark:      mark{text[:8], binary.BigEndian.Uint64(head[16:])},
		publisher: text[8:16],
		partition: int(binary.BigEndian.Uint16(head[24:])),
		what:      head[26],
		key:       text[messageHead:],
	}, true
}
