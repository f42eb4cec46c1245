package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
)

// settings are what the flags say.
type settings struct {
	ops   int
	reads float64
	keys  int
	seed  uint64
	redis string // its address; empty: none
}

// entries is the size of the cache: a quarter of the products, so that it has to choose.
func (s settings) entries() int { return max(s.keys/4, 1) }

const maxOps, maxKeys = 10_000_000, 1_000_000

// parse reads the flags. It has told stderr how to use them if it returns flag.ErrHelp.
func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.IntVar(&s.ops, "ops", 200_000, "`number` of operations in each run")
	flags.Float64Var(&s.reads, "reads", 0.9, "`share` of the operations that are reads, from 0 to 1")
	flags.IntVar(&s.keys, "keys", 20_000, "`number` of products in the database")
	flags.Uint64Var(&s.seed, "seed", 1, "`number` that the workload is made from; the same one makes the same")
	flags.StringVar(&s.redis, "redis", "",
		"`address` of a Redis that is the cache, with copies in memory, as in localhost:6379 (default: memory alone)")

	flags.SetOutput(io.Discard)
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(stderr, "Usage: go run ./examples/quickstart [flags]")
			flags.SetOutput(stderr)
			flags.PrintDefaults()
		}
		return s, err
	}
	if flags.NArg() > 0 {
		return s, fmt.Errorf("flags only, please; not %q", strings.Join(flags.Args(), " "))
	}
	return s, s.validate()
}

func (s settings) validate() error {
	switch {
	case s.ops < 1 || s.ops > maxOps:
		return fmt.Errorf("-ops is %d, and should be from 1 to %s", s.ops, grouped(maxOps))
	case s.keys < 1 || s.keys > maxKeys:
		return fmt.Errorf("-keys is %d, and should be from 1 to %s", s.keys, grouped(maxKeys))
	case !(s.reads >= 0 && s.reads <= 1): // written so that NaN is refused too
		return fmt.Errorf("-reads is %v, and should be from 0 to 1", s.reads)
	}
	return nil
}
