package strategies

import "github.com/tarncache/tarn"

// shared reports whether a store, or the store of a cache, says that other processes use it.
func shared(x any) bool {
	s, ok := tarn.As[tarn.Sharer](x)
	return ok && s.Shared()
}

// Shared reports whether other processes use the store; see [tarn.Sharer].
func (c *ReadThroughCache[K, V]) Shared() bool { return c.reader.shared }

// Shared reports whether other processes use the store; see [tarn.Sharer].
func (c *LookAsideCache[K, V]) Shared() bool { return c.reader.shared }
