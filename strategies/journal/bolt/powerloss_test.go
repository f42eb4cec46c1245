package bolt_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/maphash"
	"io/fs"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

// event is what testdata/powerloss prints.
type event struct {
	Op       string
	File     uint64
	Off      int64
	Data     []byte
	From, To string
	Change   *journal.Change
}

// recorded returns what a workload wrote, and when it was told that it was done.
func recorded(t *testing.T) (events []event) {
	out, err := run(powerloss(t), "record", filepath.Join(t.TempDir(), "journal"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal([]byte(out), &events))
	return events
}

const sector = 512 // what a disk writes as a whole

// file is what a disk has of a file, and what it was told since and may have written in part, in any order.
type file struct {
	synced  []byte
	pending []event
}

// disk is a disk under a journal, with names that are durable when their folder was synced.
type disk struct {
	files   map[uint64]*file
	names   map[string]*file // durable
	moved   []map[string]*file
	scratch *file // the file named journal.tarn-new
}

// do follows an event.
func (d *disk) do(e event) {
	switch e.Op {
	case "write", "truncate":
		f := d.files[e.File]
		if f == nil || e.Op == "truncate" && e.Off == 0 {
			f = &file{}
			d.files[e.File], d.scratch = f, f
		}
		f.pending = append(f.pending, e)
	case "sync":
		if f := d.files[e.File]; f != nil {
			f.synced, f.pending = applied(f.synced, f.pending), nil
		}
	case "rename":
		now := maps.Clone(d.now())
		now[e.To] = d.scratch
		d.moved = append(d.moved, now)
	case "folder":
		d.names, d.moved = d.now(), nil
	}
}

func (d *disk) now() map[string]*file {
	if len(d.moved) > 0 {
		return d.moved[len(d.moved)-1]
	}
	return d.names
}

// applied returns a copy of data after some writes.
func applied(data []byte, writes []event) []byte {
	data = bytes.Clone(data)
	for _, w := range writes {
		data = sized(data, w)
		copy(data[w.Off:], w.Data)
	}
	return data
}

// sized returns data as long as a write makes it.
func sized(data []byte, w event) []byte {
	end := int(w.Off) + len(w.Data)
	if w.Op == "truncate" && len(data) > end {
		return data[:end]
	}
	return append(data, make([]byte, max(end-len(data), 0))...)
}

// images calls each for what may be found after the power has failed: every file that may have the journal's name, or
// none (nil), with any of the ways in which what was not synced may have reached the disk.
func (d *disk) images(random *rand.Rand, each func(image func() []byte)) {
	for _, names := range append([]map[string]*file{d.names}, d.moved...) {
		if f := names["journal"]; f == nil {
			each(func() []byte { return nil })
		} else {
			f.images(random, each)
		}
	}
}

func (f *file) images(random *rand.Rand, each func(image func() []byte)) {
	each(func() []byte { return bytes.Clone(f.synced) })
	n := len(f.pending)
	if n == 0 {
		return
	}
	each(func() []byte { return applied(f.synced, f.pending) })
	each(f.torn(random, func(int, int) fate { return garbled }))
	each(f.torn(random, func(int, int) fate { return lost })) // only longer
	for i := range n {
		one := f.pending[i]
		each(func() []byte { return applied(f.synced, []event{one}) })
		each(func() []byte { return applied(f.synced, f.pending[:i+1]) })
		each(func() []byte { return applied(f.synced, slices.Delete(slices.Clone(f.pending), i, i+1)) })
		for _, bad := range []fate{lost, garbled} {
			// This one alone went wrong: as a whole, from a sector on, up to a sector, or here and there.
			sectors := (len(one.Data) + sector - 1) / sector
			for cut := 1; cut < min(sectors, 9); cut++ {
				each(f.torn(random, func(w, s int) fate { return choose(w == i && s >= cut, bad, written) }))
				each(f.torn(random, func(w, s int) fate { return choose(w == i && s < cut, bad, written) }))
			}
			each(f.torn(random, func(w, _ int) fate { return choose(w == i, bad, written) }))
			each(f.torn(random, func(w, _ int) fate { return choose(w == i, written, bad) }))
			each(f.torn(random, func(w, _ int) fate { return choose(w == i && random.IntN(2) == 0, bad, written) }))
		}
	}
	for range 3 {
		each(f.torn(random, func(int, int) fate { return fate(random.IntN(3)) }))
	}
}

// fate is what becomes of a sector.
type fate int

const (
	written fate = iota
	lost
	garbled
)

func choose(is bool, yes, no fate) fate {
	if is {
		return yes
	}
	return no
}

// torn returns the file with a fate for each sector of each write.
func (f *file) torn(random *rand.Rand, of func(write, sector int) fate) func() []byte {
	return func() []byte { return f.tear(random, of) }
}

func (f *file) tear(random *rand.Rand, of func(write, sector int) fate) []byte {
	data := bytes.Clone(f.synced)
	for w, write := range f.pending {
		data = sized(data, write)
		for at := 0; at < len(write.Data); at += sector {
			end := min(at+sector, len(write.Data))
			to := data[int(write.Off)+at : int(write.Off)+end]
			switch of(w, at/sector) {
			case written:
				copy(to, write.Data[at:end])
			case garbled:
				for i := range to {
					to[i] = byte(random.Uint32())
				}
			}
		}
	}
	return data
}

// contents is what a journal has.
type contents struct {
	records map[uint64]string
	seq     uint64
}

func (c contents) after(change *journal.Change) contents {
	if change == nil {
		return c
	}
	c = contents{maps.Clone(c.records), max(c.seq, change.Seq)}
	for _, seq := range change.Remove {
		delete(c.records, seq)
	}
	for _, r := range change.Put {
		c.records[r.Seq] = fmt.Sprint(r.Kind, r.Key, r.Value, r.Note)
		c.seq = max(c.seq, r.Seq)
	}
	return c
}

func (c contents) equal(d contents) bool { return c.seq == d.seq && maps.Equal(c.records, d.records) }

// promise is what may be found at a point of the workload.
type promise struct {
	opened bool // there was a journal
	before contents
	change *journal.Change // under way; nil: none
}

func (p promise) kept(got contents, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist) && !p.opened:
		return nil
	case err != nil:
		return err
	case got.equal(p.before) || got.equal(p.before.after(p.change)):
		return nil
	}
	return fmt.Errorf("it has %d records and the number %d, where %d and %d were acknowledged",
		len(got.records), got.seq, len(p.before.records), p.before.seq)
}

// enumerate cuts the power after each event, and checks one in so many of the images that may be left. It returns how
// many that were, and the first that breaks the promise as an error.
func enumerate(t *testing.T, events []event, every int) (images int, err error) {
	d := &disk{files: map[uint64]*file{}, names: map[string]*file{}}
	p := promise{before: contents{records: map[uint64]string{}}}
	random := rand.New(rand.NewPCG(1, uint64(len(events))))
	path, seed, n := filepath.Join(t.TempDir(), "journal"), maphash.MakeSeed(), 0
	for i, e := range events {
		d.do(e)
		switch e.Op {
		case "opened":
			p.opened = true
		case "begin":
			p.change = e.Change
		case "done":
			p.before, p.change = p.before.after(p.change), nil
		}
		seen := map[uint64]bool{} // of this point: what was promised is another at the next
		d.images(random, func(make func() []byte) {
			if n++; n%every != 0 || err != nil {
				return
			}
			image := make()
			hash := maphash.Bytes(seed, image)
			if seen[hash] {
				return
			}
			seen[hash] = true
			images++
			if broken := p.kept(found(t, path, image)); broken != nil {
				err = fmt.Errorf("after event %d, %s at %d: %w", i, e.Op, e.Off, broken)
			}
		})
		if err != nil {
			return images, err
		}
	}
	return images, nil
}

// found opens an image and reads what it has.
func found(t *testing.T, path string, image []byte) (got contents, err error) {
	if image == nil {
		return contents{}, fs.ErrNotExist
	}
	require.NoError(t, os.WriteFile(path, image, 0o600))
	j, err := bolt.Open(path, bolt.Options{LockTimeout: -1})
	if err != nil {
		return contents{}, err
	}
	defer j.Close()
	got = contents{records: map[uint64]string{}}
	p, err := j.Replay(context.Background(), func(r journal.Record) error {
		got.records[r.Seq] = fmt.Sprint(r.Kind, r.Key, r.Value, r.Note)
		return nil
	})
	got.seq = p.Seq
	return got, err
}

// TestSoakPowerLoss checks one image in a hundred, or all of them with TARN_SOAK.
func TestSoakPowerLoss(t *testing.T) {
	every := 100
	if os.Getenv("TARN_SOAK") != "" {
		every = 1
	}
	events := recorded(t)
	images, err := enumerate(t, events, every)
	t.Logf("%d events, %d images", len(events), images)
	require.NoError(t, err)
}

// TestGrowsWithoutHoles: what a file is made longer by is written, so that a disk that is full tells it then.
func TestGrowsWithoutHoles(t *testing.T) {
	zeros := 0
	for _, e := range recorded(t) {
		if e.Op == "truncate" {
			require.LessOrEqual(t, e.Off, int64(64<<10), "but for a file that is new")
		}
		if len(e.Data) >= 64<<10 && bytes.Count(e.Data, []byte{0}) == len(e.Data) {
			zeros += len(e.Data)
		}
	}
	require.Greater(t, zeros, 256<<10)
}

// TestPowerLossIsSeen shows that what is checked depends on each kind of sync, and on the order of writes.
func TestPowerLossIsSeen(t *testing.T) {
	events := recorded(t)
	without := func(drop func(i int) bool) (left []event) {
		for i, e := range events {
			if !drop(i) {
				left = append(left, e)
			}
		}
		return left
	}
	meta := func(e event) bool { return e.Op == "write" && e.Off < 2*4096 && len(e.Data) == 4096 }
	renamed := slices.IndexFunc(events, func(e event) bool { return e.Op == "rename" })
	tests := []struct {
		name   string
		events []event
	}{
		{"nothing is synced", without(func(i int) bool { return events[i].Op == "sync" })},
		{"pages are not synced before the one that points to them", without(func(i int) bool {
			return events[i].Op == "sync" && i+1 < len(events) && meta(events[i+1])
		})},
		{"the page that points to them is not synced", without(func(i int) bool {
			return events[i].Op == "sync" && i > 0 && meta(events[i-1])
		})},
		{"the page that points to them is written first", metaFirst(events, meta)},
		{"the folder is not synced", without(func(i int) bool { return events[i].Op == "folder" })},
		{"the compacted file is not synced", without(func(i int) bool {
			next := slices.IndexFunc(events[i:], func(e event) bool { return e.Op == "rename" })
			return events[i].Op == "sync" && i > renamed && next == 1
		})},
		{"a change is acknowledged early", early(events)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			images, err := enumerate(t, tt.events, 3)
			require.Error(t, err)
			t.Logf("in image %d: %v", images, err)
		})
	}
}

// metaFirst has each page that points to others be written before the sync that it should wait for.
func metaFirst(events []event, meta func(event) bool) []event {
	events = slices.Clone(events)
	for i := 1; i < len(events); i++ {
		if meta(events[i]) && events[i-1].Op == "sync" {
			events[i], events[i-1] = events[i-1], events[i]
		}
	}
	return events
}

// early has each change be acknowledged before its last sync.
func early(events []event) []event {
	events = slices.Clone(events)
	for i := 1; i < len(events); i++ {
		if events[i].Op == "done" && events[i-1].Op == "sync" {
			events[i], events[i-1] = events[i-1], events[i]
		}
	}
	return events
}
