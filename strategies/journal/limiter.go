package journal

// Limiter is a journal that cannot hold every record.
type Limiter interface {
	// MaxRecord returns the greatest size of a record that fits into the journal when there is nothing else, as
	// [Record.Size] counts. It never changes.
	MaxRecord() int
}

// Limit returns the greatest size of a record that j can hold. If j implements [Limiter], that is its MaxRecord, and
// otherwise the [MaxRecord] of all journals.
func Limit(j Journal) int {
	if l, ok := j.(Limiter); ok {
		return min(l.MaxRecord(), MaxRecord)
	}
	return MaxRecord
}
