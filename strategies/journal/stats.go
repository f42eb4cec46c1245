package journal

// Stater is a journal that can tell what it holds.
type Stater interface {
	Stats() Stats
}

// Stats is what a journal holds, and has done since it was opened.
type Stats struct {
	Records     int    // kept now
	Bytes       int64  // that the journal takes, free ones included
	FreeBytes   int64  // of Bytes, what can be used again
	MaxBytes    int64  // that it may take; 0: no limit of its own
	Appends     uint64 // changes that became durable
	Replayed    uint64 // records that Replay handed out
	Quarantined uint64 // records that were put aside because they could not be read
	Compactions uint64
}
