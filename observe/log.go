package observe

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/tarncache/tarn"
)

// LogOptions say how [Log] logs. The zero value is a good one.
type LogOptions struct {
	// Every is how long a kind of event is kept quiet after it was logged; the next record of it says how many were left
	// out. Zero: a second. Below zero: every event is logged.
	Every time.Duration

	// Level chooses the level of an event, and whether it is logged at all. Nil: as [LogLevel] does.
	Level func(e tarn.Event) (slog.Level, bool)
}

// LogLevel is the level at which failures are logged, and false for what is no failure. What may cost data or show old
// values is an error: writes that were given up, a journal that takes none, functions of the application that panicked, and a
// cache that could not be told of a write. What is tried again, or answered by somebody else, is a warning, as is whatever
// else comes with an error; that a write is tried again is not told beside its failure.
func LogLevel(e tarn.Event) (slog.Level, bool) {
	switch e.Kind {
	case tarn.EventDeadLettered, tarn.EventJournalFailed, tarn.EventPanicked, tarn.EventMaybeStale:
		return slog.LevelError, true
	case tarn.EventLoadFailed, tarn.EventStoreFailed, tarn.EventWriteFailed, tarn.EventUndecodable:
		return slog.LevelWarn, true
	case tarn.EventRetried:
		return 0, false
	default:
		return slog.LevelWarn, e.Err != nil
	}
}

// Log returns an Observer that logs what went wrong, with the context of whoever met it, and at most so often that an
// outage does not fill the disk. A record's message is "cache: " and the kind in words; its attributes are those of
// [tarn.Event.LogValue], which never has the key, and "unlogged", how many events of the kind were left out since the last
// record of it. What the error of a source says is the application's to answer for. It panics if logger is nil.
func Log(logger *slog.Logger, o LogOptions) tarn.Observer {
	if logger == nil {
		panic("observe: Log: logger is nil")
	}
	if o.Level == nil {
		o.Level = LogLevel
	}
	if o.Every == 0 {
		o.Every = time.Second
	}
	return &log{logger: logger, options: o, start: time.Now()}
}

type log struct {
	logger  *slog.Logger
	options LogOptions
	start   time.Time
	kinds   [256]struct {
		next     atomic.Int64 // from when on an event is logged again, since start
		unlogged atomic.Uint64
	}
}

func (l *log) Observe(ctx context.Context, e tarn.Event) {
	level, ok := l.options.Level(e)
	if !ok || !l.logger.Enabled(ctx, level) || !l.due(e.Kind) {
		return
	}
	attrs := e.LogValue().Group()
	if n := l.kinds[e.Kind].unlogged.Swap(0); n > 0 {
		attrs = append(attrs, slog.Uint64("unlogged", n))
	}
	l.logger.LogAttrs(ctx, level, fmt.Sprintf("cache: %v", e.Kind), attrs...)
}

// due reports whether an event is to be logged now, and counts it if not.
func (l *log) due(kind tarn.EventKind) bool {
	if l.options.Every < 0 {
		return true
	}
	k := &l.kinds[kind]
	now, next := int64(time.Since(l.start)), k.next.Load()
	if now >= next && k.next.CompareAndSwap(next, now+int64(l.options.Every)) {
		return true
	}
	k.unlogged.Add(1)
	return false
}
