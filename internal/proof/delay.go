package proof

import (
	"slices"
	"sort"
	"time"
)

// Delays returns for each write that was acknowledged on one node how long another node went on returning older
// versions, sorted: from the acknowledgement to the begin of the last read that did, or 0. Writes after which the other
// node did not read until the next write are left out: they tell nothing.
func Delays(h *History, writer, reader int) []time.Duration {
	var delays []time.Duration
	for _, k := range split(h) {
		var acks steps
		for _, w := range k.writes {
			if w.Node == writer && w.Outcome == Acknowledged {
				acks = append(acks, step{w.End, k.changes[w.Op].Version})
			}
		}
		acks.rise()
		var reads []Read
		for _, r := range k.reads {
			if r.Node == reader {
				reads = append(reads, r)
			}
		}
		slices.SortFunc(reads, func(a, b Read) int { return int(a.Begin - b.Begin) })
		delays = append(delays, k.delays(acks, reads)...)
	}
	slices.Sort(delays)
	return delays
}

func (k *keyHistory) delays(acks steps, reads []Read) (delays []time.Duration) {
	for i, ack := range acks {
		next := int64(1<<63 - 1)
		if i+1 < len(acks) {
			next = acks[i+1].at
		}
		from := sort.Search(len(reads), func(n int) bool { return reads[n].Begin > ack.at })
		to := sort.Search(len(reads), func(n int) bool { return reads[n].Begin >= next })
		if from >= to {
			continue
		}
		delay := time.Duration(0)
		for _, r := range reads[from:to] {
			if r.Op != 0 && k.changes[r.Op].Version < ack.version {
				delay = time.Duration(r.Begin - ack.at)
			}
		}
		delays = append(delays, delay)
	}
	return delays
}

// Quantile returns the q-th quantile of what is sorted, or 0 of nothing.
func Quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[min(int(q*float64(len(sorted))), len(sorted)-1)]
}
