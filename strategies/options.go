package strategies

import (
	"context"
	"fmt"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// ReadOption is an option of [LookAside] and [ReadThrough].
type ReadOption interface{ applyRead(*readConfig) }

// WriteOption is an option of [WriteThrough], [WriteAround] and [WriteBack].
type WriteOption interface{ applyWrite(*writeConfig) }

// Option is an option of every strategy.
type Option interface {
	ReadOption
	WriteOption
}

const (
	defaultLoadTimeout   = 30 * time.Second
	defaultMaxBatch      = 1000
	defaultLeaseWait     = time.Second
	defaultHoldLife      = time.Minute
	defaultSettleTimeout = 5 * time.Second
)

// common is what every strategy can be told.
type common struct {
	observer  tarn.Observer
	eventKeys bool
}

type readConfig struct {
	common
	policy       ttl.Policy
	tags         any // func(K, V) []string; nil: none
	loadTimeout  time.Duration
	softTimeout  time.Duration // 0: none
	hardTimeout  time.Duration // 0: none
	storeTimeout time.Duration // 0: none
	gather       time.Duration // how long keys to be refreshed are gathered; 0: not
	loadContext  func(context.Context) context.Context
	maxLoads     int
	maxBatch     int
	leaseWait    time.Duration
	holdLife     time.Duration
	blindFills   bool
	withoutHolds bool

	holdsRequired bool
}

type writeConfig struct {
	common
	settleTimeout time.Duration
	leaveCopy     bool
	sharedStore   bool
}

func newReadConfig(opts []ReadOption) readConfig {
	c := readConfig{
		loadTimeout: defaultLoadTimeout,
		maxBatch:    defaultMaxBatch,
		leaseWait:   defaultLeaseWait,
		holdLife:    defaultHoldLife,
	}
	for _, o := range opts {
		if o == nil {
			panic("strategies: an option is nil")
		}
		o.applyRead(&c)
	}
	if c.withoutHolds && c.holdsRequired {
		panic("strategies: WithoutHolds and WithHoldsRequired exclude each other")
	}
	c.agree()
	return c
}

// agree panics if options contradict each other.
func (c *readConfig) agree() {
	switch d := c.softTimeout; {
	case d > c.loadTimeout:
		panic(fmt.Sprintf("strategies: WithSoftTimeout %v is above WithLoadTimeout %v", d, c.loadTimeout))
	case c.hardTimeout > c.loadTimeout:
		panic(fmt.Sprintf("strategies: WithHardTimeout %v is above WithLoadTimeout %v", c.hardTimeout, c.loadTimeout))
	case c.hardTimeout > 0 && d > c.hardTimeout:
		panic(fmt.Sprintf("strategies: WithSoftTimeout %v is above WithHardTimeout %v", d, c.hardTimeout))
	case d > 0 && c.policy.StaleIfError == 0:
		panic("strategies: WithSoftTimeout needs Policy.StaleIfError: without it there is no old value to serve")
	case c.blindFills && d > 0:
		panic("strategies: WithSoftTimeout and WithBlindFills exclude each other")
	case c.blindFills && c.policy.Throttle > 0:
		panic("strategies: Policy.Throttle and WithBlindFills exclude each other: without a lease no old value is stored again")
	}
	switch d := c.storeTimeout; {
	case d >= c.loadTimeout:
		panic(fmt.Sprintf("strategies: WithStoreTimeout %v is not below WithLoadTimeout %v: no time would be left for the source",
			d, c.loadTimeout))
	case c.hardTimeout > 0 && d >= c.hardTimeout:
		panic(fmt.Sprintf("strategies: WithStoreTimeout %v is not below WithHardTimeout %v: nobody would wait for the source",
			d, c.hardTimeout))
	}
}

func newWriteConfig(opts []WriteOption) writeConfig {
	c := writeConfig{settleTimeout: defaultSettleTimeout}
	for _, o := range opts {
		if o == nil {
			panic("strategies: an option is nil")
		}
		o.applyWrite(&c)
	}
	return c
}

// mustBePositive panics if what an option was given is not.
func mustBePositive[T int | time.Duration](option string, v T) {
	if v <= 0 {
		panic(fmt.Sprintf("strategies: %s: not positive: %v", option, v))
	}
}

// observe tells the observer, if there is one.
func (c *common) observe(ctx context.Context, e tarn.Event) {
	if c.observer != nil {
		c.observer.Observe(ctx, e)
	}
}

// eventKey is what an event's Key shows of key: nothing, unless it was asked for. Call it only with an observer
// at hand: it allocates.
func eventKey[K comparable](c *common, key K) any {
	if !c.eventKeys {
		return nil
	}
	return key
}

// observeKeys tells the observer, if there is one, of an event that concerns keys.
func observeKeys[K comparable](ctx context.Context, c *common, e tarn.Event, keys ...K) {
	if c.observer == nil || len(keys) == 0 {
		return
	}
	if e.N = len(keys); e.N == 1 {
		e.Key = eventKey(c, keys[0])
	}
	c.observer.Observe(ctx, e)
}

type readOption func(*readConfig)

func (o readOption) applyRead(c *readConfig) { o(c) }

type writeOption func(*writeConfig)

func (o writeOption) applyWrite(c *writeConfig) { o(c) }

type option func(*common)

func (o option) applyRead(c *readConfig)   { o(&c.common) }
func (o option) applyWrite(c *writeConfig) { o(&c.common) }

// WithObserver tells o what happens. Left out, nothing is told, and nothing is spent on it. It panics if o is nil.
func WithObserver(o tarn.Observer) Option {
	if isNil(o) {
		panic("strategies: WithObserver: o is nil")
	}
	return option(func(c *common) { c.observer = o })
}

// WithEventKeys puts the key into each event that concerns one key; see [tarn.Event]. Left out, events carry none: keys
// are often personal data, and events end up in logs.
func WithEventKeys() Option {
	return option(func(c *common) { c.eventKeys = true })
}

// WithTTL sets how long values live. Left out, the zero Policy applies: a value lives until the store evicts it,
// and absence is not remembered. It panics if the policy makes no sense; see [ttl.Policy.Validate].
func WithTTL(policy ttl.Policy) ReadOption {
	if err := policy.Validate(); err != nil {
		panic(fmt.Sprintf("strategies: WithTTL: %v", err))
	}
	return readOption(func(c *readConfig) { c.policy = policy })
}

// WithLoadTimeout bounds how long one load may take, however long its callers would wait. Left out, it is 30
// seconds. It panics if d is not positive.
func WithLoadTimeout(d time.Duration) ReadOption {
	mustBePositive("WithLoadTimeout", d)
	return readOption(func(c *readConfig) { c.loadTimeout = d })
}

// WithSoftTimeout bounds how long a caller waits for a load who could be given an old value: one within the policy's
// StaleIfError, which it needs. Then the caller gets that, and so does at once whoever comes while the load still runs; the
// load goes on by itself, within its own time limit, and what it brings is stored. No more than 256 loads go on so at a
// time, with those of the background; above that they end with their last caller. Left out, callers wait for as long as a
// load may take; see [WithLoadTimeout]. It panics if d is not positive, and the strategy's constructor if d is above the
// time limit of a load, or there is no StaleIfError.
func WithSoftTimeout(d time.Duration) ReadOption {
	mustBePositive("WithSoftTimeout", d)
	return readOption(func(c *readConfig) { c.softTimeout = d })
}

// WithHardTimeout bounds how long any caller waits for a load: then it gets an error that is [tarn.ErrLoadTimeout], or an
// old value if the policy's StaleIfError has one. The load goes on by itself, within its own time limit, which is that of
// [WithLoadTimeout], and what it brings is stored, so that whoever comes later finds it. No more than 256 loads go on so at
// a time, with those of the background; above that they end with their last caller. A load ends with its last caller as well
// if all of them left since their own contexts ended. Left out, callers wait for as long as a load may take. It panics if d
// is not positive, and the strategy's constructor if d is above the time limit of a load, or below WithSoftTimeout.
func WithHardTimeout(d time.Duration) ReadOption {
	mustBePositive("WithHardTimeout", d)
	return readOption(func(c *readConfig) { c.hardTimeout = d })
}

// WithStoreTimeout bounds how long the store is waited for, each time that it is asked on the way to a value: to read, to
// lease, to fill. A store that takes longer has failed with [tarn.ErrStoreTimeout]: the source answers, if there is one,
// and the observer is told. It needs a store that minds its context, and is of use with one behind a network. What
// tells the store of a write has limits of its own: [WithSettleTimeout], and the caller's context. Left out, the store is
// waited for as long as the caller's context, or a load's time limit, allows. It panics if d is not positive, and the
// strategy's constructor if d is not below the time limit of a load and WithHardTimeout: the source could not answer.
func WithStoreTimeout(d time.Duration) ReadOption {
	mustBePositive("WithStoreTimeout", d)
	return readOption(func(c *readConfig) { c.storeTimeout = d })
}

// WithRefreshGather gathers the keys that are to be reloaded in the background for a moment, of which d is the length, and
// loads them by one LoadMany; 5 to 50 milliseconds are typical. It is for [ReadThrough], which panics if its loader is no
// [tarn.BatchLoader], if the policy reloads nothing in the background, or if d is above the share of Fresh that is left
// after RefreshAfter. [LookAside] ignores it. The load has the values of the first caller's context. What is being
// gathered is loaded at once when a caller has to wait for one of the keys. Left out, each key is reloaded by itself and at
// once. It panics if d is not positive.
func WithRefreshGather(d time.Duration) ReadOption {
	mustBePositive("WithRefreshGather", d)
	return readOption(func(c *readConfig) { c.gather = d })
}

// WithLoadContext chooses which values of a caller's context a load sees. A load is shared by several callers and
// runs on a context made from that of the first one, without its deadline and cancellation; f is given that
// context and returns the one to load with. Left out, all values are kept. It panics if f is nil.
func WithLoadContext(f func(ctx context.Context) context.Context) ReadOption {
	if f == nil {
		panic("strategies: WithLoadContext: f is nil")
	}
	return readOption(func(c *readConfig) { c.loadContext = f })
}

// WithMaxLoads bounds how many loads run at once; a batch is one load. Those above the bound wait within their
// time limit. A load that a loader asks for in turn does not count: it could otherwise wait for its own parent. Left
// out, there is no bound. It panics if n is not positive.
func WithMaxLoads(n int) ReadOption {
	mustBePositive("WithMaxLoads", n)
	return readOption(func(c *readConfig) { c.maxLoads = n })
}

// WithMaxBatch bounds how many keys one LoadMany is asked for; more are split. Left out, it is 1000. It panics if
// n is not positive.
func WithMaxBatch(n int) ReadOption {
	mustBePositive("WithMaxBatch", n)
	return readOption(func(c *readConfig) { c.maxBatch = n })
}

// WithLeaseWait bounds how long a load waits where somebody else is loading its key: another process, or another cache on
// the same store. It asks the store again from time to time, and goes on as soon as it finds a value, or the lease free; a
// stale value that the policy lets it serve is served at once. When the bound has passed it loads by itself and stores
// nothing. Left out, it is a second, and never more than half of what [WithLoadTimeout] allows.
//
// 0 switches the wait off, for a source that had rather be asked more often than answer later: then every cache on the
// store may load a cold key at the same time. A long wait is paid where the other has died, or takes longer: each cache
// waits for it once, and later loads of the key wait for that one no more. It panics if d is negative.
func WithLeaseWait(d time.Duration) ReadOption {
	if d < 0 {
		panic(fmt.Sprintf("strategies: WithLeaseWait: negative: %v", d))
	}
	return readOption(func(c *readConfig) { c.leaseWait = d })
}

// WithHoldLife sets after which time a hold ends by itself, should its writer never settle it. It should exceed
// the longest write to the source: a write that takes longer is still right, but until it is settled readers may
// cache the value that it replaces. Left out, it is one minute. It panics if d is not positive.
func WithHoldLife(d time.Duration) ReadOption {
	mustBePositive("WithHoldLife", d)
	return readOption(func(c *readConfig) { c.holdLife = d })
}

// WithBlindFills stores what was loaded without asking whether the key changed meanwhile, and lets callers share
// any load of their key that runs. It saves the lease. It gives up that a read never returns to the past: a value
// that was read from the source before a write and stored after it stays until it expires. Nor is a source that fails
// left alone: an old value, which may have been removed meanwhile, is served to each caller but not stored again. So it
// excludes a policy's Throttle.
func WithBlindFills() ReadOption {
	return readOption(func(c *readConfig) { c.blindFills = true })
}

// WithoutHolds lets a write invalidate the key after the source was written, without holding it before. It saves
// the hold. It gives up that readers, while the source is being written, keep nothing: what they cache between the
// commit and the invalidation is gone soon after, but if the process dies in between, the old value stays until it
// expires. The same happens where two caches on one store write one key at once and invalidate in the other order.
func WithoutHolds() ReadOption {
	return readOption(func(c *readConfig) { c.withoutHolds = true })
}

// WithHoldsRequired refuses a write whose keys cannot be held because the store fails: it returns the store's error and
// the source is not written; write-back tries such a write again, as if the source had failed. Left out, the write goes
// on, and where the store cannot be told of it afterwards either, this cache goes around the store for the key until it
// can be told; others on the store may return the older value until then. Choose it where a write that does not happen is
// better than a read that is too old. It gives up that the source is written while the store is down. It excludes
// [WithoutHolds].
func WithHoldsRequired() ReadOption {
	return readOption(func(c *readConfig) { c.holdsRequired = true })
}

// WithSettleTimeout bounds how long a write waits for the cache to be told of its outcome, after the source was
// written. It runs even if the caller has gone. Left out, it is 5 seconds. It panics if d is not positive.
func WithSettleTimeout(d time.Duration) WriteOption {
	mustBePositive("WithSettleTimeout", d)
	return writeOption(func(c *writeConfig) { c.settleTimeout = d })
}

// WithCopyLeft makes [WriteAround] the classic form: a write goes to the source and the cached copy stays as it is
// until it expires or is evicted. It saves the hold and the drop. It gives up that a read never returns to the past:
// after Set and Delete, Get returns the old value for as long as the policy lets it live. WriteThrough panics and
// WriteBack returns an error if given it.
func WithCopyLeft() WriteOption {
	return writeOption(func(c *writeConfig) { c.leaveCopy = true })
}

// WithSharedStore lets [WriteBack] write back over a store that other processes share, such as one on Redis. Without it,
// WriteBack returns an error there. It gives up that a read in another process never returns to the past: what is pending
// is seen in this process alone, so the others read, and keep, what the source had before, until it is written there. Its
// order holds only if no other process writes the same keys. Other strategies ignore it.
func WithSharedStore() WriteOption {
	return writeOption(func(c *writeConfig) { c.sharedStore = true })
}
