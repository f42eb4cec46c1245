package redisstore

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/tarncache/tarn"
)

// tagging is what is known, and to be done, of the tags of entries that are to be stored. Nil: none has tags.
type tagging struct {
	tagRecords
	failed   error  // why nothing is known; then nothing with tags is stored
	counter  uint64 // as it was after the records; 0: entries that are there stay, and no record is to be made
	presumed bool   // the records were not read: what is stored is right as far as they will say so then
	uses     []tagUse
}

// tagUse is what is to be stored with a tag.
type tagUse struct {
	stamp  uint64 // the latest; 0: nothing is
	life   int64  // milliseconds, the longest
	answer Reply
}

// tagging reads what has to be known of tags before entries with them are stored: their records, and then the counter.
// A record that is not there will be made at the counter's value, unless the partition knows better: that is no lower
// than any invalidation before. Later ones, and none but these, are kept in the record of the partition. Where that was
// lost, it has another generation, and the record is not made.
//
// On one server all that is one round trip, as it answers in order. On a cluster the nodes do not, and the counter is asked
// for once more where a record has to be made by it.
//
// Where that fails, what the operation does otherwise is done all the same: a Set empties its key, and a lease or a hold
// ends.
func (s *Store[K, V]) tagging(ctx context.Context, all ...*tarn.Tags) *tagging {
	tagged := func(tags *tarn.Tags) bool { return len(tags.Names()) > 0 }
	if !slices.ContainsFunc(all, tagged) {
		return nil
	}
	t := &tagging{tagRecords: *newTagRecords(s.names, all)}
	t.failed = s.inform(ctx, t)
	return t
}

// presuming is tagging of entries whose stamps are from before, and asks for nothing beforehand: whether they are right is
// found out when they are stored. Only where there are stamps that this process knows nothing of, the counter is read.
func (s *Store[K, V]) presuming(ctx context.Context, all []*tarn.Tags) *tagging {
	t := &tagging{tagRecords: *newTagRecords(s.names, all), counter: s.counter.Load(), presumed: true}
	t.uses = make([]tagUse, len(t.names))
	if slices.ContainsFunc(all, func(tags *tarn.Tags) bool { return uint64(tags.Stamp()) > t.counter }) {
		now, err := s.count(ctx, 0, false)
		t.counter, t.failed = now.n, err
	}
	return t
}

// inform reads what a tagging has to know.
func (s *Store[K, V]) inform(ctx context.Context, t *tagging) error {
	for tries := 1; ; tries++ {
		gets := s.divide(t.names)
		answers, err := s.fetchMany(ctx, t.names, gets, s.counting(0, false))
		if err != nil {
			return err
		}
		now, err := s.counted(answers[0])
		if err != nil {
			return err
		}
		t.read(gets)
		missing, unknown := t.lacks()
		if len(missing) > 0 && tries < maxRenewals { // whose partition is lost every time is gone
			if err := s.beginPartitions(ctx, missing); err != nil {
				return err
			}
			continue
		}
		if unknown && s.client.Sharded() {
			if now, err = s.count(ctx, 0, false); err != nil {
				return err
			}
		}
		t.counter = now.n
		t.uses = make([]tagUse, len(t.names))
		// A record beyond the counter says that the counter was lost.
		if least := t.least(); least > now.n {
			if now, err = s.count(ctx, least, false); err != nil {
				return err
			}
			t.counter = now.n
		}
		return nil
	}
}

// lacks returns partitions that have no records, and whether a record has to be made by the counter.
func (t *tagRecords) lacks() (partitions []int, unknown bool) {
	for i, r := range t.records {
		if r.generation == "" {
			partitions = append(partitions, t.names[i].partition)
		}
		unknown = unknown || r.at == 0 && !r.all
	}
	return partitions, unknown
}

// moment returns when a tag was last invalidated, or, if it has no record, what its record will say.
func (t *tagging) moment(i int) uint64 {
	r := t.records[i]
	switch {
	case r.at != 0:
		return r.at
	case r.all:
		return r.floor
	}
	return max(r.floor, t.counter)
}

func (t *tagging) least() (n uint64) {
	for i := range t.records {
		n = max(n, t.moment(i))
	}
	return n
}

// stamped returns the tags with which an entry is to be stored, and whether it would be there at all. Tags without a stamp
// get the present one, if that is right for them.
func (t *tagging) stamped(tags *tarn.Tags, present bool) (*tarn.Tags, bool, error) {
	if len(tags.Names()) == 0 {
		return nil, true, nil
	}
	if t.failed != nil {
		return nil, false, t.failed
	}
	stamp := uint64(tags.Stamp())
	if stamp == 0 && present {
		stamp = t.counter
		tags, _ = tarn.NewTags(tarn.Stamp(stamp), tags.Names()...)
	}
	// A stamp beyond the counter is of a counter that was lost, or of another store.
	if stamp == 0 || stamp > t.counter {
		return nil, false, nil
	}
	if !t.right(tags) {
		t.begin(tags)
		return nil, false, nil
	}
	return tags, true, nil
}

// right reports whether none of the tags was invalidated after their stamp, or may have been where one has no record.
func (t *tagging) right(tags *tarn.Tags) bool {
	return t.presumed || !slices.ContainsFunc(tags.Names(), func(name string) bool {
		return t.moment(t.index[name]) > uint64(tags.Stamp())
	})
}

// begin makes records for a while, although nothing is stored, so that the next load finds them: a record that is to be
// made is of the present moment, and there may always have been an invalidation since a load began.
func (t *tagging) begin(tags *tarn.Tags) {
	for _, name := range tags.Names() {
		i := t.index[name]
		if u := &t.uses[i]; t.records[i].at == 0 {
			u.stamp, u.life = max(u.stamp, 1), max(u.life, time.Minute.Milliseconds())
		}
	}
}

// use says that an entry with the tags will be stored, for so many milliseconds.
func (t *tagging) use(tags *tarn.Tags, life int64) {
	for _, name := range tags.Names() {
		u := &t.uses[t.index[name]]
		u.stamp, u.life = max(u.stamp, uint64(tags.Stamp())), max(u.life, life)
	}
}

// runTagged is run, and sees to it that the tags of what is stored have records that live as long. These come first: an
// entry whose tags have none is not there.
func (s *Store[K, V]) runTagged(ctx context.Context, t *tagging, commands []Command, replies []Reply) {
	if t == nil {
		s.run(ctx, commands, replies)
		return
	}
	var all []Command
	var which []int
	for i, u := range t.uses {
		if u.stamp == 0 {
			continue
		}
		which = append(which, i)
		all = append(all, s.ensuring(t, i))
	}
	if len(all)+len(commands) == 0 {
		return
	}
	answers := make([]Reply, len(all)+len(commands))
	s.run(ctx, append(all, commands...), answers)
	for n, i := range which {
		t.uses[i].answer = answers[n]
	}
	copy(replies, answers[len(which):])
	if t.presumed {
		s.ensureRest(ctx, t)
	}
}

// ensuring returns the command that sees to the record of the tag with the index.
func (s *Store[K, V]) ensuring(t *tagging, i int) Command {
	u, r := t.uses[i], t.records[i]
	stamp, life := strconv.FormatUint(u.stamp, 10), strconv.FormatInt(u.life+recordMargin, 10)
	switch {
	case !t.presumed || r.generation != "":
		base := ""
		if t.counter != 0 {
			base = strconv.FormatUint(t.counter, 10)
		}
		return s.call("ensure", t.names[i], 2, r.generation, base, stamp, life)
	case s.client.Sharded():
		return s.call("ensure", t.names[i], 2, "any", "", stamp, life)
	}
	c := s.call("ensure", t.names[i], 2, "any", "", stamp, life, strconv.FormatUint(s.counter.Load(), 10))
	c.Keys, c.Words = append(c.Keys, s.names.counter().redis), s.evalsha[3]
	return c
}

// ensureRest makes the records that could not be made without the counter, which lies on another node: it has to be read
// after the partitions of these tags were seen.
func (s *Store[K, V]) ensureRest(ctx context.Context, t *tagging) {
	var which []int
	for i, u := range t.uses {
		if r := u.answer; r.Kind == Text && len(r.Text) == atKind-atGeneration {
			t.records[i].generation = r.Text
			which = append(which, i)
		}
		s.knows(uint64(max(u.answer.Int, 0)))
	}
	if len(which) == 0 {
		return
	}
	now, err := s.count(ctx, 0, false)
	t.counter = now.n
	commands, answers := make([]Command, len(which)), make([]Reply, len(which))
	for n, i := range which {
		commands[n], answers[n] = s.ensuring(t, i), Reply{Kind: Failed, Err: err}
	}
	if err == nil {
		s.run(ctx, commands, answers)
	}
	for n, i := range which {
		t.uses[i].answer = answers[n]
	}
}

// recordMargin is how many milliseconds a tag's record outlives what has the tag.
const recordMargin = 1000

// stood reports whether what was stored with the tags was there then. If that cannot be known, it says why.
func (t *tagging) stood(tags *tarn.Tags) (bool, error) {
	stands := true
	for _, name := range tags.Names() {
		switch r := t.uses[t.index[name]].answer; {
		case r.Err != nil:
			return false, r.Err
		case r.Kind != Int || r.Int < 0 || r.Int > largestStamp:
			return false, errReply
		default:
			stands = stands && r.Int != 0 && uint64(r.Int) <= uint64(tags.Stamp())
		}
	}
	return stands, nil
}

// beginPartitions makes sure that partitions have records.
func (s *Store[K, V]) beginPartitions(ctx context.Context, partitions []int) error {
	commands, replies := make([]Command, len(partitions)), make([]Reply, len(partitions))
	for i, p := range partitions {
		commands[i] = s.callPartition("begin", p)
	}
	s.run(ctx, commands, replies)
	for _, r := range replies {
		if err := answered(r, "begun"); err != nil {
			return err
		}
	}
	return nil
}
