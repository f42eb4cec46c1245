// Package proof tests what the module promises of reads that follow writes, with real servers and real databases.
//
// A database hands out a version with each write of a key. Several processes read and write a few keys through caches
// that share a store, and note when each call began and returned, by one clock. A History of that shows whether a read
// has returned to the past; Check finds it. Meanwhile the network loses and delays messages, and servers are killed,
// restarted and replaced.
//
// That it finds nothing means little by itself. So each mechanism that keeps the promise is switched off in turn, from
// outside: in the text of the script on its way to Redis, or in a store around the store. Each time Check has to find
// something.
package proof
