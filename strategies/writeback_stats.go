package strategies

import (
	"time"

	"github.com/tarncache/tarn/strategies/journal"
)

// WriteBackStats is what a [WriteBackCache] has and did. Once nothing is pending, Flushed, Coalesced and DeadLettered
// add up to the writes that were accepted and those that were replayed; those counted in WrittenThrough are apart.
type WriteBackStats struct {
	Pending       int           // keys that are not at the source, those in flight included
	PendingBytes  int64         // as the config's Size counts them
	OldestPending time.Duration // how long the oldest of them has waited, in this process; 0 if there is none
	InFlight      int           // of Pending: being written now
	Retrying      int           // of Pending: those whose last attempt failed
	Paused        bool

	Waiting    int           // writes that wait for room now
	Blocked    uint64        // writes that waited for room
	BlockedFor time.Duration // how long they did, together
	Refused    uint64        // writes that were refused for want of room, or because the journal failed

	Coalesced      uint64 // writes replaced by a later one of their key
	Flushed        uint64 // writes that reached the source in the background
	Retried        uint64 // attempts that failed and were followed, or will be, by another
	DeadLettered   uint64 // writes that were given up
	WrittenThrough uint64 // writes that found no room and reached the source before they returned

	// With a journal only.
	Replayed       uint64 // writes that were in it at the start
	Unsynced       int    // records that are on their way there; with SyncEvery, what a crash would lose now
	DeadLetters    int    // that it keeps
	JournalRecords int    // that it keeps, if it is a [journal.Stater]
	JournalBytes   int64  // that it takes, likewise
}

// Stats returns what the cache has now and did until now. It looks at every pending key.
func (c *WriteBackCache[K, V]) Stats() WriteBackStats {
	s := WriteBackStats{
		Coalesced:      c.table.coalesced(),
		Flushed:        c.flushed.Load(),
		Retried:        c.retried.Load(),
		DeadLettered:   c.deadLettered.Load(),
		WrittenThrough: c.writtenThrough.Load(),
		Paused:         c.table.queue.paused(),
		Waiting:        int(c.waiting.Load()),
		Blocked:        c.blockedTimes.Load(),
		BlockedFor:     time.Duration(c.blockedFor.Load()),
		Refused:        c.refused.Load(),
	}
	now := c.table.now()
	c.table.each(func(p *pendingKey[K, V]) {
		s.Pending++
		since := p.since
		if p.sent != 0 {
			s.InFlight++
			since = p.sentSince
		}
		if p.failures > 0 {
			s.Retrying++
		}
		s.OldestPending = max(s.OldestPending, now-since)
	})
	_, s.PendingBytes = c.table.bounds.taken()
	c.journalStats(&s)
	return s
}

// journalStats adds what there is to say of the journal.
func (c *WriteBackCache[K, V]) journalStats(s *WriteBackStats) {
	if c.log == nil {
		return
	}
	s.Replayed = c.replayed.Load()
	s.Unsynced = c.log.unsynced()
	s.DeadLetters = int(c.table.dead.Load())
	if j, ok := c.config.Journal.(journal.Stater); ok {
		stats := j.Stats()
		s.JournalRecords, s.JournalBytes = stats.Records, stats.Bytes
	}
}
