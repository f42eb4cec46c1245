package replay_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tarncache/tarn/bench/replay"
)

func rows() []replay.Row {
	return []replay.Row{
		{Trace: "a, b", Capacity: 100, Requests: 1000, Known: true, Keys: 400, Optimum: 500, Cells: []replay.Cell{
			{Cache: "tarn", Hits: 333, Least: 330, Most: 336, Held: 100},
			{Cache: "other", Hits: 510, Least: 510, Most: 510, Held: 101},
		}},
		{Trace: "a, b", Capacity: 1000, Requests: 1000, Known: true, Keys: 400, Optimum: 600, Cells: []replay.Cell{
			{Cache: "tarn", Hits: 600, Least: 600, Most: 600, Held: 400},
			{Cache: "other", Hits: 0, Held: 400},
		}},
		{Trace: "c", Capacity: 100, Requests: 3, Cells: []replay.Cell{
			{Cache: "tarn", Hits: 1, Least: 1, Most: 1, Held: 2},
			{Cache: "other", Hits: 2, Least: 2, Most: 2, Held: 2},
		}},
	}
}

const wantTable = `
  trace  requests  keys  entries  optimum    tarn   other
   a, b      1000   400      100    50.00  33.30   51.00*
                            1000    60.00  60.00    0.00 
      c         3     -      100        -  33.33   66.67 
* held more entries than its capacity, by 1 % or more
`

func TestTable(t *testing.T) {
	var b strings.Builder
	if err := replay.Table(&b, rows()); err != nil || "\n"+b.String() != wantTable {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := replay.Table(&b, nil); err != nil || b.String() != "" {
		t.Errorf("no rows: %v %q", err, b.String())
	}
	if err := replay.Table(full{}, rows()); !errors.Is(err, errFull) {
		t.Errorf("a table that cannot be written: %v", err)
	}
}

const wantCSV = `
trace,requests,keys,entries,cache,hits,percent,least,most,held
"a, b",1000,400,100,optimum,500,50.000,50.000,50.000,
"a, b",1000,400,100,tarn,333,33.300,33.000,33.600,100
"a, b",1000,400,100,other,510,51.000,51.000,51.000,101
"a, b",1000,400,1000,optimum,600,60.000,60.000,60.000,
"a, b",1000,400,1000,tarn,600,60.000,60.000,60.000,400
"a, b",1000,400,1000,other,0,0.000,0.000,0.000,400
c,3,,100,tarn,1,33.333,33.333,33.333,2
c,3,,100,other,2,66.667,66.667,66.667,2
`

func TestCSV(t *testing.T) {
	var b strings.Builder
	if err := replay.CSV(&b, rows()); err != nil || "\n"+b.String() != wantCSV {
		t.Errorf("%v\n%s", err, b.String())
	}
	if err := replay.CSV(full{}, rows()); !errors.Is(err, errFull) {
		t.Errorf("a table that cannot be written: %v", err)
	}
}

type full struct{}

var errFull = errors.New("full")

func (full) Write([]byte) (int, error) { return 0, errFull }
