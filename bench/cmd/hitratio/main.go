// Command hitratio replays traces against caches and says how many of the requests each could answer.
//
//	go run ./bench/cmd/hitratio -format arc -caps 250,500,1000,2000 -opt oltp.arc.gz
//	go run ./bench/cmd/hitratio -format be64 -caps 250,1000 -caches tarn,otter corda.be64.gz lirs:loop.lirs.gz corda.be64.gz
//	go run ./bench/cmd/hitratio -opt
//
// The files are one trace, each the continuation of the one before it, and may be compressed with gzip. A file whose
// format is not that of -format has its own in front, with a colon. A key that is in two files is one key. Without a
// file, the traces are made up: zipf, zipf+scan, loop and zipf-shifting.
//
// Keys are whole numbers from 0 to 2^64-1; of keys that are none, write a hash. The formats are
//
//	lirs         text, a key a line; lines that begin with * are left out
//	arc          text, lines of "start count": the keys start to start+count-1; more fields behind are ignored
//	be64, be32   keys of 8 or 4 bytes, the highest first
//	oracle       libCacheSim's oracleGeneral: records of 24 bytes, of which the key is used
//
// A request is a hit if the cache has its key, and a miss puts the key into it. The table gives hits in percent of
// requests:
//
//	trace        requests  keys    entries  optimum  arc    lru
//	oltp.arc.gz    914145  186880      250    38.47  21.47  16.47
//
// The optimum is that of a cache that knows what will be asked for (Belady). It takes four bytes for each request.
// Without -opt it is not computed, nor are the different keys counted, and both columns have a dash.
//
// A bar on a terminal shows how far the replay is. A damaged or truncated file is an error that says where; then there
// is no table.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/tarncache/tarn/bench/replay"
	"github.com/tarncache/tarn/bench/trace"
)

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "hitratio:", err)
		os.Exit(1)
	}
}

type settings struct {
	format, caps, caches string
	csv                  bool
	requests             int64
	seed                 uint64
	plan                 replay.Plan
}

func run(args []string, stdout, stderr io.Writer) error {
	var s settings
	flags := s.flags()
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintln(stdout, "usage: hitratio [flags] -caps 250,500 [format:]FILE...\n       hitratio [flags]")
		flags.SetOutput(stdout)
		flags.PrintDefaults()
		return nil
	case err != nil:
		return fmt.Errorf("%w (-h lists the flags)", err)
	}
	if err := s.complete(flags.Args()); err != nil {
		return err
	}
	bar := newBar(stderr)
	s.plan.Progress = bar.show
	rows, err := s.plan.Run()
	bar.clear()
	if err != nil {
		return err
	}
	if s.csv {
		return replay.CSV(stdout, rows)
	}
	return replay.Table(stdout, rows)
}

// flags are where the settings come from. They are silent.
func (s *settings) flags() *flag.FlagSet {
	flags := flag.NewFlagSet("hitratio", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	flags.StringVar(&s.format, "format", "", "the format of files without one in front: "+strings.Join(trace.Formats(), ", "))
	flags.StringVar(&s.caps, "caps", "", "the capacities, in entries (default 1000,10000 if there is no file)")
	flags.StringVar(&s.caches, "caches", strings.Join(replay.DefaultCaches(), ","), "the caches")
	flags.BoolVar(&s.plan.Optimum, "opt", false, "compute the optimum")
	flags.IntVar(&s.plan.Runs, "runs", 1, "how often each cache is tried; the table gives the means")
	flags.BoolVar(&s.csv, "csv", false, "write a line of comma-separated values for each figure")
	flags.Int64Var(&s.requests, "requests", 1_000_000, "the length of traces that are made up")
	flags.Uint64Var(&s.seed, "seed", 1, "where the chance in traces that are made up begins")
	flags.Int64Var(&s.plan.Hold, "hold", 32<<20,
		"the requests, of 8 bytes each, that are kept in memory; a longer trace is read again each time")
	return flags
}

// complete makes a plan of the flags and the files.
func (s *settings) complete(args []string) error {
	if s.caps == "" && len(args) == 0 {
		s.caps = "1000,10000"
	}
	capacities, err := parseCapacities(s.caps)
	if err != nil {
		return err
	}
	if s.plan.Runs < 1 {
		return fmt.Errorf("-runs %d: there must be one", s.plan.Runs)
	}
	for name := range strings.SplitSeq(s.caches, ",") {
		s.plan.Caches = append(s.plan.Caches, strings.TrimSpace(name))
	}
	if len(args) == 0 {
		if s.requests < 1 {
			return fmt.Errorf("-requests %d: there must be one", s.requests)
		}
		for _, source := range trace.Synthetic(s.requests, s.seed) {
			s.plan.Traces = append(s.plan.Traces, replay.Traced{Source: source, Capacities: capacities})
		}
		return nil
	}
	source, err := parseFiles(s.format, args)
	s.plan.Traces = []replay.Traced{{Source: source, Capacities: capacities}}
	return err
}

func parseFiles(format string, args []string) (trace.Source, error) {
	var standing trace.Format
	if format != "" {
		var err error
		if standing, err = trace.ParseFormat(format); err != nil {
			return nil, fmt.Errorf("-format: %w", err)
		}
	}
	files := make([]trace.File, len(args))
	for i, arg := range args {
		var err error
		if files[i], err = trace.ParseFile(arg, standing); err != nil {
			return nil, fmt.Errorf("%w: say -format lirs for all files, or lirs:%s for this one", err, arg)
		}
	}
	return trace.Files(files...), nil
}

func parseCapacities(text string) ([]int, error) {
	if text == "" {
		return nil, fmt.Errorf("-caps is missing: the capacities, such as -caps 250,500")
	}
	var capacities []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-caps %s: %q is not a number of entries", text, field)
		}
		capacities = append(capacities, n)
	}
	return capacities, nil
}
