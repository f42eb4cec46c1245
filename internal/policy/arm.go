package policy

import "sync/atomic"

// arm is one setting of the policy. What differs between workloads is how much room what is new deserves, and what it
// has to prove before it may stay.
type arm struct {
	window  uint32 // the window's share of the limit, in 1024ths
	promote uint32 // uses in the window that lead straight to the main queue; 0: none are needed
	duels   bool   // who has fewer may duel with the main queue's victim
	margin  uint64 // by how much more it has to have been used, by the sketch, than the victim
	ghosts  bool   // who left the window for good, and is wanted again soon, goes straight to the main queue
}

// arms are the settings that the lab tries. No workload's best is far from all of them:
var arms = [...]arm{
	// W-TinyLFU with the smallest window, and the one that loops and scans cannot move: on equal terms what is there
	// stays, and terms are equal within one use, since of two keys of a loop one has been used in this round.
	{window: 10, promote: 2, duels: true, margin: 1},
	// W-TinyLFU with a large window, where most uses come soon after another.
	{window: 307, promote: 2, duels: true},
	// W-TinyLFU with ghosts.
	{window: 10, promote: 2, duels: true, ghosts: true},
	// S3-FIFO (Yang, Zhang, Qiu, Yue, Rashmi: FIFO Queues are All You Need for Cache Eviction, SOSP 2023).
	{window: 102, promote: 2, ghosts: true},
	// CLOCK alone: whatever is new may stay as long as what is old.
	{window: 102},
}

const armCount = len(arms)

// beats reports whether an entry that leaves the window deserves the place of the main queue's victim, by what the
// sketch knows of both.
func (a *arm) beats(entry, victim uint64) bool { return a.duels && entry > victim+a.margin }

// share returns the window's part of a capacity, at least 1.
func (a *arm) share(capacity uint64) uint64 {
	n := uint64(a.window) // the two terms cannot overflow, as a product would
	return max(capacity>>10*n+capacity&1023*n>>10, 1)
}

// Choice is the setting that the policies of one cache's parts share. One of them has the lab, and chooses; the others
// follow at their next Insert. The zero value is ready, and all its methods may be called at the same time.
type Choice struct{ arm atomic.Uint32 }

// Arm returns the number of the setting that was chosen.
func (c *Choice) Arm() int { return int(c.arm.Load()) }
