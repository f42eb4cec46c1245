package races

import (
	"errors"
	"fmt"
	"sync"
)

// keysOfAll are the keys that there are.
var keysOfAll = []int{0, 1}

// absent is the value of a version that deleted its key.
const absent = -1

// initial is what the source has under key when a run begins.
func initial(key int) int { return 1_000_000 + key }

// source is a database that counts the versions of each key, and knows which of them was acknowledged.
type source struct {
	mu   sync.Mutex // protects rows
	rows map[int]*history
}

type history struct {
	now      int   // what a read finds
	versions []int // values, by version; no two are alike but for absent
	acked    int   // the highest version that was acknowledged
}

func newSource() *source {
	s := &source{rows: make(map[int]*history)}
	for _, key := range keysOfAll {
		s.rows[key] = &history{now: initial(key), versions: []int{initial(key)}}
	}
	return s
}

// read returns the newest value of key.
func (s *source) read(key int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[key].now
}

// write makes value what a read finds.
func (s *source) write(key, value int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[key].now = value
}

// version makes value the newest version of key.
func (s *source) version(key, value int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	r := s.rows[key]
	r.versions = append(r.versions, value)
	return len(r.versions) - 1
}

// ack says that a version was acknowledged.
func (s *source) ack(key, version int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[key].acked = max(s.rows[key].acked, version)
}

// acked returns the highest version that was acknowledged.
func (s *source) acked(key int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.rows[key].acked
}

// ErrPast is what went wrong when a read returned a version older than one that was acknowledged before it began.
var ErrPast = errors.New("returned to the past")

// check returns an error if value was not the key's at any time since the version called floor.
func (s *source) check(key, value, floor int) (version int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	versions := s.rows[key].versions
	for v := len(versions) - 1; v >= 0; v-- {
		if versions[v] != value {
			continue
		}
		if v < floor {
			return v, fmt.Errorf("%w: version %d after %d was acknowledged", ErrPast, v, floor)
		}
		return v, nil
	}
	return 0, fmt.Errorf("returned %d, which nobody wrote", value)
}
