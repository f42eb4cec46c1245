package tarn

import (
	"context"
	"time"
)

// Observer is told what happens, as it happens and outside every lock. It is quick, calls back
// into no cache, and does not panic: where it happens is often a goroutine on which nobody could recover. Any number
// of goroutines may call it at once.
type Observer interface {
	Observe(ctx context.Context, e Event)
}

// ObserverFunc makes an Observer of a function.
type ObserverFunc func(ctx context.Context, e Event)

// Observe calls f.
func (f ObserverFunc) Observe(ctx context.Context, e Event) { f(ctx, e) }

// Event is one thing that happened. Fields that say nothing about its Kind are zero. More fields and kinds will
// come: switch on Kind with a default.
type Event struct {
	Kind     EventKind
	N        int           // how many keys it concerns; at least 1
	Duration time.Duration // how long the source took, of a load or write, and of Flushed and Retried; of Blocked: the wait
	Age      time.Duration // of Flushed: how long the oldest of the writes had been pending
	Attempt  int           // of Retried and DeadLettered: how often it was tried
	Err      error         // of the failures
	Key      any           // the key, if the option WithEventKeys asked for it and it is one; a batch's flush has none
}

// EventKind says what happened.
type EventKind uint8

const (
	EventHit         EventKind = iota + 1 // a read was answered from the cache
	EventNegativeHit                      // a read was answered by a remembered absence
	EventStaleHit                         // a read was answered with a stale value, while that is being replaced
	// a read found nothing in the cache that it could be answered with at once; if its load fails and an old value is
	// served, EventRescued follows
	EventMiss
	EventLoaded     // the source answered a load; that it has no such key is an answer
	EventLoadFailed // a load failed
	// a loaded value was not stored: its key had changed, the store refused it, or Err says what was wrong with its
	// Policy or Tags
	EventFillDropped
	EventStoreFailed  // the store failed; the source answered instead, if there is one
	EventWritten      // a write reached the source
	EventWriteFailed  // a write failed, or its outcome is unknown
	EventMaybeStale   // a write reached the source, but the cache could not be told
	EventEvicted      // an entry made room for others
	EventExpired      // an entry was removed after its life
	EventFlushed      // a batch of pending writes reached the source
	EventCoalesced    // a pending write was replaced by a later one of its key
	EventRetried      // a pending write failed and will be tried again
	EventDeadLettered // a pending write was given up: the dead-letter handler or the journal has it
	EventPanicked     // a function of the application panicked where no caller could see it
	// a shared store held something that is no value of its key; it is a miss, and was removed unless it may be
	// somebody else's
	EventUndecodable
	EventReplayed      // pending writes of an earlier process were found in the journal, and accepted
	EventJournalFailed // an append to the journal failed; N is how many records it had, at least 1
	EventBlocked       // a write has waited for room among the pending
	// a read was answered with an old value, since the source failed or was too slow; if it waited for its own load, an
	// EventMiss came before
	EventRescued
	EventShed // a load was not let through to the source, to spare it; see ErrShed
)

var eventNames = [...]string{
	EventHit: "hit", EventNegativeHit: "negative hit", EventStaleHit: "stale hit", EventMiss: "miss",
	EventLoaded: "loaded", EventLoadFailed: "load failed", EventFillDropped: "fill dropped",
	EventStoreFailed: "store failed", EventWritten: "written", EventWriteFailed: "write failed",
	EventMaybeStale: "maybe stale", EventEvicted: "evicted", EventExpired: "expired", EventFlushed: "flushed",
	EventCoalesced: "coalesced", EventRetried: "retried", EventDeadLettered: "dead-lettered",
	EventPanicked: "panicked", EventUndecodable: "undecodable", EventReplayed: "replayed",
	EventJournalFailed: "journal failed", EventBlocked: "blocked", EventRescued: "rescued",
	EventShed: "load shed",
}

// String returns the kind in words.
func (k EventKind) String() string {
	if int(k) < len(eventNames) && eventNames[k] != "" {
		return eventNames[k]
	}
	return "unknown event"
}
