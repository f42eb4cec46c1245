package redisstore

import (
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/capability"
)

// As offers what the Store implements, but for what its Client or its Config leave out: a [tarn.Watcher] needs a
// [Subscriber], and that changes are published; a [tarn.Scanner] needs a [KeyScanner], and keys that can be told by
// their bytes.
func (s *Store[K, V]) As(target any) bool {
	switch target.(type) {
	case *tarn.Watcher[K]:
		if _, ok := s.client.(Subscriber); !ok || !s.published {
			return false
		}
	case *tarn.Scanner[K, V]:
		if _, ok := s.client.(KeyScanner); !ok || !s.names.parses() {
			return false
		}
	}
	return capability.Of(s, target)
}
