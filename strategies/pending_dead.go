package strategies

import "maps"

// bury makes the operation in flight a dead letter, which the journal has, unless a newer one came meanwhile.
func (t *pendingTable[K, V]) bury(p *pendingKey[K, V], letter *DeadLetter[K, V]) bool {
	s := t.shard(p.key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !p.inFlight() {
		return false
	}
	s.bury(p.key, letter)
	t.end(s, p)
	return true
}

// replayed takes in a dead letter that was found in the journal.
func (t *pendingTable[K, V]) replayed(letter *DeadLetter[K, V]) {
	t.dead.Add(1)
	s := t.shard(letter.Op.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	t.exhume(s, letter.Op.Key, letter.Op.Seq)
	s.bury(letter.Op.Key, letter)
}

func (s *pendingShard[K, V]) bury(key K, letter *DeadLetter[K, V]) {
	if s.dead == nil {
		s.dead = make(map[K]*DeadLetter[K, V])
	}
	s.dead[key] = letter
}

// exhume forgets the dead letter of a key, since the operation of number seq is newer. The caller holds the shard's lock.
func (t *pendingTable[K, V]) exhume(s *pendingShard[K, V], key K, seq uint64) {
	if letter := s.dead[key]; letter != nil && letter.Op.Seq < seq {
		delete(s.dead, key)
		t.dead.Add(-1)
		t.leaves(letter.Op.Seq)
	}
}

// drop forgets a dead letter of which the journal knows nothing any more, and reports whether it was there.
func (t *pendingTable[K, V]) drop(letter *DeadLetter[K, V]) bool {
	s := t.shard(letter.Op.Key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dead[letter.Op.Key] != letter {
		return false
	}
	delete(s.dead, letter.Op.Key)
	t.dead.Add(-1)
	return true
}

// newest reports whether a dead letter is the newest of its key: nothing newer is accepted, on its way, or being written.
// mine is how many operations of the key the caller has reserved a place for.
func (t *pendingTable[K, V]) newest(letter *DeadLetter[K, V], mine int) bool {
	s := t.shard(letter.Op.Key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := s.keys[letter.Op.Key]
	return s.dead[letter.Op.Key] == letter && (p == nil || p.incoming == mine && !p.busy)
}

// letter returns the dead letter of a key, or nil.
func (t *pendingTable[K, V]) letter(key K) *DeadLetter[K, V] {
	s := t.shard(key)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.dead[key]
}

// letters returns the dead letters of a shard.
func (s *pendingShard[K, V]) letters() []*DeadLetter[K, V] {
	s.mu.RLock()
	defer s.mu.RUnlock()
	letters := make([]*DeadLetter[K, V], 0, len(s.dead))
	for letter := range maps.Values(s.dead) {
		letters = append(letters, letter)
	}
	return letters
}
