// Package crash tests that write-back loses nothing of what it acknowledged, whatever ends its process.
//
// A child, which is this program again, writes a few keys through a write-back cache that has a journal, from many
// goroutines, and tells each write that was acknowledged on a pipe, at once. It is killed at random moments, in the
// middle of its start too, and started again on the same journal and the same database, until at last one is left to
// write all. The database keeps every version that it ever had. Judge says of all that what was promised and not kept.
//
// As in package proof, that it finds nothing means little by itself. So a journal stands between write-back and its own
// that can be told to misbehave, and each time Judge has to find something.
package crash
