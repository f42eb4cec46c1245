package strategies

// amend merges a delta into the record of its key that waits to be brought to the disk, if there is one and there is room.
// So there is one for each key, however many deltas are added in that time.
func (t *deltaTable[K, V, D]) amend(l *deltaLog[K, D], key K, delta D) (how acceptance, amended bool, err error) {
	if l.every == 0 {
		return 0, false, nil
	}
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if t.closed.Load() || k == nil || len(k.records) == 0 || k.rewriting {
		return 0, false, nil
	}
	next, size, err := t.merged(k, key, delta)
	if err != nil {
		return 0, false, err
	}
	more := size - k.nextSize
	if !t.bounds.take(0, more) {
		return 0, false, nil
	}
	if !l.makeOne(&k.records, Delta[K, D]{key, next}) {
		t.bounds.give(0, more)
		return 0, false, nil
	}
	s.added++
	return t.put(s, k, next, size), true, nil
}

// condense makes one record of those of a key, if the last waits to be brought to the disk, and returns how many it has.
func (t *deltaTable[K, V, D]) condense(l *deltaLog[K, D], key K) int {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	k := s.keys[key]
	if k == nil || len(k.records) == 0 || k.rewriting {
		return 0
	}
	l.makeOne(&k.records, Delta[K, D]{key, k.next})
	return len(k.records)
}

// makeOne has the last of some records stand for all, with what they are together. It reports false if an append has taken
// it already.
func (l *deltaLog[K, D]) makeOne(records *[]uint64, all Delta[K, D]) bool {
	rec, err := l.record(all)
	if err != nil {
		return false
	}
	last := len(*records) - 1
	rec.Seq = (*records)[last]
	if !l.committer.amend(rec, (*records)[:last]) {
		return false
	}
	*records = append((*records)[:0], rec.Seq)
	return true
}
