package tiered

// Shared reports true: other processes change the far store, which is why there is one.
func (s *Store[K, V]) Shared() bool { return true }
