package redisstore

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

var errNotSubscriber = errors.New("redisstore: watch: the client is no Subscriber, or the store is Unpublished")

const (
	// maxMessages is how many messages wait while a Watch tells of others. Where there are more, they are lost, and
	// the Watch says so.
	maxMessages = 4096

	// The pauses after a connection, or a reading of the records, has failed.
	minPause = 10 * time.Millisecond
	maxPause = time.Second
)

// Watch tells w of what others change: of tags by name, if w is a [tarn.TagWatch], and otherwise as if everything had
// changed. The messages of a partition are numbered, so that one that is lost is noticed by
// the next; and each Config.Heartbeat the numbers are read from Redis, so that a last one that is lost is noticed too.
// Where the connection is lost, Watch says so and subscribes again, after a pause that grows to a second.
//
// Its goroutines end before it returns.
func (s *Store[K, V]) Watch(ctx context.Context, w tarn.Watch[K]) error {
	subscriber, ok := s.client.(Subscriber)
	if !ok || !s.published {
		return errNotSubscriber
	}
	tags, _ := tarn.As[tarn.TagWatch](w)
	v := &watch[K, V]{store: s, told: w, tags: tags, marks: make([]mark, len(s.names.records)), base: make([]mark, len(s.names.records))}
	for tries := 0; ctx.Err() == nil; tries++ {
		if v.follow(ctx, subscriber) {
			tries = 0
		}
		if ctx.Err() == nil {
			v.lose()
		}
		timer := time.NewTimer(min(minPause<<min(tries, 10), maxPause))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
		}
	}
	return ctx.Err()
}

// watch is one Watch. It belongs to the goroutine that called Watch.
type watch[K comparable, V any] struct {
	store *Store[K, V]
	told  tarn.Watch[K]
	tags  tarn.TagWatch // nil: it cannot be told of tags

	// While current, all that changed up to the marks was told. Otherwise the marks are what messages said since then.
	current bool
	marks   []mark
	base    []mark   // the marks as they were when it became current
	losses  int      // how often it was not current any more
	until   ttl.Time // what Current was told last

	due *pulse // a heartbeat that is ahead of the messages, which may be on their way; nil: none
}

// pulse is what a heartbeat read: how far the partitions had come at some time after it began.
type pulse struct {
	began  ttl.Time
	before []mark // the watch's marks then
	marks  []mark
	err    error
	losses int
}

// lose tells that anything may have changed, once until it is current again.
func (v *watch[K, V]) lose() {
	v.due = nil
	if !v.current {
		return
	}
	v.current = false
	v.losses++
	clear(v.marks)
	v.store.counts.lost.Add(1)
	v.told.Lost()
}

// follow subscribes, and tells what happens until the connection is lost. It reports whether there was one.
func (v *watch[K, V]) follow(ctx context.Context, subscriber Subscriber) (subscribed bool) {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	in := inbox{messages: make(chan string, maxMessages), ready: make(chan struct{}), over: make(chan struct{})}
	wg.Go(func() {
		defer close(in.over)
		_ = subscriber.Subscribe(ctx, v.store.channel, sync.OnceFunc(func() { close(in.ready) }), in.receive)
	})
	select {
	case <-in.ready:
		v.listen(ctx, &wg, &in)
		return true
	case <-in.over:
	case <-ctx.Done():
	}
	return false
}

// inbox is where a subscription puts what it receives.
type inbox struct {
	messages chan string
	overflow atomic.Bool
	ready    chan struct{} // closed once it stands
	over     chan struct{} // closed when it has ended
}

func (in *inbox) receive(message string) {
	select {
	case in.messages <- message:
	default:
		in.overflow.Store(true)
	}
}

// listen tells what messages and heartbeats say until the subscription is over.
func (v *watch[K, V]) listen(ctx context.Context, wg *sync.WaitGroup, in *inbox) {
	beat := time.NewTimer(0) // when to read the records
	defer beat.Stop()
	grace := time.NewTimer(0) // until when messages may be on their way
	defer grace.Stop()
	pulses, beating, pause := make(chan *pulse, 1), false, minPause
	losses := v.losses
	for {
		select {
		case <-ctx.Done():
			return
		case <-in.over:
			return
		case m := <-in.messages:
			v.message(m)
		case <-beat.C:
			beating = true
			baseline, p := !v.current, &pulse{losses: v.losses, before: slices.Clone(v.marks)}
			wg.Go(func() { v.beat(ctx, baseline, p); pulses <- p })
		case p := <-pulses:
			beating = false
			if p.err != nil {
				beat.Reset(min(pause, v.store.heartbeat))
				pause = min(2*pause, maxPause)
				break
			}
			pause = minPause
			if v.pulse(p) {
				beat.Reset(max(p.began.Add(v.store.heartbeat).Sub(v.store.clock.Now()), 0))
			} else {
				beat.Reset(0)
			}
		case <-grace.C:
		}
		if in.overflow.Swap(false) {
			v.lose()
		}
		if v.due != nil {
			left := v.settle()
			if !v.current {
				return // messages do not come any more, so subscribe anew
			}
			grace.Reset(left)
		}
		if v.losses != losses {
			losses = v.losses
			if !beating {
				beat.Reset(0)
			}
		}
	}
}

// message tells of one message, if it is the next of its partition.
func (v *watch[K, V]) message(text string) {
	m, ok := parseMessage(text)
	if !ok || m.partition >= len(v.marks) || m.what == invalidatedTag && tarn.CheckTags(m.key) != nil {
		v.lose()
		return
	}
	last := &v.marks[m.partition]
	if !v.current {
		*last = m.mark
		return
	}
	own := m.publisher == v.store.publisher
	next := m.mark.sequence == last.sequence+1
	switch {
	case m.mark.generation == last.generation && m.mark.generation == v.base[m.partition].generation &&
		m.mark.sequence <= v.base[m.partition].sequence:
		return // it was there when the records were read
	case !next, m.mark.generation != last.generation && !(own && m.what == clearedAllKeys):
		v.lose()
		return
	}
	*last = m.mark
	switch {
	case own:
	case m.what == invalidatedTag && v.tags != nil:
		v.tags.Invalidated([]string{m.key})
	case m.what == invalidatedTag:
		v.anything()
	default:
		v.changed(m.key)
	}
}

// changed tells of a key, if it can be named.
func (v *watch[K, V]) changed(bytes string) {
	key, err := v.store.names.parse(bytes)
	if err == nil {
		v.told.Changed([]K{key})
		return
	}
	v.anything()
}

// anything tells that everything may have changed, and that there is nothing more to tell.
func (v *watch[K, V]) anything() {
	v.told.Lost()
	v.told.Current(v.until)
}

// beat reads how far the partitions are. For a baseline it first makes sure that they have records, and that Redis has
// not been restarted since somebody used it.
func (v *watch[K, V]) beat(ctx context.Context, baseline bool, p *pulse) {
	if baseline {
		p.err = v.store.begin(ctx)
	}
	p.began = v.store.clock.Now()
	if p.err == nil {
		p.marks, p.err = v.store.readMarks(ctx)
	}
}

// fellBack reports whether a partition is not as far as it was: another server answers, or the record was changed by
// somebody else. Its next numbers were given before, to other messages.
func (p *pulse) fellBack() bool {
	for i, read := range p.marks {
		if read.generation == p.before[i].generation && read.sequence < p.before[i].sequence {
			return true
		}
	}
	return false
}

// pulse takes what a heartbeat read, and reports whether it is of use: what began before something was lost is not.
func (v *watch[K, V]) pulse(p *pulse) bool {
	switch {
	case p.losses != v.losses:
		return false
	case v.current && p.fellBack():
		v.lose()
		return false
	case v.current && v.due == nil:
		v.due = p
	case !v.current:
		for i, read := range p.marks {
			if v.marks[i].generation != read.generation || v.marks[i].sequence < read.sequence {
				v.marks[i] = read
			}
		}
		v.current = true
		copy(v.base, v.marks)
		v.tellCurrent(p)
	}
	return true
}

// settle tells that all is current if the messages are as far as the heartbeat that is due, and that they are lost if
// they are not and its time is over. It returns how much of that is left.
func (v *watch[K, V]) settle() (left time.Duration) {
	behind := false
	for i, read := range v.due.marks {
		if v.marks[i].generation != read.generation || v.marks[i].sequence < read.sequence {
			behind = true
			break
		}
	}
	if !behind {
		v.tellCurrent(v.due)
		v.due = nil
		return 0
	}
	left = v.due.began.Add(v.store.heartbeatTimeout).Sub(v.store.clock.Now())
	if left <= 0 {
		v.lose()
	}
	return left
}

func (v *watch[K, V]) tellCurrent(p *pulse) {
	v.until = p.began.Add(v.store.heartbeat + v.store.heartbeatTimeout)
	v.told.Current(v.until)
}

// begin makes sure that all partitions have records.
func (s *Store[K, V]) begin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, max(s.heartbeatTimeout, maxPause))
	defer cancel()
	commands, replies := make([]Command, len(s.names.records)), make([]Reply, len(s.names.records))
	for p := range commands {
		commands[p] = s.callPartition("begin", p)
	}
	s.run(ctx, commands, replies)
	return firstError(replies)
}

// readMarks reads the records.
func (s *Store[K, V]) readMarks(ctx context.Context) ([]mark, error) {
	ctx, cancel := context.WithTimeout(ctx, s.heartbeatTimeout)
	defer cancel()
	records := s.names.records
	if s.client.Sharded() {
		commands, replies := make([]Command, len(records)), make([]Reply, len(records))
		for p := range commands {
			commands[p] = Command{Words: getWords, Keys: records[p : p+1]}
		}
		s.client.Do(ctx, commands, replies)
		return marksOf(replies), firstError(replies)
	}
	var reply [1]Reply
	s.client.Do(ctx, []Command{{Words: mgetWords, Keys: records}}, reply[:])
	if reply[0].Err == nil && len(reply[0].Items) != len(records) {
		return nil, errReply
	}
	return marksOf(reply[0].Items), reply[0].Err
}

func marksOf(records []Reply) []mark {
	marks := make([]mark, len(records))
	for i, r := range records {
		if len(r.Text) > 8 {
			marks[i].generation = r.Text[:8]
			digits, _, _ := strings.Cut(strings.Replace(r.Text[8:], "~", ":", 1), ":") // what follows is of tags
			marks[i].sequence, _ = strconv.ParseUint(digits, 10, 64)
		}
	}
	return marks
}

func firstError(replies []Reply) error {
	for _, r := range replies {
		if r.Err != nil {
			return r.Err
		}
	}
	return nil
}
