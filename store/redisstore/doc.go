// Package redisstore keeps entries in Redis, for all processes that share them: values with their deadlines, leases and
// holds, with all of package tarn's promises about them. It has the whole protocol and no client: package goredisclient or
// rueidisclient makes a [Client] of the one that an application has. It is made for Redis 7 and later and what is like it,
// single, with Sentinel, or as a cluster. Earlier ones, and what descends from them, write scripts into their snapshots and
// give them to replicas: there a restart or a failover may pass unnoticed (see below), so Clear the store after each.
//
// # What lies in Redis
//
// A namespace has a number of partitions, and a key lies in one of them, by the hash of its bytes:
//
//	{users:17}k42    what stands under the key 42: a value, a remembered absence, a lease, or holds
//	{users:17}h…     the same, for a key of more than 128 bytes, by the SHA-256 of its bytes
//	{users:17}fk42   the lease on a value that stands, to refresh it
//	{users:17}tbooks the record of the tag "books": when it was invalidated last
//	{users:17}T…     the same, for a tag of more than 128 bytes
//	{users:17}r      the record of the partition: its generation, the number of its last message, and the last
//	                 invalidation of one of its tags
//	{users:0}s       the counter of the namespace's invalidations
//
// All of a partition lies on one node of a cluster. A value belongs to the generation of its partition that was when it
// was written. [Store.Clear] gives each partition a new one, so that nothing it has counts any more; that takes
// as many small operations as there are partitions, whatever they have. Everything but the
// partitions' records and the counter has a life in Redis of [Config].MaxLife at most. A partition's record that Redis
// evicts is a partition cleared.
//
// # Deadlines
//
// Deadlines go by the clock of the server, and are told by that of the store, in milliseconds. No clocks of two
// processes are compared. A server whose clock is set, and one that takes another's place, are followed within a second.
//
// # Restarts
//
// All that changes is done by one Lua script for each namespace. A server that does not know it was started, restarted
// or flushed of scripts since somebody of the namespace used it, or has taken another's place, and may have brought old
// values back. So whoever finds that out first clears the partitions that lie there, and only then gives the script to the
// server. Writers find out at once, and readers within a second. A version of this package with another script
// clears the namespace once, too, and so does a Redis that forgets scripts because others send it too many (since 7.4
// it keeps the last 500 that were not loaded by name).
//
// A failover may lose the last writes, deletes among them, as Redis replicates after it has answered: then a value that
// was deleted can be back on the new server until the first operation of the namespace arrives there. A server that was
// master before, and becomes it again without a restart between, still knows the script, and is not noticed: Clear the
// store then.
//
// # What can go wrong
//
// An operation that fails returns an error whose text has neither key nor value, and never says "not found" or an older
// value. What lies under a key and is damaged, another key's, of another codec or too large is removed, counted in
// [Stats], told to the Observer, and missing. What was written by a newer version of this package, or by a stranger,
// stays and is missing for reads; writes replace it. Anything but a string under a key is an error until it is removed.
//
// Clients repeat commands by themselves, and networks deliver late. Every operation has an ID or a token, by which it finds
// that it was done already, unless the key has been changed since. Then what has a lease or a hold does nothing, or empties
// the key. But a Set, an Add, and a Compute that had found nothing may arrive after a later Delete and store what they
// have; and a Compute that was done, but whose answer was lost, calls its function again. Strategies do not Set what they
// have read: they Fill, under a lease.
//
// A Redis that is full (maxmemory, noeviction) refuses values and leases, and goes on to delete, hold, settle and clear.
// One that evicts may evict a hold: if then the settle is lost as well, an old value can stay. The policies volatile-lru
// and volatile-lfu take what was not used for long first, which a hold seldom is; volatile-ttl takes what ends soonest,
// which holds do.
//
// # Tags
//
// [Store.InvalidateTags] moves the counter, and then writes it into the records of the tags: two round trips, whatever has
// the tags. An entry is stored with its tags and a stamp, which is the counter as of its lease. Whoever finds it reads the
// records of its tags, in one round trip more for all that he has found, and takes it for gone if one of them says more
// than the stamp, or is not there. What has tags so costs a hit one round trip more, a miss none, and a read of what was
// invalidated one. Entries without tags cost nothing of this.
//
// A record lives as long as the last entry that was stored with the tag, and an invalidation makes none, so that tags
// that nobody uses leave nothing behind. A record that Redis evicts is a tag invalidated; a counter that it evicts goes on
// by the server's clock, in microseconds, and no lower than what is known of it: only where that clock is set back too, what
// is being loaded may be taken for newer than an invalidation. A full Redis does not hinder an invalidation. The first load
// of a tag stores nothing if another tag of the partition was invalidated during it; the next one does.
//
// Tags stand in Redis as they are, and in what is published, also where values are encrypted.
//
// # Near copies
//
// Whatever changes a key or invalidates a tag is published, with a number, in the same step. [Store.Watch] tells of
// it and notices what was lost, so that package tiered can keep copies in the process.
package redisstore
