package bolt

import (
	"cmp"
	"time"
)

// Options says how a journal is kept. The zero value is a good default.
type Options struct {
	// MaxBytes bounds the file. What is refused at the bound is [journal.ErrFull]; a part of the bound, 256 KiB, is
	// kept for removals. While it is compacted there is a second file beside it, smaller than it. 0: 1 GiB. Less
	// than 1 MiB is 1 MiB.
	MaxBytes int64

	// LockTimeout is how long Open waits if another process has the journal; then it returns [journal.ErrLocked].
	// 0: one second. Negative: it does not wait.
	LockTimeout time.Duration

	// Quarantine is a file that Replay puts records into which it cannot read, or whose value the strategy cannot, before
	// it removes them from the journal. It is created with the first of them, with mode 0600. Each is written as its
	// number (8 bytes, big endian), its length (4 bytes, big endian) and its bytes as they were, of which [journal.Parse]
	// makes a record if they are whole; after a crash one may stand there twice. Empty: Replay ends at the first record
	// that cannot be read, and nothing is changed.
	Quarantine string
}

const (
	pageSize = 4096 // of a new journal

	defaultMaxBytes = 1 << 30
	leastMaxBytes   = 1 << 20

	reservePages = 64 // kept free for removals
	leastReserve = 16 // of these, for what does nothing else
)

func (o Options) withDefaults() Options {
	if o.MaxBytes < 0 {
		panic("bolt: Options.MaxBytes is negative")
	}
	o.MaxBytes = max(cmp.Or(o.MaxBytes, defaultMaxBytes), leastMaxBytes)
	o.LockTimeout = max(cmp.Or(o.LockTimeout, time.Second), 0)
	return o
}
