package farstore

import (
	"context"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// Fate is what becomes of a message on its way to a View.
type Fate struct {
	Dropped bool
	Delay   time.Duration // those that were sent later and are delayed less arrive before
}

// Fate lets fate say what becomes of each message on its way to the View. Nil: it arrives at once.
func (v *View[K, V]) Fate(fate func() Fate) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fate = fate
}

// Cut breaks the connection over which messages come, and keeps another from being made until Mend. Operations do not
// go that way.
func (v *View[K, V]) Cut() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = true
	if v.conn != nil {
		close(v.conn.broken)
		v.conn = nil
	}
}

// Mend lets connections be made again.
func (v *View[K, V]) Mend() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.cut = false
}

// message tells of one change.
type message[K comparable] struct {
	seq  uint64
	keys []K
	tags []string // that were invalidated
	all  bool
	own  bool // it is the View's own change
}

// connection is a way for messages, which arrive in arrived, whose room is for more than a test sends at once.
type connection[K comparable] struct {
	arrived chan message[K]
	broken  chan struct{}
}

// send sends a message to the View.
func (v *View[K, V]) send(m message[K]) {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := v.conn
	if c == nil {
		return
	}
	var fate Fate
	if v.fate != nil {
		fate = v.fate()
	}
	switch {
	case fate.Dropped:
	case fate.Delay > 0:
		time.AfterFunc(fate.Delay, func() { c.arrive(m) })
	default:
		c.arrive(m)
	}
}

func (c *connection[K]) arrive(m message[K]) {
	select {
	case c.arrived <- m:
	default: // dropped
	}
}

func (v *View[K, V]) connect() (*connection[K], error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.cut {
		return nil, errConnection
	}
	v.conn = &connection[K]{make(chan message[K], 4096), make(chan struct{})}
	return v.conn, nil
}

func (v *View[K, V]) disconnect() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.conn = nil
}

// Watch tells w of the changes that other Views make. Only one Watch of a View runs at a time.
func (v *View[K, V]) Watch(ctx context.Context, w tarn.Watch[K]) error {
	for {
		if conn, err := v.connect(); err == nil {
			s := &session[K, V]{view: v, conn: conn, watch: w}
			_ = s.run(ctx)
			v.disconnect()
			w.Lost()
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(Backoff):
		}
	}
}

// session is a Watch for as long as one connection lasts.
type session[K comparable, V any] struct {
	view  *View[K, V]
	conn  *connection[K]
	watch tarn.Watch[K]

	told uint64 // the number of the last message that was told

	// What the last heartbeat said, as long as messages are missing; 0: none are.
	missing uint64
	asked   ttl.Time
}

func (s *session[K, V]) run(ctx context.Context) error {
	if err := s.begin(ctx); err != nil {
		return err
	}
	heartbeat := time.NewTicker(Heartbeat)
	defer heartbeat.Stop()
	patience := time.NewTimer(Timeout)
	patience.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.conn.broken:
			return errConnection
		case m := <-s.conn.arrived:
			err = s.arrived(ctx, m)
		case <-heartbeat.C:
			if s.missing != 0 {
				continue // patience runs
			}
			if s.beat(ctx); s.missing != 0 {
				patience.Reset(Timeout)
			}
		case <-patience.C:
			if s.missing != 0 {
				s.watch.Lost()
				err = s.begin(ctx)
			}
		}
		if err != nil {
			return err
		}
	}
}

// begin takes what the store has sent so far as told. Nobody has a copy that is older.
func (s *session[K, V]) begin(ctx context.Context) error {
	asked := s.view.Clock().Now()
	seq, err := s.view.far.last(ctx)
	if err != nil {
		return err
	}
	s.told, s.missing = seq, 0
	s.watch.Current(asked.Add(Bound))
	return nil
}

// arrived tells of a message, or that one is missing before it.
func (s *session[K, V]) arrived(ctx context.Context, m message[K]) error {
	switch {
	case m.seq <= s.told:
		return nil
	case m.seq > s.told+1 || m.all && !m.own:
		s.watch.Lost()
		return s.begin(ctx)
	}
	s.told = m.seq
	switch tagged, can := tarn.As[tarn.TagWatch](s.watch); {
	case m.own:
	case m.tags == nil:
		s.watch.Changed(m.keys)
	case can:
		tagged.Invalidated(m.tags)
	default:
		s.watch.Lost()
		return s.begin(ctx)
	}
	if s.missing != 0 && s.told >= s.missing {
		s.missing = 0
		s.watch.Current(s.asked.Add(Bound))
	}
	return nil
}

// beat asks what the store has sent. If all of that was told, copies are good for as long as the next beat may take. If
// not, it may be on its way.
func (s *session[K, V]) beat(ctx context.Context) {
	asked := s.view.Clock().Now()
	seq, err := s.view.far.last(ctx)
	switch {
	case err != nil:
	case seq > s.told:
		s.missing, s.asked = seq, asked
	default:
		s.watch.Current(asked.Add(Bound))
	}
}

var (
	_ tarn.BatchStore[string, int] = (*View[string, int])(nil)
	_ tarn.Adder[string, int]      = (*View[string, int])(nil)
	_ tarn.Toucher[string, int]    = (*View[string, int])(nil)
	_ tarn.Computer[string, int]   = (*View[string, int])(nil)
	_ tarn.Clearer                 = (*View[string, int])(nil)
	_ tarn.Scanner[string, int]    = (*View[string, int])(nil)
	_ tarn.Clocker                 = (*View[string, int])(nil)
	_ tarn.Leaser[string, int]     = (*View[string, int])(nil)
	_ tarn.Holder[string, int]     = (*View[string, int])(nil)
	_ tarn.Watcher[string]         = (*View[string, int])(nil)
	_ tarn.Tagger                  = (*View[string, int])(nil)
)
