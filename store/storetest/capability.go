package storetest

import (
	"context"
	"strings"

	"github.com/tarncache/tarn"
)

// Capability is something that a store may offer beyond Get, Set and Delete, or several such things or-ed together.
type Capability uint16

const (
	BatchStore Capability = 1 << iota // tarn.BatchStore
	Adder                             // tarn.Adder
	Toucher                           // tarn.Toucher
	Computer                          // tarn.Computer
	Clearer                           // tarn.Clearer
	Scanner                           // tarn.Scanner
	Hitter                            // tarn.Hitter
	Clocker                           // tarn.Clocker
	Leaser                            // tarn.Leaser
	Holder                            // tarn.Holder
	Tagger                            // tarn.Tagger
	Closer                            // Close() error, Close() or Close(context.Context) error

	// All is every capability there is.
	All = BatchStore | Adder | Toucher | Computer | Clearer | Scanner | Hitter | Clocker | Leaser | Holder | Tagger |
		Closer
)

var capabilityNames = [...]string{
	"tarn.BatchStore", "tarn.Adder", "tarn.Toucher", "tarn.Computer", "tarn.Clearer", "tarn.Scanner", "tarn.Hitter",
	"tarn.Clocker", "tarn.Leaser", "tarn.Holder", "tarn.Tagger", "Close",
}

// String returns the interfaces' names.
func (c Capability) String() string {
	var names []string
	for i, name := range capabilityNames {
		if c&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// abilities are what a store offers; nil where it offers nothing.
type abilities struct {
	store    tarn.Store[string, string]
	batch    tarn.BatchStore[string, string]
	adder    tarn.Adder[string, string]
	toucher  tarn.Toucher[string, string]
	computer tarn.Computer[string, string]
	clearer  tarn.Clearer
	scanner  tarn.Scanner[string, string]
	hitter   tarn.Hitter[string, string]
	clocker  tarn.Clocker
	leaser   tarn.Leaser[string, string]
	holder   tarn.Holder[string, string]
	tagger   tarn.Tagger
	close    func(ctx context.Context) error
	offered  Capability
}

func probe(s tarn.Store[string, string]) *abilities {
	a := &abilities{store: s}
	ask(a, s, BatchStore, &a.batch)
	ask(a, s, Adder, &a.adder)
	ask(a, s, Toucher, &a.toucher)
	ask(a, s, Computer, &a.computer)
	ask(a, s, Clearer, &a.clearer)
	ask(a, s, Scanner, &a.scanner)
	ask(a, s, Hitter, &a.hitter)
	ask(a, s, Clocker, &a.clocker)
	ask(a, s, Leaser, &a.leaser)
	ask(a, s, Holder, &a.holder)
	ask(a, s, Tagger, &a.tagger)
	if a.close = closeOf(s); a.close != nil {
		a.offered |= Closer
	}
	return a
}

func ask[T any](a *abilities, s tarn.Store[string, string], c Capability, into *T) {
	var ok bool
	if *into, ok = tarn.As[T](s); ok {
		a.offered |= c
	}
}

func closeOf(s tarn.Store[string, string]) func(context.Context) error {
	if c, ok := tarn.As[interface{ Close() error }](s); ok {
		return func(context.Context) error { return c.Close() }
	}
	if c, ok := tarn.As[interface{ Close(context.Context) error }](s); ok {
		return c.Close
	}
	if c, ok := tarn.As[interface{ Close() }](s); ok {
		return func(context.Context) error { c.Close(); return nil }
	}
	return nil
}
