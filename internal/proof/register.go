package proof

import (
	"math"
	"time"

	"github.com/anishathalye/porcupine"
)

// Linearizable reports whether each key of h behaves as a register: whether all that was done to it can be put in one
// order, with each operation at an instant between its begin and its end, so that each read returns what the last write
// before it wrote. That is more than Check asks for, and it asks for no versions. A write that failed may have come at
// any time after it began, or never. It gives up, with decided false, when limit has passed.
//
// (Horn and Kroening, Faster linearizability checking via P-compositionality, FORTE 2015, as porcupine has it.)
func Linearizable(h *History, limit time.Duration) (ok, decided bool) {
	ops := make([]porcupine.Operation, 0, h.Operations())
	client := 0
	add := func(begin, end int64, input registerInput, output int64) {
		ops = append(ops, porcupine.Operation{ClientId: client, Input: input, Call: begin, Output: output, Return: end})
		client++
	}
	for _, w := range h.Writes {
		input, end := registerInput{key: w.Key, write: true, op: w.Op}, w.End
		if w.Deleted {
			input.op = 0
		}
		if w.Outcome == Failed {
			end = math.MaxInt64
		}
		add(w.Begin, end, input, 0)
	}
	for _, r := range h.Reads {
		add(r.Begin, r.End, registerInput{key: r.Key}, r.Op)
	}
	result := porcupine.CheckOperationsTimeout(register, ops, limit)
	return result != porcupine.Illegal, result != porcupine.Unknown
}

type registerInput struct {
	key   int64
	write bool
	op    int64 // what is written; 0: an absence
}

var register = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		keys := make(map[int64][]porcupine.Operation)
		for _, op := range all {
			key := op.Input.(registerInput).key
			keys[key] = append(keys[key], op)
		}
		parts := make([][]porcupine.Operation, 0, len(keys))
		for _, part := range keys {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		in := input.(registerInput)
		if in.write {
			return true, in.op
		}
		return state == output, state
	},
}
