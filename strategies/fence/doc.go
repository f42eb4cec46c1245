// Package fence writes what write-back gathers to a table of a SQL database, so that a write that comes late or twice
// changes nothing, and counts each batch of merged writes once. It is built on database/sql alone.
//
// # The fence
//
// Write-back repeats writes: after a crash, and when it cannot know whether one arrived. Each [tarn.Op] has an Epoch,
// which is its journal's, and a Seq, which grows with each write. Two columns of the table keep those of the write
// that made the row, and a statement replaces the row only if
//
//	the row's epoch is another, or its seq is less
//
// which [Table] writes for PostgreSQL, SQLite and MySQL. A [Writer] runs it, a transaction for each batch, and looks at
// how many rows each statement changed: a write is acknowledged if it changed its row, or if the row says that it has
// this write or a later one. Anything else is an error, and never a write that is lost in silence.
//
// # Deletes
//
// A row that is gone refuses nothing: a save that was sent before the delete, and comes after it, would bring it
// back. So a delete leaves a tombstone, which is the row with its values at their defaults, its column deleted true,
// and the numbers of the delete. Whoever reads the table leaves tombstones out:
//
//	select name from users where id = $1 and not deleted
//
// Tombstones take room. One may go when no earlier write of its key is pending or on its way, which is so
//
//   - after Close of write-back has returned nil, and before the next one begins:
//
//     delete from users where deleted
//
//   - while it runs, of a tombstone that a Flush is later than:
//
//     select max(seq) from users where epoch = $1 and deleted       -- remember it; then Flush must return nil
//     delete from users where epoch = $1 and deleted and seq <= $2  -- five seconds later
//
// The five seconds are for the journal, which forgets what was written within about one, so that a crash does not
// repeat a save without the delete that followed it. An ordinary DELETE of a row, by whomever, is what no fence can
// see.
//
// # Epochs
//
// A row of another epoch is replaced, whatever its seq, since the numbers of two journals cannot be compared. That is
// right where one process at a time writes a key, by one journal, which may be lost and made anew. It protects nothing
// between two journals that write the same keys: what comes last stays, also if it is older. Two journals may write one
// table if their keys are apart. And no copy of a journal is put back after it was used further: it would give out the
// same numbers again for other writes, which the table would refuse as old.
//
// # Commits
//
// What is committed, the journal forgets. So a commit has to survive what the journal is to survive, loss of power
// included: PostgreSQL with synchronous_commit on, as it is unless told otherwise, and SQLite with synchronous full.
//
// # Batches that count once
//
// What merges into a row, as an increment does, must not be applied twice, and a fence cannot tell which part of
// a sum has arrived. A [Ledger] can: it records the number of a batch in the transaction that applies it.
package fence
