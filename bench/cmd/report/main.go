// Command report measures tarn beside its peers and writes what it found.
//
//	go run ./bench/cmd/report -o bench            run everything, ten rounds, and write bench/REPORT.md and its charts
//	go run ./bench/cmd/report -quick              a look at everything in a minute or two, on standard output
//	go run ./bench/cmd/report -bench 'Load/keys=string/life=none/cache=(tarn|otter)/reads=75'
//	                                              one row, three rounds, on standard output
//	go run ./bench/cmd/report -bench Replay -traces DIR
//	                                              the hit ratios alone
//	go run ./bench/cmd/report -raw FILE -o bench  write the report again from the runs that an earlier one kept
//	go run ./bench/cmd/report -raw FILE -before FILE -after FILE -o bench
//	                                              with runs of an earlier commit and of this one, made by turns
//	go run ./bench/cmd/report -keep FILE -resume -o bench
//	                                              go on with one that was interrupted, and kept its runs there
//
// It builds the benchmarks once and runs them in rounds. A round runs every benchmark for a short time, so that a
// machine that is slower for a while is so for all of them. Growth and Outage, which take long, run in every second
// round. Hit ratios are of the traces in the folder that -traces names, as far as they are there; without it they are
// of synthetic ones. With -keep the runs are kept in a file as they end, in the format of go test -bench, which benchstat
// reads too.
package main

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

type settings struct {
	rounds int
	quick  bool
	only   string
	raw    string
	before string
	after  string
	keep   string
	resume bool
	out    string
	traces string
}

// command is how the report is made by others, whose folders are elsewhere.
func (s settings) command() string {
	c := fmt.Sprintf("go run ./bench/cmd/report -rounds %d", s.rounds)
	if s.quick {
		c += " -quick"
	}
	if s.only != "" {
		c += " -bench '" + s.only + "'"
	}
	if s.traces != "" {
		c += " -traces FOLDER"
	}
	return c
}

func main() {
	var s settings
	flag.IntVar(&s.rounds, "rounds", 0, "how often every benchmark is run (default 10; 3 with -quick or -bench)")
	flag.BoolVar(&s.quick, "quick", false, "shorter runs, fewer entries, no single processor")
	flag.StringVar(&s.only, "bench", "", "run only benchmarks that match, as with go test -bench; Replay replays the traces")
	flag.StringVar(&s.raw, "raw", "", "a file of earlier runs to report on, instead of running anything")
	flag.StringVar(&s.before, "before", "", "a file of runs of an earlier commit, to compare the hot paths with")
	flag.StringVar(&s.after, "after", "", "a file of runs that were made by turns with those of -before (default: the report's)")
	flag.StringVar(&s.keep, "keep", "", "the file that the runs are kept in, each as it ends")
	flag.BoolVar(&s.resume, "resume", false, "go on with the runs in the -keep file, of a report that was interrupted")
	flag.StringVar(&s.out, "o", "", "the folder that REPORT.md and charts are written to (default: standard output)")
	flag.StringVar(&s.traces, "traces", os.Getenv("TRACES"), "the folder of traces (default $TRACES)")
	flag.Parse()
	if s.rounds == 0 {
		s.rounds = 10
		if s.quick || s.only != "" {
			s.rounds = 3
		}
	}
	if err := run(s); err != nil {
		fmt.Fprintln(os.Stderr, "report:", err)
		os.Exit(1)
	}
}

func run(s settings) error {
	if flag.NArg() > 0 {
		return fmt.Errorf("there are arguments besides the flags: %q", flag.Args())
	}
	if _, err := regexp.Compile(s.only); err != nil {
		return fmt.Errorf("-bench: %w", err)
	}
	if s.resume && (s.keep == "" || s.raw != "") {
		return errors.New("-resume goes with -keep, not with -raw")
	}
	raw, err := s.runs()
	if err != nil {
		return err
	}
	runs, err := readRuns(bytes.NewReader(raw))
	if err != nil {
		return err
	}
	turns, err := s.turns(runs)
	if err != nil {
		return err
	}
	if s.out == "" {
		_, err := os.Stdout.WriteString(renderBeside(runs, turns, nil))
		return err
	}
	charts, err := drawCharts(runs)
	if err != nil {
		return err
	}
	return write(s.out, renderBeside(runs, turns, charts), charts)
}

// runs returns what the benchmarks wrote, now or before.
func (s settings) runs() ([]byte, error) {
	if s.raw != "" {
		return os.ReadFile(s.raw)
	}
	j, err := s.journal()
	if err != nil {
		return nil, err
	}
	err = j.close(s.measure(j))
	return j.raw.Bytes(), err
}

// measure runs what has not been run yet.
func (s settings) measure(j *journal) error {
	if err := s.bench(j); err != nil {
		return err
	}
	return s.replay(j)
}

// write writes the report and its charts, and removes charts that are no longer drawn.
func write(dir, report string, charts []chart) error {
	folder := filepath.Join(dir, "charts")
	if err := os.MkdirAll(folder, 0o777); err != nil {
		return err
	}
	old, err := filepath.Glob(filepath.Join(folder, "*.svg"))
	if err != nil {
		return err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return err
		}
	}
	for _, c := range charts {
		if err := os.WriteFile(filepath.Join(folder, c.file), c.svg, 0o666); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "REPORT.md"), []byte(report), 0o666)
}
