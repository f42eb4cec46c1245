package farstore

// Shared reports true; see [tarn.Sharer].
func (v *View[K, V]) Shared() bool { return true }
