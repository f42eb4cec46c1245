package crash

import "time"

// Spec says what a child does.
type Spec struct {
	Place   Place
	Journal string // its file; empty: there is none
	Start   int64  // when the trial began, by proof.Now; operations are numbered from it
	Seed    uint64
	Break   string // how the journal misbehaves; see Breaks

	Count Count // instead of all below, if it says so

	SyncEvery    time.Duration // 0: each write is acknowledged after it is durable
	MaxPending   int           // 0: as write-back has it, and so for those below
	MaxBatch     int
	MaxDelay     time.Duration
	MaxAttempts  int
	WriteTimeout time.Duration
	WriteThrough bool // what becomes of writes when the table is full; false: they wait

	Fence string        // "", "fence", or "late" and "late fence" for statements that outlive their process
	Late  time.Duration // how long a late statement takes at most
	Fault Fault

	Load Load
}

// Load is what the callers of a child do until it is closed or killed.
type Load struct {
	Writers  int // goroutines; 0: nobody does anything
	Readers  int // as many that read; what they read is told
	Keys     int64
	Batch    float64       // which part of the writes is of several keys
	Deletes  float64       // which part of the writes are deletes
	Cancel   float64       // which part has so little time that it may not end
	Patience time.Duration // of the others; 0: 20 seconds
	Rest     time.Duration // between two calls, at most
	Fill     int           // bytes that a value has besides
}

// Numbers are given to operations so that they tell when they began, and who called.
const callerBits = 8

// number returns the number of the next operation of a caller whose last one had the number last.
func (s *Spec) number(now int64, caller int, last int64) int64 {
	return max((now-s.Start)<<callerBits|int64(caller), last+1<<callerBits)
}

// begin is when an operation began.
func begin(start, op int64) int64 { return start + op>>callerBits }
