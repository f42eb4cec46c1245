package crash

import (
	"context"
	"fmt"
	"testing"
	"time"
)

// TestSoakCounts has 64 callers add to a few counters while their process is killed, until each has added as often as it
// shall. With a ledger the sums are exact, and without one never too small. With TARN_SOAK each caller adds 100,000
// times, a quarter of that without a ledger: it takes an hour where the disk is slow.
func TestSoakCounts(t *testing.T) {
	each, often, every := int64(200), 8, 150*time.Millisecond
	if soak(t) > 0 {
		each, often, every = 100_000, 200, 2*time.Second
	}
	for _, driver := range []string{"sqlite", "postgres"} {
		server := serverOf(t, driver)
		for _, ledger := range []bool{true, false} {
			name := driver + ", no ledger"
			if ledger {
				name = driver + ", a ledger"
			}
			t.Run(name, func(t *testing.T) {
				tr, each := newTrial(t, server), each
				if !ledger && each > 1000 {
					each /= 4
				}
				tr.counting(each, ledger)
				tr.countToTheEnd(often, every)
				total.writes.Add(each * 64)
				if short, more := tr.sums(); short > 0 || more > 0 && ledger {
					t.Errorf("of the sums, %d lack something and %d have too much", short, more)
				} else {
					t.Logf("%d processes, %d sums have too much", len(tr.record.Lives), more)
				}
			})
		}
	}
}

// TestLedgerIsNeeded shows that what keeps sums exact does.
func TestLedgerIsNeeded(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(t *trial)
	}{
		{"the ledger", func(t *trial) { t.spec.Count.Ledger = false }},
		{"the journal", func(t *trial) { t.spec.Journal = "" }},
		{"batches are not kept", func(t *trial) { t.spec.Break = "batches are not kept" }},
		{"acknowledged before the append", func(t *trial) { t.spec.Break = "acknowledged before the append" }},
		{"no replay", func(t *trial) { t.spec.Break = "no replay" }},
	} {
		t.Run(tt.name+" off", func(t *testing.T) {
			t.Parallel()
			total.broken.Add(1)
			began := time.Now()
			for round := 1; time.Since(began) < patience; round++ {
				tr := newTrial(t, nil)
				tr.counting(150, true)
				tr.spec.Count.Block = 1 // on a busy machine they do not get far before they are killed
				tt.set(tr)
				tr.countToTheEnd(8, 60*time.Millisecond)
				short, more := tr.sums()
				if wrong := tr.complaints(); short+more > 0 || wrong != "" {
					t.Logf("caught after %d rounds, %v: of the sums, %d lack something and %d have too much; %s",
						round, time.Since(began), short, more, wrong)
					total.caught.Add(1)
					return
				}
			}
			t.Errorf("with this switched off all sums are right (TARN_PROOF_SEED=%d)", seed)
		})
	}
}

func (t *trial) counting(each int64, ledger bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := t.spec.Place.MakeTally(ctx); err != nil {
		t.Fatal(err)
	}
	t.spec.Load = Load{}
	t.spec.Count = Count{
		Callers: 64, Each: each, Keys: 20, Block: 20, Ledger: ledger, Doubt: 0.1, Readers: 2,
	}
}

// countToTheEnd starts processes and kills so many of them, until one comes to its end.
func (t *trial) countToTheEnd(often int, every time.Duration) {
	t.Helper()
	told := make([]int64, t.spec.Count.Callers)
	for over := false; !over; often-- {
		spec := t.spec
		if !spec.Count.Ledger {
			spec.Count.From = told // the values tell of too much
		}
		p := t.startAs(spec)
		if often > 0 && t.rng.IntN(5) > 0 {
			t.open(p)
			t.await("counts", func() bool { return p.over() || t.counts() > 0 })
		}
		patience := 10 * time.Minute
		if often > 0 {
			patience = time.Duration(t.rng.Int64N(int64(every) * 2))
		}
		select {
		case <-p.heard:
		case <-time.After(patience):
		}
		if over = p.over(); over {
			if err := p.Wait(); err != nil {
				t.Fatal(err)
			}
			total.replayed.Add(t.over().Replayed)
		} else {
			t.kill(p)
		}
		t.toldCounts(told)
	}
	if wrong := t.complaints(); wrong != "" && t.spec.Break == "" && t.spec.Journal != "" && t.spec.Count.Ledger {
		t.Error(wrong)
	}
}

// counts is how often the callers of the last process told that they had gone on.
func (t *trial) counts() (n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.record.Counts {
		if m.N == 0 {
			n++
		}
	}
	return n
}

// toldCounts takes in how far callers told that they were, and wants those of them that went on to have gone on there.
func (t *trial) toldCounts(told []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, m := range t.record.Counts {
		switch was := told[m.Key]; {
		case m.N == 0 || m.Op >= was && m.Op <= was+t.spec.Count.Block:
			told[m.Key] = max(was, m.Op)
		case m.Op < was:
			t.record.Complaints = append(t.record.Complaints,
				fmt.Sprintf("caller %d was told that it had added %d times, and now it is %d", m.Key, was, m.Op))
		default:
			t.record.Complaints = append(t.record.Complaints,
				fmt.Sprintf("caller %d had added %d to %d times, and now it is %d", m.Key, was, was+t.spec.Count.Block, m.Op))
		}
	}
	t.record.Counts = nil
}

// complaints are what processes found wrong themselves.
func (t *trial) complaints() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.record.Complaints
	for _, m := range t.record.Writes {
		if m.Kind == Failed {
			all = append(all, fmt.Sprintf("key %d: %s", m.Key, m.Text))
		}
	}
	if len(all) == 0 {
		return ""
	}
	return fmt.Sprintf("%d complaints, the first: %s", len(all), all[0])
}

// sums counts the sums that lack something, and those that have too much.
func (t *trial) sums() (short, more int) {
	t.Helper()
	db, err := t.spec.Place.Open()
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	c := &t.spec.Count
	for key := range c.Keys {
		has, err := db.Tally(context.Background(), key)
		if err != nil {
			t.Fatal(err)
		}
		for caller, n := range addTallies(has, make(Tally, c.Callers)) {
			switch want := c.due(caller, key, c.Each); {
			case n < want:
				short++
			case n > want:
				more++
			}
		}
	}
	return short, more
}
