package payload

// scratch is what is needed for layers.
type scratch struct{ in, out, bound []byte }

// What is larger is not kept for the next use.
const maxScratch = 1 << 20

// scratch returns what layers work with, its bound set.
func (f *Form[V]) scratch(bound []byte) *scratch {
	s := f.pool.Get().(*scratch)
	s.bound = append(s.bound[:0], f.bound...)
	s.bound = append(s.bound, f.ids...)
	s.bound = append(s.bound, bound...)
	return s
}

func (f *Form[V]) release(s *scratch) {
	if cap(s.in)+cap(s.out)+cap(s.bound) <= maxScratch {
		f.pool.Put(s)
	}
}
