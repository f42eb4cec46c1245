package races

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies"
)

// process is a cache with the strategies around it. All processes have one store.
type process struct {
	w       *world
	index   int
	cache   tarn.Guarded[int, int]
	aside   *strategies.LookAsideCache[int, int] // nil: the cache is a ReadThroughCache
	through *strategies.WriteThroughCache[int, int]
	around  *strategies.WriteAroundCache[int, int]
	back    *strategies.WriteBackCache[int, int] // nil: none

	mu      sync.Mutex              // protects the below
	loading map[int]int             // loads that run, by key
	loads   map[int][]int           // steps in which loads began to look at the store
	looking map[int]context.Context // of the load that looked last, by key
}

func (w *world) newProcess(index int, opts []strategies.ReadOption) *process {
	p := &process{w: w, index: index, loading: make(map[int]int), loads: make(map[int][]int)}
	p.looking = make(map[int]context.Context)
	if w.row.needs(index, needsAside) {
		p.aside = strategies.LookAside(w.store, opts...)
		p.cache = p.aside
	} else {
		p.cache = strategies.ReadThrough(w.store, p.loader(), opts...)
	}
	guarded := p.cache
	if w.store.holder == nil {
		guarded = stepping{guarded, w}
	}
	p.through = strategies.WriteThrough(guarded, p.writer())
	p.around = strategies.WriteAround(guarded, p.writer())
	if w.row.needs(index, needsBack) {
		var err error
		p.back, err = strategies.WriteBack(p.cache, p.writer(), strategies.WriteBackConfig[int, int]{MaxDelay: time.Hour},
			strategies.WithSharedStore())
		if err != nil {
			panic(err)
		}
		w.End(func() { p.back.Close(context.Background()) })
		return p
	}
	w.End(func() { p.through.Close(context.Background()) })
	return p
}

// stepping is a cache whose Hold begins in a step: over a plain store nothing else does.
type stepping struct {
	tarn.Guarded[int, int]
	w *world
}

func (s stepping) Hold(ctx context.Context, keys []int) (tarn.Hold[int], error) {
	s.w.Step(ctx, "hold"+text(keys))
	for _, key := range keys {
		s.w.Touch(inStore(key))
	}
	s.w.held++
	return s.Guarded.Hold(ctx, keys)
}

// As offers what the cache offers.
func (s stepping) As(target any) bool {
	if t, ok := target.(*tarn.BatchCache[int, int]); ok {
		*t, ok = tarn.As[tarn.BatchCache[int, int]](s.Guarded)
		return ok
	}
	return false
}

// op is one call of an application, carried by its context.
type op struct {
	p     *process
	keys  []int
	looks int  // how many Gets of the store make up the first look
	lost  bool // its settle is lost; only of a plain store
	holds bool // it writes under holds, or would if they were not left out

	mu       sync.Mutex  // protects the below
	versions map[int]int // committed by a writer, by key
	begun    map[int]int // loads of each key that had begun when the caller last asked
}

type opKey struct{}

// opOf returns the call that ctx belongs to, or nil.
func opOf(ctx context.Context) *op {
	o, _ := ctx.Value(opKey{}).(*op)
	return o
}

func (p *process) newOp(ctx context.Context, keys []int) (context.Context, *op) {
	o := &op{p: p, keys: keys, looks: len(keys), versions: make(map[int]int), begun: make(map[int]int)}
	o.asks()
	return context.WithValue(ctx, opKey{}, o), o
}

// process returns the index of the process; what runs in the background is the first one's.
func (o *op) process() int {
	if o == nil {
		return 0
	}
	return o.p.index
}

// begins reports whether a Get of the store is part of the call's first look.
func (o *op) begins() bool {
	if o == nil || o.looks == 0 {
		return false
	}
	o.looks--
	return true
}

// settles reports whether a writer has written on behalf of the call, so that a change of the store is its settle.
func (o *op) settles() bool {
	if o == nil || !o.holds {
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.versions) > 0
}

// asks notes how many loads have begun. From now on, at most one more may begin before the caller has its answer.
func (o *op) asks() {
	if o == nil {
		return
	}
	o.p.mu.Lock()
	defer o.p.mu.Unlock()
	for _, key := range o.keys {
		o.begun[key] = len(o.p.loads[key])
	}
}

// name names a value by its version.
func (w *world) name(key, value int) string {
	v, _ := w.source.check(key, value, 0)
	return text([]int{key}) + fmt.Sprintf(" version %d", v)
}

// loader reads the source in two steps: the read, and the return.
func (p *process) loader() tarn.Loader[int, int] {
	switch {
	case p.w.row.Tagged && p.w.row.Batch:
		return taggedLoader{p}
	case p.w.row.Tagged:
		return tarn.LoadEntryFunc(func(ctx context.Context, key int) (tarn.Loaded[int], error) {
			v, err := p.load(ctx, key)
			return tarn.Loaded[int]{Value: v, Tags: tagsOf(key, v)}, err
		})
	case p.w.row.Batch:
		return tarn.LoadManyFunc(p.load, p.loadMany)
	}
	return tarn.LoadFunc(p.load)
}

// tagsOf are the tags of what is under a key: one for all, since a store may refuse what has another tag than the one that
// was invalidated, by chance.
func tagsOf(int, int) []string { return []string{"all"} }

// taggedLoader is a loader of batches that have tags.
type taggedLoader struct{ p *process }

func (l taggedLoader) Load(ctx context.Context, key int) (int, error) { return l.p.load(ctx, key) }

func (l taggedLoader) LoadMany(ctx context.Context, keys []int, into []tarn.Loaded[int]) error {
	found, err := l.p.loadMany(ctx, keys)
	for i, key := range keys {
		v, ok := found[key]
		if into[i] = (tarn.Loaded[int]{Value: v, Tags: tagsOf(key, v)}); !ok {
			into[i].Err = tarn.ErrNotFound
		}
	}
	return err
}

// LoadEntry is for a batch of one.
func (l taggedLoader) LoadEntry(ctx context.Context, key int) (tarn.Loaded[int], error) {
	v, err := l.p.load(ctx, key)
	return tarn.Loaded[int]{Value: v, Tags: tagsOf(key, v)}, err
}

func (p *process) load(ctx context.Context, key int) (int, error) {
	found, err := p.loadMany(ctx, []int{key})
	if v, ok := found[key]; ok || err != nil {
		return v, err
	}
	return 0, tarn.ErrNotFound
}

var errSource = errors.New("races: the source failed")

func (p *process) loadMany(ctx context.Context, keys []int) (map[int]int, error) {
	w := p.w
	p.begin(keys)
	defer p.end(keys)
	w.Step(ctx, "load"+text(keys))
	if !w.ready {
		time.Sleep(costs)
	}
	found := make(map[int]int)
	for _, key := range keys {
		w.Look(inSource(key))
		if v := w.source.read(key); v != absent {
			found[key] = v
		}
		w.Note("found" + w.name(key, w.source.read(key)))
	}
	failed := w.StepOr(ctx, "loaded"+text(keys), failedLoad)
	for _, key := range keys {
		w.Touch(inFlight{p.index, key})
		if w.store.leaser == nil { // the stand-in ends the lease
			w.Touch(inStore(key))
		}
	}
	switch {
	case failed:
		return nil, errSource
	case ctx.Err() != nil:
		return nil, ctx.Err()
	}
	return found, nil
}

// begin says that loads begin, of which there is at most one of a key.
func (p *process) begin(keys []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if p.loading[key]++; p.loading[key] > 1 && !p.w.row.Timeout {
			p.w.Failf("two loads of one key run at once")
		}
	}
}

// looks says that a load looks at the store: it begins, or else it has waited for another's.
func (p *process) looks(ctx context.Context, keys []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		if ctx != p.looking[key] {
			p.loads[key] = append(p.loads[key], p.w.Now())
		}
		p.looking[key] = ctx
	}
}

func (p *process) end(keys []int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range keys {
		p.loading[key]--
	}
}

// writer commits in one step. What comes after it, the settle, is the next one's.
func (p *process) writer() tarn.Writer[int, int] {
	if p.w.row.Batch {
		return tarn.WriteManyFuncs(p.apply)
	}
	return tarn.WriteFuncs(
		func(ctx context.Context, key, value int) error {
			return p.apply(ctx, []tarn.Op[int, int]{{Key: key, Value: value}})
		},
		func(ctx context.Context, key int) error {
			return p.apply(ctx, []tarn.Op[int, int]{{Key: key, Delete: true}})
		},
	)
}

func (p *process) apply(ctx context.Context, ops []tarn.Op[int, int]) error {
	keys := make([]int, len(ops))
	for i, o := range ops {
		keys[i] = o.Key
	}
	unknown := p.w.StepOr(ctx, "commit"+text(keys), unknownOutcome)
	if !unknown || !p.w.row.Refused {
		p.commitAll(opOf(ctx), ops)
	}
	p.w.Look(clock{})
	p.tells(ctx, keys)
	p.w.Look(clock{})
	if unknown {
		return errSource
	}
	return nil
}

func (p *process) commitAll(o *op, ops []tarn.Op[int, int]) {
	for _, w := range ops {
		value := w.Value
		if w.Delete {
			value = absent
		}
		p.commit(o, w.Key, value)
	}
}

// tells begins the step in which a plain store's stand-in is told of a change. A store that does without one has steps
// of its own.
func (p *process) tells(ctx context.Context, keys []int) {
	if p.w.store.holder != nil {
		return
	}
	o := opOf(ctx)
	if o.settles() {
		o.lost = p.w.StepOr(ctx, "tell"+text(keys), lostSettle)
	} else {
		p.w.Step(ctx, "tell"+text(keys))
	}
	for _, key := range keys {
		p.w.Touch(inStore(key))
	}
}

// commit writes the source, on behalf of a call.
func (p *process) commit(o *op, key, value int) {
	w := p.w
	w.Touch(inSource(key))
	w.source.write(key, value)
	if o == nil { // what write-back writes got its version when it was accepted
		return
	}
	v := w.source.version(key, value)
	w.Note("commits" + w.name(key, value))
	o.mu.Lock()
	defer o.mu.Unlock()
	o.versions[key] = v
}

// acknowledge says that a write has returned err.
func (p *process) acknowledge(o *op, err error) {
	switch {
	case err == nil, errors.Is(err, tarn.ErrMaybeStale) && p.w.loose:
		for key, version := range o.versions {
			p.w.source.ack(key, version)
			p.w.Note("acknowledges" + p.w.name(key, p.w.source.rows[key].versions[version]))
		}
	case errors.Is(err, tarn.ErrMaybeStale) && p.w.row.Lost > 0:
		p.w.Note("says that the cache may be stale")
	case errors.Is(err, errSource) && p.w.row.Unknown > 0:
		p.w.Note("fails")
	default:
		p.w.Failf("a write failed: %w", err)
	}
}

// getter answers keys into values, absent where there is none.
type getter func(ctx context.Context, keys []int, values []int) error

// observe reads keys, and checks what is returned.
func (p *process) observe(ctx context.Context, keys []int, get getter) {
	w := p.w
	ctx, o := p.newOp(ctx, keys)
	floors := make([]int, len(keys))
	for i, key := range keys {
		w.Look(isAcked(key))
		floors[i] = w.source.acked(key)
	}
	values := make([]int, len(keys))
	if err := get(ctx, keys, values); err != nil {
		if !p.excused(ctx, err) {
			w.Failf("a read failed: %w", err)
		}
		return
	}
	for i, key := range keys {
		_, err := w.source.check(key, values[i], floors[i])
		w.Note("returns" + w.name(key, values[i]))
		if err != nil {
			w.Failf("a read %w", err)
		}
	}
	if len(keys) == 1 && !w.row.Timeout && w.store.leaser != nil {
		p.served(o)
	}
}

// excused reports whether a read may fail.
func (p *process) excused(ctx context.Context, err error) bool {
	return ctx.Err() != nil || p.w.row.Failing > 0 && errors.Is(err, errSource) ||
		p.w.row.Timeout && errors.Is(err, tarn.ErrLoadTimeout)
}

// served checks that a caller was not kept waiting for more than the load that ran when it asked and the next one.
// Another may begin in the same step as its answer comes. Who waits for several keys is not asked, for it misses
// loads of the one while it waits for the other; nor is it told by a plain store when a load began.
func (p *process) served(o *op) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, key := range o.keys {
		waited := 0
		for _, step := range p.loads[key][o.begun[key]:] {
			if step < p.w.Now() {
				waited++
			}
		}
		if waited > 1 {
			p.w.Failf("%d loads began while a caller waited", waited)
		}
	}
}

// get reads one key as the application does.
func (p *process) get(ctx context.Context, keys, values []int) error {
	switch {
	case p.back != nil:
		return one(ctx, keys, values, p.back.Get)
	case p.aside == nil:
		return one(ctx, keys, values, p.cache.Get)
	}
	return one(ctx, keys, values, func(ctx context.Context, key int) (int, error) {
		return p.aside.Fetch(ctx, key, p.loader())
	})
}

func one(ctx context.Context, keys, values []int, get func(ctx context.Context, key int) (int, error)) error {
	v, err := get(ctx, keys[0])
	if values[0] = v; errors.Is(err, tarn.ErrNotFound) {
		values[0], err = absent, nil
	}
	return err
}

func (p *process) getMany(ctx context.Context, keys, values []int) error {
	found, err := p.lookUp(ctx, keys)
	for i, key := range keys {
		v, ok := found[key]
		if values[i] = v; !ok {
			values[i] = absent
		}
	}
	return err
}

func (p *process) lookUp(ctx context.Context, keys []int) (map[int]int, error) {
	if p.aside != nil {
		return p.aside.FetchMany(ctx, keys, p.loader())
	}
	return tarn.GetMany(ctx, p.cache, keys)
}
