package crash

import "testing"

// TestJudge has a row for each way to break a promise, and one beside it that keeps it. Operation n begins at the instant
// n, and is acknowledged half an instant later; processes end at 10, 20 and 30.
func TestJudge(t *testing.T) {
	const unit = 1 << 20
	op := func(n int64) int64 { return n * unit << callerBits }
	ack := func(n int64) Message {
		return Message{Kind: Acknowledged, Key: 1, Op: op(n), End: n*unit + unit/2}
	}
	del := func(n int64) []Message {
		asked, done := ack(n), ack(n)
		asked.Kind, asked.N, done.N = Asked, 1, 1
		return []Message{asked, done}
	}
	version := func(seq, n int64) Version { return Version{Key: 1, Op: op(n), Epoch: 7, Seq: seq} }
	deleted := func(seq int64) Version { return Version{Key: 1, Deleted: true, Epoch: 7, Seq: seq} }
	appended := func(begin, end int64) Message { return Message{Kind: Appended, Begin: begin * unit, End: end * unit} }
	refused := ack(2)
	refused.Kind = Refused
	buffered := Terms{Loses: 3 * unit}

	for _, tt := range []struct {
		name     string
		writes   []Message
		appends  []Message
		versions []Version
		terms    Terms
		want     Rule
	}{
		{"a write that the database has", []Message{ack(1)}, nil, []Version{version(1, 1)}, Terms{}, ""},
		{"none that was acknowledged is missing", []Message{ack(1)}, nil, nil, Terms{}, Lost},
		{"a later one of the key will do", []Message{ack(1), ack(2)}, nil, []Version{version(2, 2)}, Terms{}, ""},
		{"an earlier one will not", []Message{ack(1), ack(2)}, nil, []Version{version(1, 1)}, Terms{}, Lost},
		{"one that nobody acknowledged may have come later", []Message{ack(5)}, nil, []Version{version(1, 4)}, Terms{}, ""},
		{"but not after its process had died", []Message{ack(15)}, nil, []Version{version(1, 4)}, Terms{}, Lost},
		{"a delete that the database has", del(3), nil, []Version{deleted(1)}, Terms{}, ""},
		{"a delete that came later will do", append(del(3), ack(2)), nil, []Version{deleted(1)}, Terms{}, ""},
		{"one that came earlier will not", append(del(3), ack(4)), nil, []Version{deleted(1)}, Terms{}, Lost},
		{"a delete that is missing", append(del(3), ack(2)), nil, []Version{version(1, 2)}, Terms{}, Lost},
		{"again is allowed", []Message{ack(1)}, nil, []Version{version(1, 1), version(1, 1)}, Terms{}, ""},
		{"unless there is a fence", []Message{ack(1)}, nil, []Version{version(1, 1), version(1, 1)}, Terms{Once: true}, Twice},
		{"an older number after a newer", nil, nil, []Version{version(2, 2), version(1, 1), version(3, 3)}, Terms{}, Backwards},
		{"an older write with a greater number", []Message{ack(1), ack(2)}, nil,
			[]Version{version(1, 2), version(2, 1), version(3, 2)}, Terms{}, Backwards},
		{"one number for two", nil, nil, []Version{version(1, 1), version(1, 2)}, Terms{}, Backwards},
		{"another journal has its own numbers", nil, nil,
			[]Version{version(5, 1), {Key: 1, Op: op(2), Epoch: 8, Seq: 1}}, Terms{}, ""},
		{"what was refused", []Message{refused}, nil, []Version{version(1, 2)}, Terms{}, Unwanted},
		{"a delete that nobody wrote", nil, nil, []Version{deleted(1)}, Terms{}, Stranger},
		{"a write from when no process ran", nil, nil, []Version{version(1, 40)}, Terms{}, Stranger},
		{"no number", nil, nil, []Version{version(0, 1)}, Terms{}, Stranger},

		{"what is young may be lost", []Message{ack(8)}, nil, nil, buffered, ""},
		{"what is old may not", []Message{ack(5)}, nil, nil, buffered, TooMuch},
		{"an append takes its time", []Message{ack(5)}, []Message{appended(1, 4)}, nil, buffered, ""},
		{"what an append has is not lost", []Message{ack(8)},
			[]Message{appended(1, 9), appended(9, 10)}, nil, buffered, Lost},
		{"one that had begun by then does not have it", []Message{ack(8)}, []Message{appended(7, 9)}, nil, buffered, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := &Record{Writes: tt.writes, Versions: tt.versions}
			for i := range int64(3) {
				r.Lives = append(r.Lives, Life{Begin: i * 10 * unit, End: (i + 1) * 10 * unit})
			}
			r.Lives[0].Appends = tt.appends
			for i := range r.Versions {
				r.Versions[i].N = int64(i) + 1
			}
			found, _ := Judge(r, tt.terms)
			for _, f := range found {
				if f.Rule != tt.want {
					t.Errorf("found %v", f)
				}
			}
			if tt.want != "" && len(found) == 0 {
				t.Errorf("found nothing, want %q", tt.want)
			}
		})
	}
}
