package observe

import (
	"fmt"
	"reflect"
)

// helpOf says what a field of Stats is.
func helpOf(t reflect.Type, field reflect.StructField) string {
	if help := help[sourceName(t)+"."+snake(field.Name)]; help != "" {
		return help
	}
	return fmt.Sprintf("%s of %v.", field.Name, t)
}

// help has the fields of the Stats that come with this library. Those of others are described by their names.
var help = map[string]string{
	"memory.hits":        "Reads that found an entry in the store, if Options.CountReads has them counted.",
	"memory.misses":      "Reads that found no entry in the store, if Options.CountReads has them counted.",
	"memory.evictions":   "Entries that made room for others.",
	"memory.expirations": "Entries removed after their lives.",
	"memory.refused":     "Entries refused as too heavy, or for a negative weight.",
	"memory.entries":     "Entries in the store.",
	"memory.negatives":   "Entries in the store that are remembered absences.",
	"memory.weight":      "Sum of the weights of the entries; each weighs 1 where nothing else was said.",
	"memory.bound":       "What the weight may be at most.",

	"tiered.kept":    "Near copies that were made.",
	"tiered.refused": "Near copies that were not made, since the key had changed or trust was lost.",
	"tiered.changed": "Keys that were told to have changed.",
	"tiered.tags":    "Tags that were told to have been invalidated.",
	"tiered.lost":    "Times that all near copies were dropped, since changes were not told.",

	"redisstore.undecodable": "Values that could not be decoded and were removed.",
	"redisstore.foreign":     "Reads that found something of a newer version, or of somebody else.",
	"redisstore.refused":     "Entries that were not stored: too large, or not to be encoded.",
	"redisstore.renewed":     "Partitions that were cleared since their server had restarted or was new.",
	"redisstore.lost":        "Times that it could not be known what had changed.",

	"source.calls":           "Calls that were let through to the source, retries included.",
	"source.failures":        "Calls of the source that failed or were too slow.",
	"source.retries":         "Calls of the source that tried again what had failed.",
	"source.retries_denied":  "Retries that the budget had nothing left for.",
	"source.shed_by_breaker": "Loads that were not let through, as the source had failed.",
	"source.shed_by_rate":    "Loads that were not let through, as there were too many.",
	"source.waited":          "Calls that waited for their turn.",
	"source.opened":          "Times that the breaker opened, after a probe that failed included.",
	"source.state":           "State of the breaker: 0 closed, 1 half-open, 2 open.",

	"write_back.pending":         "Keys that are not at the source yet.",
	"write_back.pending_bytes":   "Size of what is not at the source yet.",
	"write_back.oldest_pending":  "How long the oldest pending write has waited.",
	"write_back.in_flight":       "Keys that are being written to the source.",
	"write_back.retrying":        "Keys whose last attempt failed.",
	"write_back.paused":          "1 while Pause has stopped the writing.",
	"write_back.coalesced":       "Writes replaced by a later one of their key.",
	"write_back.flushed":         "Writes that reached the source in the background.",
	"write_back.retried":         "Attempts that failed and are followed by another.",
	"write_back.dead_lettered":   "Writes that were given up.",
	"write_back.written_through": "Writes that found no room and reached the source at once.",
	"write_back.waiting":         "Writes that wait for room.",
	"write_back.blocked":         "Writes that waited for room.",
	"write_back.blocked_for":     "How long writes waited for room, together.",
	"write_back.refused":         "Writes that were refused for want of room, or because the journal failed.",
	"write_back.replayed":        "Writes of an earlier process that were in the journal at the start.",
	"write_back.unsynced":        "Records that are not in the journal yet.",
	"write_back.dead_letters":    "Writes that were given up and are kept in the journal.",
	"write_back.journal_records": "Records in the journal.",
	"write_back.journal_bytes":   "Size of the journal.",

	"accumulator.pending":        "Keys with deltas that are not at the source yet.",
	"accumulator.pending_bytes":  "Size of the deltas that are not at the source yet.",
	"accumulator.oldest_pending": "How long the oldest pending delta has waited.",
	"accumulator.unconfirmed":    "Keys in a batch that was or is being sent, and is not confirmed.",
	"accumulator.retrying":       "Keys in a batch whose last attempt failed.",
	"accumulator.values":         "Values in memory for reads.",
	"accumulator.added":          "Deltas that were accepted.",
	"accumulator.coalesced":      "Deltas merged into one that was there already.",
	"accumulator.updates":        "Merged deltas that reached the source.",
	"accumulator.batches":        "Batches in which merged deltas reached the source.",
	"accumulator.retried":        "Merged deltas of attempts that failed and are followed by another.",
	"accumulator.dead_lettered":  "Merged deltas that were given up.",
	"accumulator.replayed":       "Records that were in the journal at the start.",
	"accumulator.unsynced":       "Records that are not on the disk yet.",

	"journal.records":     "Records in the journal.",
	"journal.bytes":       "Size of the journal, free space included.",
	"journal.free_bytes":  "Free space within the journal.",
	"journal.max_bytes":   "Size that the journal may have; 0 is no limit.",
	"journal.appends":     "Changes that became durable.",
	"journal.replayed":    "Records handed out at the start.",
	"journal.quarantined": "Records put aside since they could not be read.",
	"journal.compactions": "Times that the journal was written anew without its free space.",

	"fence.applied": "Operations that changed their row.",
	"fence.refused": "Operations whose row had them already, or a later one.",
	"fence.singly":  "Batches that were tried again write by write.",
}
