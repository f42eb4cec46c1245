package redisstore

// Newer makes of a store what a later version of this package would be: it reads one version more, and writes its own
// or the present one.
func Newer[K comparable, V any](s *Store[K, V], namespace string, writesOwn bool) *Store[K, V] {
	s.newest = newestVersion + 1
	if writesOwn {
		s.wire = string([]byte{s.newest})
	}
	s.use(newScripts(namespace, s.newest))
	return s
}
