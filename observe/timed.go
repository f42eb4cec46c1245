package observe

import "github.com/tarncache/tarn"

// Timed returns what an event tells of the time that the source took, for histograms: op is "load" or "write", the flushes
// of write-back being writes, and outcome is "success" or "error". ok is false of an event that tells nothing of it. A call
// for many keys that succeeded for some and failed for others is told twice, once with each outcome.
func Timed(e tarn.Event) (op, outcome string, ok bool) {
	switch e.Kind {
	case tarn.EventLoaded:
		return "load", "success", true
	case tarn.EventLoadFailed:
		return "load", "error", true
	case tarn.EventWritten, tarn.EventFlushed: // a duration of 0 is none
		return "write", "success", e.Duration > 0
	case tarn.EventWriteFailed: // not EventRetried, which follows it
		return "write", "error", e.Duration > 0
	}
	return "", "", false
}
