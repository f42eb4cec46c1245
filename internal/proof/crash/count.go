package crash

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/proof"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/strategies/fence"
)

// Count is what a child does that counts. Caller c adds one to the key (7c+i) mod Keys for i from 0 on, Each times in all.
// A value is how often each caller has added to it, so that what is missing, or counted twice, is seen.
type Count struct {
	Callers int
	Each    int64
	Keys    int64
	Block   int64   // after how many a caller tells how far it is
	Ledger  bool    // the database remembers which batches it has had
	Doubt   float64 // of how many batches that were committed nobody hears
	From    []int64 // where callers go on; nil: where the values say that they are
	Readers int
}

// Tally is how often each caller has added to a key.
type Tally []int64

var tallies = strategies.Merger[Tally, Tally]{Merge: addTallies, Fold: addTallies}

func addTallies(a, b Tally) Tally {
	sum := slices.Grow(Tally(nil), max(len(a), len(b)))[:max(len(a), len(b))]
	copy(sum, a)
	for i, n := range b {
		sum[i] += n
	}
	return sum
}

// due is how often a caller that has added n times has added to a key.
func (c *Count) due(caller int, key, n int64) int64 {
	first := ((key-7*int64(caller))%c.Keys + c.Keys) % c.Keys
	if n <= first {
		return 0
	}
	return (n-first-1)/c.Keys + 1
}

func (c *Count) key(caller int, i int64) int64 { return (7*int64(caller) + i) % c.Keys }

const tallyTable = `create table if not exists tally (key bigint primary key, counts text not null)`

var ledgers = map[string]*fence.Ledger{
	"sqlite": fence.NewLedger(fence.SQLite, "batches"),
	"pgx":    fence.NewLedger(fence.Postgres, "batches"),
}

// MakeTally makes the tables that counts are in.
func (p Place) MakeTally(ctx context.Context) error {
	db, err := p.Open()
	if err != nil {
		return err
	}
	defer db.Close()
	for _, statement := range []string{tallyTable, ledgers[p.Driver].Schema()} {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("crash: tables: %w", err)
		}
	}
	return nil
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// tally reads the value of a key.
func tally(ctx context.Context, db querier, key int64, suffix string) (Tally, error) {
	var text string
	if err := db.QueryRowContext(ctx, `select counts from tally where key = $1`+suffix, key).Scan(&text); err != nil {
		return nil, err
	}
	var t Tally
	return t, json.Unmarshal([]byte(text), &t)
}

// Tally reads the value of a key, nil if there is none.
func (d *Database) Tally(ctx context.Context, key int64) (Tally, error) {
	t, err := tally(ctx, d, key, "")
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return t, err
}

// addBatch adds a batch to the database in one transaction.
func (d *Database) addBatch(ctx context.Context, b strategies.Batch[int64, Tally], ledger bool) error {
	add := func(tx *sql.Tx) error { return d.addTo(ctx, tx, b.Deltas) }
	if ledger {
		return ledgers[d.place.Driver].Do(ctx, d.DB, fence.Batch{Epoch: b.Epoch, Seq: b.Seq, Settled: b.Settled}, add)
	}
	tx, err := d.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if err := add(tx); err != nil {
		return err
	}
	return tx.Commit()
}

func (d *Database) addTo(ctx context.Context, tx *sql.Tx, deltas []strategies.Delta[int64, Tally]) error {
	suffix := ""
	if d.place.Driver == "pgx" {
		suffix = " for update"
	}
	for _, delta := range deltas {
		has, err := tally(ctx, tx, delta.Key, suffix)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		text, err := json.Marshal(addTallies(has, delta.Delta))
		if err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, `insert into tally (key, counts) values ($1, $2)
on conflict (key) do update set counts = excluded.counts`, delta.Key, string(text)); err != nil {
			return err
		}
	}
	return nil
}

// counter is a process that counts.
type counter struct {
	spec    *Spec
	tell    *teller
	db      *Database
	all     *strategies.Accumulator[int64, Tally, Tally]
	begun   []atomic.Int64 // how many times each caller has begun to add
	done    []atomic.Int64 // and how many times it was told that it had
	callers sync.WaitGroup
}

// count counts until each caller has added as often as it shall, and ends.
func count(spec *Spec, in io.Reader, out io.Writer) (err error) {
	n := spec.Count.Callers
	c := &counter{
		spec: spec, tell: &teller{out: out}, begun: make([]atomic.Int64, n), done: make([]atomic.Int64, n),
	}
	go endWith(in)
	if c.db, err = spec.Place.Open(); err != nil {
		return err
	}
	defer c.db.Close()
	config := strategies.AccumulateConfig[int64, Tally]{
		MaxDelay: spec.MaxDelay, MaxBatch: spec.MaxBatch, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond,
		MaxValues: 200,
	}
	if spec.Journal != "" {
		j, err := openJournal(spec, c.tell)
		if err != nil {
			return err
		}
		defer j.Close()
		config.Journal = j
	}
	if c.all, err = strategies.Accumulate(tarn.LoadFunc(c.load, sql.ErrNoRows), c.write, tallies, config); err != nil {
		return err
	}
	if err := c.resume(); err != nil {
		return err
	}
	c.tell.tell(Message{Kind: Ready, End: proof.Now(), N: int64(c.all.Stats().Replayed)})
	return c.run()
}

// endWith ends this process when whoever started it has gone.
func endWith(in io.Reader) {
	_, _ = bufio.NewReader(in).ReadByte()
	os.Exit(3)
}

func (c *counter) load(ctx context.Context, key int64) (Tally, error) {
	return tally(ctx, c.db, key, "")
}

func (c *counter) write(ctx context.Context, b strategies.Batch[int64, Tally]) error {
	if err := c.db.addBatch(ctx, b, c.spec.Count.Ledger); err != nil {
		return err
	}
	if rand.Float64() < c.spec.Count.Doubt {
		return errUnknown
	}
	return nil
}

// resume finds out where each caller is: what it added to all keys is how often it did. That has to be just what the
// first so many additions are.
func (c *counter) resume() error {
	spec := &c.spec.Count
	if spec.From != nil {
		for i, from := range spec.From {
			c.begun[i].Store(from)
			c.done[i].Store(from)
		}
		return nil
	}
	values := make([]Tally, spec.Keys)
	for key := range values {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		value, err := c.all.Get(ctx, int64(key))
		cancel()
		if err != nil {
			return fmt.Errorf("crash: resume: %w", err)
		}
		values[key] = addTallies(value, make(Tally, spec.Callers))
		for i, n := range values[key] {
			c.done[i].Add(n)
		}
	}
	for i := range c.done {
		n := c.done[i].Load()
		c.begun[i].Store(n)
		for key := range values {
			if has, want := values[key][i], spec.due(i, int64(key), n); has != want {
				c.tell.tell(Message{Kind: Failed, Key: int64(key),
					Text: fmt.Sprintf("caller %d added %d times, to this key %d times instead of %d", i, n, has, want)})
			}
		}
		c.tell.tell(Message{Kind: Counted, Key: int64(i), Op: n, N: 1})
	}
	return nil
}

func (c *counter) run() error {
	reading, stop := context.WithCancel(context.Background())
	var readers sync.WaitGroup
	for i := range c.spec.Count.Readers {
		readers.Go(func() { c.read(reading, rand.New(rand.NewPCG(c.spec.Seed, uint64(i)))) })
	}
	for i := range c.spec.Count.Callers {
		c.callers.Go(func() { c.add(i) })
	}
	c.callers.Wait()
	stop()
	readers.Wait()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := c.all.Close(ctx); err != nil {
		return fmt.Errorf("crash: close: %w", err)
	}
	return nil
}

// add is what a caller does.
func (c *counter) add(caller int) {
	spec := &c.spec.Count
	one := make(Tally, caller+1)
	one[caller] = 1
	for i := c.done[caller].Load(); i < spec.Each; i++ {
		c.begun[caller].Store(i + 1)
		if err := c.all.Add(context.Background(), spec.key(caller, i), one); err != nil {
			c.tell.tell(Message{Kind: Failed, Key: int64(caller), Text: "add: " + err.Error()})
			return
		}
		c.done[caller].Store(i + 1)
		if (i+1)%spec.Block == 0 || i+1 == spec.Each {
			c.tell.tell(Message{Kind: Counted, Key: int64(caller), Op: i + 1})
		}
	}
}

// read wants each value to have what was added before the read, and, if the database counts each batch once, nothing that
// was not.
func (c *counter) read(ctx context.Context, rng *rand.Rand) {
	spec := &c.spec.Count
	least, value := make(Tally, spec.Callers), Tally(nil)
	for ctx.Err() == nil {
		key := rng.Int64N(spec.Keys)
		for i := range least {
			least[i] = spec.due(i, key, c.done[i].Load())
		}
		var err error
		if value, err = c.all.Get(ctx, key); err != nil {
			continue
		}
		value = addTallies(value, make(Tally, spec.Callers))
		for i, n := range value {
			most := spec.due(i, key, c.begun[i].Load())
			if n < least[i] || n > most && spec.Ledger {
				c.tell.tell(Message{Kind: Failed, Key: key,
					Text: fmt.Sprintf("caller %d is read to have added %d times, and has %d to %d times", i, n, least[i], most)})
			}
		}
		time.Sleep(time.Millisecond)
	}
}
