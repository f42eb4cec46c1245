package redisstore

import (
	"strings"
	"sync"
)

// gone is what reads have found, and found to be gone by its tags, for good. Whoever reads such an entry asks for a lease next, which
// is told the ID of the entry, and so need not be shown it and sent again. All methods may be called at once.
//
// It is a hint: an ID is that of one entry for ever, and an entry that is gone does no harm to be shown once more.
type gone struct {
	mu  sync.Mutex
	ids map[uint64]string // by the hashes of keys; protected by mu
}

// mostGone is how many entries are kept in mind. Where there are more, all are forgotten.
const mostGone = 4096

func (g *gone) note(name keyName, id string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ids == nil || len(g.ids) >= mostGone {
		g.ids = make(map[uint64]string)
	}
	g.ids[name.hash] = strings.Clone(id) // not all of the entry
}

// take returns the IDs that were noted of keys, by index, and forgets them.
func (g *gone) take(names []keyName) map[int]string {
	ids := make(map[int]string)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, name := range names {
		if id, ok := g.ids[name.hash]; ok {
			ids[i] = id
			delete(g.ids, name.hash)
		}
	}
	return ids
}
