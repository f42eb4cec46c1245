// Package bolt keeps a journal in one file, with bbolt.
//
// An Append is one transaction of bbolt, which copies what it changes to free pages, syncs them, then writes a page
// that points to them, and syncs again: two fdatasyncs, however many records there are. So whoever calls it gathers.
//
// What a crash, a loss of power or a full disk leaves behind is the state before an Append or the one after it. bbolt
// guards one page of its file with a checksum; so that damage to any other is found too, each record carries its own,
// and beside the records stands a sum over all of them. Open reads the whole file once, and compares.
//
// It runs where there is flock: on Linux, macOS and the BSDs. The file system has to be a local one, whose flock,
// rename and fsync do what they promise.
package bolt
