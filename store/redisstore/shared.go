package redisstore

// Shared reports true: other processes may use what is in Redis. See [tarn.Sharer].
func (s *Store[K, V]) Shared() bool { return true }
