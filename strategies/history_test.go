package strategies_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
	"github.com/tarncache/tarn/ttl"
)

// pastLog is what happened in one round: for each key the versions in their order, who was told that one of them
// was written, and who read what. The stamps of one clock say what came before what.
type pastLog struct {
	clock atomic.Int64

	mu   sync.Mutex // protects keys
	keys map[int]*pastKey
}

type pastKey struct {
	versions []pastVersion // the first is the absence at the start
	acks     []pastAck
	reads    []pastRead
}

// pastVersion is a value that became the key's at an instant. Value 0 is an absence; no two others are alike.
type pastVersion struct {
	value int
	at    int64
}

// pastAck says that whoever wrote a version was told so.
type pastAck struct {
	version int
	at      int64
}

type pastRead struct {
	value     int
	call, ret int64
}

func newPastLog() *pastLog { return &pastLog{keys: make(map[int]*pastKey)} }

func (l *pastLog) stamp() int64 { return l.clock.Add(1) }

// key returns a key. The caller holds mu.
func (l *pastLog) key(key int) *pastKey {
	k := l.keys[key]
	if k == nil {
		k = &pastKey{versions: []pastVersion{{}}}
		l.keys[key] = k
	}
	return k
}

// version makes value the newest version of key.
func (l *pastLog) version(key, value int) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.key(key)
	k.versions = append(k.versions, pastVersion{value, l.stamp()})
	return len(k.versions) - 1
}

func (l *pastLog) ack(key, version int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.key(key)
	k.acks = append(k.acks, pastAck{version, l.stamp()})
}

func (l *pastLog) read(key, value int, call int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	k := l.key(key)
	k.reads = append(k.reads, pastRead{value, call, l.stamp()})
}

// check returns an error if a read returned a version older than the newest that was acknowledged before the read
// began, or one that did not exist before it returned. It takes O(n log n).
func (l *pastLog) check() error {
	for key, k := range l.keys {
		if err := k.check(); err != nil {
			return fmt.Errorf("key %d: %w", key, err)
		}
	}
	return nil
}

func (k *pastKey) check() error {
	of := make(map[int]int, len(k.versions)) // the version of a value
	var absences []int
	for v, version := range k.versions {
		if version.value == 0 {
			absences = append(absences, v)
		} else {
			of[version.value] = v
		}
	}
	slices.SortFunc(k.acks, func(a, b pastAck) int { return int(a.at - b.at) })
	floors := make([]int, len(k.acks)+1) // what the first i acknowledgements promise
	for i, ack := range k.acks {
		floors[i+1] = max(floors[i], ack.version)
	}
	for _, r := range k.reads {
		floor := floors[sort.Search(len(k.acks), func(i int) bool { return k.acks[i].at >= r.call })]
		ceil := sort.Search(len(k.versions), func(i int) bool { return k.versions[i].at >= r.ret }) - 1
		got, known := of[r.value]
		if r.value == 0 {
			n := sort.SearchInts(absences, ceil+1)
			got, known = absences[max(n-1, 0)], n > 0
		}
		switch {
		case !known:
			return fmt.Errorf("a read returned %d, which nobody wrote", r.value)
		case got < floor:
			return fmt.Errorf("%w: version %d after %d of %d was acknowledged", errPast, got, floor, ceil)
		case got > ceil:
			return fmt.Errorf("a read returned version %d, which came later", got)
		}
	}
	return nil
}

var errPast = errors.New("a read returned to the past")

func TestHistoryChecker(t *testing.T) {
	for _, test := range []struct {
		rule string
		key  pastKey
		past bool
		want bool // an error
	}{
		{"nothing happened: absent", pastKey{
			versions: []pastVersion{{}}, reads: []pastRead{{0, 1, 2}},
		}, false, false},
		{"a read after an acknowledgement returns it", pastKey{
			versions: []pastVersion{{}, {7, 1}}, acks: []pastAck{{1, 2}}, reads: []pastRead{{7, 3, 4}},
		}, false, false},
		{"a read after an acknowledgement returns what was before", pastKey{
			versions: []pastVersion{{}, {7, 1}, {8, 2}}, acks: []pastAck{{2, 3}}, reads: []pastRead{{7, 4, 5}},
		}, true, true},
		{"the same, of an absence", pastKey{
			versions: []pastVersion{{}, {7, 1}}, acks: []pastAck{{1, 2}}, reads: []pastRead{{0, 3, 4}},
		}, true, true},
		{"a read that began before the acknowledgement may return what was before", pastKey{
			versions: []pastVersion{{}, {7, 1}, {8, 3}}, acks: []pastAck{{2, 4}}, reads: []pastRead{{7, 2, 9}},
		}, false, false},
		{"an acknowledgement of an older version takes nothing back", pastKey{
			versions: []pastVersion{{}, {7, 1}, {8, 2}}, acks: []pastAck{{2, 3}, {1, 4}}, reads: []pastRead{{7, 5, 6}},
		}, true, true},
		{"what was never acknowledged may be read, and not be read again", pastKey{
			versions: []pastVersion{{}, {7, 1}, {8, 2}}, acks: []pastAck{{1, 3}}, reads: []pastRead{{8, 4, 5}, {7, 6, 7}},
		}, false, false},
		{"what does not exist yet cannot be read", pastKey{
			versions: []pastVersion{{}, {7, 5}}, reads: []pastRead{{7, 1, 2}},
		}, false, true},
		{"what nobody wrote cannot be read", pastKey{
			versions: []pastVersion{{}}, reads: []pastRead{{7, 1, 2}},
		}, false, true},
		{"of several absences a later one is meant", pastKey{
			versions: []pastVersion{{}, {7, 1}, {0, 2}}, acks: []pastAck{{2, 3}}, reads: []pastRead{{0, 4, 5}},
		}, false, false},
	} {
		t.Run(test.rule, func(t *testing.T) {
			err := test.key.check()
			if (err != nil) != test.want || errors.Is(err, errPast) != test.past {
				t.Error(err)
			}
		})
	}
}

// pastSource is a database that fails now and then, before it committed or after.
type pastSource struct {
	log   *pastLog
	pause func(n int)    // for a time of up to n units
	ticks func(int) bool // whether something happens that does so once in n times

	late bool // versions are numbered when write-back accepts them, and not here

	mu   sync.Mutex // protects rows
	rows map[int]int
}

var errFlaky = errors.New("the source failed")

func (s *pastSource) find(ctx context.Context, key int) (int, error) {
	s.pause(3)
	if s.ticks(40) || ctx.Err() != nil {
		return 0, errFlaky
	}
	s.mu.Lock()
	value, ok := s.rows[key]
	s.mu.Unlock()
	s.pause(3)
	if !ok {
		return 0, tarn.ErrNotFound
	}
	return value, nil
}

func (s *pastSource) findMany(ctx context.Context, keys []int) (map[int]int, error) {
	found := make(map[int]int)
	for _, key := range keys {
		value, err := s.find(ctx, key)
		if err == nil {
			found[key] = value
		} else if !errors.Is(err, tarn.ErrNotFound) {
			return nil, err
		}
	}
	return found, nil
}

// apply writes many keys in one transaction.
func (s *pastSource) apply(ctx context.Context, ops []tarn.Op[int, int]) error {
	s.pause(4)
	if s.ticks(40) {
		return errFlaky
	}
	s.mu.Lock()
	for _, op := range ops {
		value := op.Value
		if delete(s.rows, op.Key); !op.Delete {
			s.rows[op.Key] = op.Value
		} else {
			value = 0
		}
		if !s.late {
			pastCallOf(ctx).wrote(op.Key, s.log.version(op.Key, value))
		}
	}
	s.mu.Unlock()
	s.pause(4)
	if s.ticks(40) {
		return errFlaky // committed all the same
	}
	return nil
}

// pastCall is a write of the application. The source tells it which versions it committed.
type pastCall struct {
	mu       sync.Mutex // protects versions
	versions map[int]int
}

type pastCallKey struct{}

func pastCallOf(ctx context.Context) *pastCall { return ctx.Value(pastCallKey{}).(*pastCall) }

func (c *pastCall) wrote(key, version int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.versions[key] = version
}

// flakyStore is a store in memory that loses what it is told now and then.
type flakyStore struct {
	*memory.Store[int, int]
	ticks  func(int) bool
	stands bool // it says of every lease that it stands
}

func (s *flakyStore) Settle(ctx context.Context, settlements []tarn.Settlement[int, int]) error {
	if s.ticks(20) {
		return errFlaky
	}
	return s.Store.Settle(ctx, settlements)
}

func (s *flakyStore) Set(ctx context.Context, key int, e tarn.Entry[int]) error {
	if s.ticks(20) {
		return errFlaky
	}
	return s.Store.Set(ctx, key, e)
}

func (s *flakyStore) Lease(ctx context.Context, keys []int, terms tarn.LeaseTerms, into []tarn.Lease[int]) error {
	if s.ticks(50) {
		return errFlaky
	}
	return s.Store.Lease(ctx, keys, terms, into)
}

func (s *flakyStore) Stands(ctx context.Context, keys []int, tokens []tarn.Token, into []bool) error {
	err := s.Store.Stands(ctx, keys, tokens, into)
	for i := range into {
		into[i] = into[i] || s.stands
	}
	return err
}

// plainStore hides all but the three methods that every store has.
type plainStore struct{ store tarn.Store[int, int] }

func (s plainStore) Get(ctx context.Context, key int) (tarn.Entry[int], bool, error) {
	return s.store.Get(ctx, key)
}

func (s plainStore) Set(ctx context.Context, key int, e tarn.Entry[int]) error {
	return s.store.Set(ctx, key, e)
}

func (s plainStore) Delete(ctx context.Context, key int) error { return s.store.Delete(ctx, key) }

// pastRound is one round: goroutines that read and write few keys through one strategy.
type pastRound struct {
	strategy pastStrategy
	policy   ttl.Policy
	holdLife time.Duration
	plain    bool // the store has no leases and holds
	options  []strategies.ReadOption
	stands   bool // every lease is said to stand
	careless bool // perhaps stale counts as acknowledged
	fake     bool // in a bubble, with its time
	seed     uint64
	actors   int
	ops      int // of each actor

	log    *pastLog
	source *pastSource
	values atomic.Int64
	hits   uint64               // of the store
	order  [pastKeys]sync.Mutex // the writes of write-back: who accepts a key numbers it
}

const pastKeys = 5

// pastStrategy makes what a process has of a strategy.
type pastStrategy struct {
	name      string
	processes int
	open      func(r *pastRound, store tarn.Store[int, int], opts []strategies.ReadOption) pastCache
}

// pastCache is a strategy as the application uses it.
type pastCache struct {
	tarn.Cache[int, int] // reads
	write                func(ctx context.Context, ops []tarn.Op[int, int]) error
	close                func(ctx context.Context) error
}

var pastStrategies = []pastStrategy{
	{"look-aside", 2, func(r *pastRound, store tarn.Store[int, int], opts []strategies.ReadOption) pastCache {
		c := strategies.LookAside(store, opts...)
		return pastCache{fetching{c, r.loader()}, func(ctx context.Context, ops []tarn.Op[int, int]) error {
			return c.Update(ctx, pastKeysOf(ops), func(ctx context.Context) error { return r.source.apply(ctx, ops) })
		}, c.Close}
	}},
	{"read-through", 2, func(r *pastRound, store tarn.Store[int, int], opts []strategies.ReadOption) pastCache {
		c := strategies.ReadThrough(store, r.loader(), opts...)
		return pastCache{c, func(ctx context.Context, ops []tarn.Op[int, int]) error {
			if err := r.source.apply(ctx, ops); err != nil {
				return err
			}
			return tarn.DeleteMany(context.WithoutCancel(ctx), c, pastKeysOf(ops))
		}, c.Close}
	}},
	{"write-through", 2, func(r *pastRound, store tarn.Store[int, int], opts []strategies.ReadOption) pastCache {
		c := strategies.WriteThrough(strategies.ReadThrough(store, r.loader(), opts...), r.writer())
		return pastCache{c, func(ctx context.Context, ops []tarn.Op[int, int]) error {
			return pastWrite(ctx, c, ops)
		}, c.Close}
	}},
	{"write-around", 2, func(r *pastRound, store tarn.Store[int, int], opts []strategies.ReadOption) pastCache {
		c := strategies.WriteAround(strategies.ReadThrough(store, r.loader(), opts...), r.writer())
		return pastCache{c, func(ctx context.Context, ops []tarn.Op[int, int]) error {
			return pastWrite(ctx, c, ops)
		}, c.Close}
	}},
	{"write-back", 1, func(r *pastRound, store tarn.Store[int, int], opts []strategies.ReadOption) pastCache {
		r.source.late = true
		c, err := strategies.WriteBack(strategies.ReadThrough(store, r.loader(), opts...), r.writer(),
			strategies.WriteBackConfig[int, int]{
				MaxDelay: 2 * time.Millisecond, MaxBatch: 3, MinBackoff: time.Millisecond, MaxBackoff: 3 * time.Millisecond,
			})
		if err != nil {
			panic(err)
		}
		return pastCache{c, func(ctx context.Context, ops []tarn.Op[int, int]) error {
			return r.accept(ctx, c, ops)
		}, func(ctx context.Context) error { return c.Close(ctx) }}
	}},
}

// fetching is a LookAsideCache that reads with one loader.
type fetching struct {
	*strategies.LookAsideCache[int, int]
	loader tarn.Loader[int, int]
}

func (f fetching) Get(ctx context.Context, key int) (int, error) { return f.Fetch(ctx, key, f.loader) }

func (f fetching) GetMany(ctx context.Context, keys []int, into []tarn.Result[int]) error {
	found, err := f.FetchMany(ctx, keys, f.loader)
	for i, key := range keys {
		v, ok := found[key]
		into[i] = tarn.Result[int]{Value: v}
		if !ok {
			into[i].Err = tarn.ErrNotFound
		}
	}
	if errors.As(err, new(*tarn.BatchError[int])) { // which of the keys is of no importance here
		for i := range into {
			if into[i].Err != nil {
				into[i].Err = errFlaky
			}
		}
		return nil
	}
	return err
}

func (r *pastRound) loader() tarn.Loader[int, int] {
	return tarn.LoadManyFunc(r.source.find, r.source.findMany)
}

func (r *pastRound) writer() tarn.Writer[int, int] { return tarn.WriteManyFuncs(r.source.apply) }

func pastKeysOf(ops []tarn.Op[int, int]) []int {
	keys := make([]int, len(ops))
	for i, op := range ops {
		keys[i] = op.Key
	}
	return keys
}

// pastWrite writes through a cache, with the call that fits.
func pastWrite(ctx context.Context, c tarn.Cache[int, int], ops []tarn.Op[int, int]) error {
	switch {
	case len(ops) == 1 && ops[0].Delete:
		return c.Delete(ctx, ops[0].Key)
	case len(ops) == 1:
		return c.Set(ctx, ops[0].Key, ops[0].Value)
	case ops[0].Delete:
		return tarn.DeleteMany(ctx, c, pastKeysOf(ops))
	}
	values := make(map[int]int)
	for _, op := range ops {
		values[op.Key] = op.Value
	}
	return tarn.SetMany(ctx, c, values)
}

// accept writes operations back. What is accepted is a version from then on, whatever the source has.
func (r *pastRound) accept(ctx context.Context, c tarn.Cache[int, int], ops []tarn.Op[int, int]) error {
	for _, op := range ops {
		r.order[op.Key].Lock()
		defer r.order[op.Key].Unlock()
	}
	for _, op := range ops {
		value := op.Value
		if op.Delete {
			value = 0
		}
		pastCallOf(ctx).wrote(op.Key, r.log.version(op.Key, value))
	}
	return pastWrite(ctx, c, ops)
}

// run runs the round, and returns what is wrong with it.
func (r *pastRound) run() error {
	r.log = newPastLog()
	random := rand.New(rand.NewPCG(r.seed, 1))
	var mu sync.Mutex // protects random
	ticks := func(n int) bool {
		mu.Lock()
		defer mu.Unlock()
		return random.IntN(n) == 0
	}
	r.source = &pastSource{log: r.log, rows: make(map[int]int), ticks: ticks, pause: func(n int) {
		mu.Lock()
		d := time.Duration(random.IntN(n * 1000))
		short := random.IntN(20) > 0
		mu.Unlock()
		switch {
		case r.fake:
			time.Sleep(d * time.Microsecond)
		case short:
			for range d % 4 {
				runtime.Gosched()
			}
		default:
			time.Sleep(d * time.Microsecond / 20)
		}
	}}
	mem := memory.New(memory.Options[int, int]{MaxEntries: pastKeys - 2, CountReads: true})
	defer mem.Close()
	var store tarn.Store[int, int] = &flakyStore{Store: mem, ticks: ticks, stands: r.stands}
	processes := r.strategy.processes
	if r.plain {
		store, processes = plainStore{mem}, 1
	}
	opts := append([]strategies.ReadOption{
		strategies.WithTTL(r.policy), strategies.WithHoldLife(r.holdLife), strategies.WithMaxBatch(2),
		strategies.WithMaxLoads(3),
	}, r.options...)
	caches := make([]pastCache, processes)
	for i := range caches {
		caches[i] = r.strategy.open(r, store, opts)
	}
	var all sync.WaitGroup
	for i := range r.actors {
		all.Go(func() {
			random := rand.New(rand.NewPCG(r.seed, uint64(i)+2))
			for range r.ops {
				r.act(random, caches[i%processes])
			}
		})
	}
	all.Wait()
	r.hits = mem.Stats().Hits
	return r.end(caches)
}

// act does one thing.
func (r *pastRound) act(random *rand.Rand, c pastCache) {
	ctx := context.Context(context.Background())
	if random.IntN(8) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Duration(random.IntN(6000))*time.Microsecond)
		defer cancel()
	}
	keys := random.Perm(pastKeys)[:1+random.IntN(3)]
	if random.IntN(3) > 0 {
		keys = keys[:1]
	}
	switch n := random.IntN(10); {
	case n < 6:
		r.reads(ctx, c, keys)
	default:
		slices.Sort(keys)
		ops := make([]tarn.Op[int, int], len(keys))
		for i, key := range keys {
			ops[i] = tarn.Op[int, int]{Key: key, Value: int(r.values.Add(1)), Delete: n == 9}
		}
		r.writes(ctx, c, ops)
	}
}

func (r *pastRound) reads(ctx context.Context, c pastCache, keys []int) {
	call := r.log.stamp()
	results := make([]tarn.Result[int], len(keys))
	if len(keys) == 1 {
		results[0].Value, results[0].Err = c.Get(ctx, keys[0])
	} else if err := c.Cache.(tarn.BatchCache[int, int]).GetMany(ctx, keys, results); err != nil {
		return
	}
	for i, res := range results {
		if res.Err == nil {
			r.log.read(keys[i], res.Value, call)
		} else if errors.Is(res.Err, tarn.ErrNotFound) {
			r.log.read(keys[i], 0, call)
		}
	}
}

func (r *pastRound) writes(ctx context.Context, c pastCache, ops []tarn.Op[int, int]) {
	call := &pastCall{versions: make(map[int]int)}
	err := c.write(context.WithValue(ctx, pastCallKey{}, call), ops)
	if err != nil && !(r.careless && errors.Is(err, tarn.ErrMaybeStale)) {
		return // perhaps it was written, and perhaps it was not
	}
	call.mu.Lock()
	defer call.mu.Unlock()
	for key, version := range call.versions {
		r.log.ack(key, version)
	}
}

// end reads everything once more, closes the caches, and checks.
func (r *pastRound) end(caches []pastCache) error {
	for _, c := range caches {
		for key := range pastKeys {
			r.reads(context.Background(), c, []int{key})
		}
	}
	for _, c := range caches {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		err := c.close(ctx)
		cancel()
		if err != nil {
			return fmt.Errorf("close: %w", err)
		}
		if _, err := c.Get(context.Background(), 0); !errors.Is(err, tarn.ErrClosed) {
			return fmt.Errorf("a Get after Close returned %w", err)
		}
	}
	if r.source.late {
		for key, k := range r.log.keys {
			if err := r.arrived(key, k); err != nil {
				return err
			}
		}
	}
	return r.log.check()
}

// arrived checks that after Close the source has what write-back accepted last, or what came after it unasked.
func (r *pastRound) arrived(key int, k *pastKey) error {
	acked := 0
	for _, a := range k.acks {
		acked = max(acked, a.version)
	}
	for _, v := range k.versions[acked:] {
		if r.source.rows[key] == v.value {
			return nil
		}
	}
	return fmt.Errorf("key %d: the source does not have what was written last", key)
}

var pastPolicies = []ttl.Policy{
	{},
	{Fresh: 4 * time.Millisecond, Negative: 2 * time.Millisecond, Jitter: 0.5},
	{Fresh: 2 * time.Millisecond, StaleWhileRevalidate: 8 * time.Millisecond, StaleIfError: 5 * time.Millisecond,
		EarlyRefresh: 1, Negative: 20 * time.Millisecond},
	{Sliding: 5 * time.Millisecond, Fresh: 20 * time.Millisecond, Negative: time.Second},
}

// rounds calls f with each strategy, on a store with leases and on one without, until f returns false.
func rounds(fake bool, seed uint64, f func(r *pastRound) bool) {
	for i := 0; ; i++ {
		s := pastStrategies[i%len(pastStrategies)]
		r := &pastRound{
			strategy: s, policy: pastPolicies[i/2%len(pastPolicies)], plain: i%3 == 2, fake: fake,
			holdLife: time.Duration(2+i%7) * time.Millisecond, seed: seed + uint64(i), actors: 8 + i%9, ops: 120,
		}
		if r.plain && r.policy.Sliding > 0 {
			r.policy = ttl.Policy{}
		}
		if !f(r) {
			return
		}
	}
}

func (r *pastRound) String() string {
	return fmt.Sprintf("%s, seed %d, plain %v, policy %+v", r.strategy.name, r.seed, r.plain, r.policy)
}

// bubble runs a round in the time of a bubble.
func bubble(t *testing.T, r *pastRound) (err error) {
	r.fake = true
	synctest.Test(t, func(t *testing.T) { err = r.run() })
	return err
}

// TestHistory checks what many goroutines read against what was acknowledged, with a clock that only moves when
// everybody waits, so that lives, holds and time limits end in the midst of things.
func TestHistory(t *testing.T) {
	n, reads, acks, hits := 0, 0, 0, 0
	rounds(true, 1, func(r *pastRound) bool {
		if err := bubble(t, r); err != nil {
			t.Errorf("%v: %v", r, err)
		}
		n++
		hits += int(r.hits)
		for _, k := range r.log.keys {
			reads += len(k.reads)
			acks += len(k.acks)
		}
		return n < 60 && !t.Failed()
	})
	t.Logf("%d reads, %d acknowledged writes, %d hits in the store", reads, acks, hits)
	if reads < 100*n || acks < 100*n || hits < 50*n {
		t.Errorf("in %d rounds there were only %d reads, %d acknowledged writes and %d hits", n, reads, acks, hits)
	}
}

// TestHistoryInRealTime does the same as fast as the machine can.
func TestHistoryInRealTime(t *testing.T) {
	end, n := time.Now().Add(2*time.Second), 0
	rounds(false, 1, func(r *pastRound) bool {
		if err := r.run(); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		n++
		return time.Now().Before(end) || n < len(pastStrategies)
	})
	t.Logf("%d rounds", n)
}

// TestSoakHistory goes on for as long as TARN_SOAK says, such as 10m, with another seed each time; without, for a second.
func TestSoakHistory(t *testing.T) {
	d, err := time.ParseDuration(cmp.Or(os.Getenv("TARN_SOAK"), "1s"))
	require.NoError(t, err, "TARN_SOAK")
	end, n := time.Now().Add(d), 0
	rounds(false, rand.Uint64(), func(r *pastRound) bool {
		r.ops = 1000
		if err := r.run(); err != nil {
			t.Fatalf("%v: %v", r, err)
		}
		again := r.again()
		if err := bubble(t, again); err != nil {
			t.Fatalf("in a bubble, %v: %v", r, err)
		}
		n++
		return time.Now().Before(end)
	})
	t.Logf("%d rounds", 2*n)
}

// again returns the same round, not yet run.
func (r *pastRound) again() *pastRound {
	return &pastRound{
		strategy: r.strategy, policy: r.policy, holdLife: r.holdLife, plain: r.plain,
		seed: r.seed, actors: r.actors, ops: r.ops,
	}
}

// TestHistoryFindsBreaks breaks rules on purpose, and asserts that the checker notices.
func TestHistoryFindsBreaks(t *testing.T) {
	for _, test := range []struct {
		rule     string
		breaks   func(r *pastRound)
		strategy string
	}{
		{"fills need a lease", func(r *pastRound) {
			r.options = []strategies.ReadOption{strategies.WithBlindFills()}
		}, "read-through"},
		{"fills need a lease", func(r *pastRound) {
			r.options = []strategies.ReadOption{strategies.WithBlindFills()}
		}, "write-back"},
		{"a write holds its key", func(r *pastRound) {
			r.options = []strategies.ReadOption{strategies.WithoutHolds()}
			r.careless = true
		}, "write-through"},
		{"a write whose hold ran out waits for its settle", func(r *pastRound) {
			r.careless, r.holdLife = true, 2*time.Millisecond
		}, "write-around"},
		{"a load is joined while its lease stands", func(r *pastRound) { r.stands = true }, "read-through"},
	} {
		t.Run(test.rule+", "+test.strategy, func(t *testing.T) {
			const most = 3000 // a break may show in one round of fifty, and who is first in each is chance
			n := 0
			var err error
			rounds(true, 1, func(r *pastRound) bool {
				if r.strategy.name != test.strategy || r.plain {
					return true
				}
				test.breaks(r)
				err = bubble(t, r)
				n++
				return err == nil && n < most
			})
			if !errors.Is(err, errPast) {
				t.Errorf("in %d rounds: %v", n, err)
			}
			t.Logf("after %d rounds: %v", n, err)
		})
	}
}
