package interleave

// footprint is what a step has to do with what actors share.
type footprint struct {
	actor    int
	all      bool // it has to do with every other step
	accesses []access
}

type access struct {
	object any
	write  bool
}

func (f *footprint) add(object any, write bool) {
	for i := range f.accesses {
		if a := &f.accesses[i]; a.object == object {
			a.write = a.write || write
			return
		}
	}
	f.accesses = append(f.accesses, access{object, write})
}

// conflicts reports whether the order of two steps matters: they are of one actor, or one of them changes what the
// other reads or changes.
func (f footprint) conflicts(g footprint) bool {
	if f.all || g.all || f.actor == g.actor {
		return true
	}
	for _, a := range f.accesses {
		for _, b := range g.accesses {
			if a.object == b.object && (a.write || b.write) {
				return true
			}
		}
	}
	return false
}
