package trace

import (
	"io"
	"math/rand/v2"
)

// skew and population are those of the throughput benchmarks.
const (
	skew       = 1.01
	population = 100_000
)

// Synthetic returns made-up traces of so many requests each, in which a few patterns stand alone that recorded ones
// mix. They depend on the seed and on nothing else.
//
//   - zipf: 100,000 keys, whose shares fall with their ranks by Zipf's law with exponent 1.01.
//   - zipf+scan: the same, and after every 20,000 requests one for each of 10,000 keys that never come again.
//   - loop: 12,000 keys in the same order again and again.
//   - zipf-shifting: as zipf, but after every 200,000 requests the ranks are given to other keys.
func Synthetic(requests int64, seed uint64) []Source {
	return []Source{
		synthetic{"zipf", requests, seed, zipf},
		synthetic{"zipf+scan", requests, seed, zipfScan},
		synthetic{"loop", requests, seed, loop},
		synthetic{"zipf-shifting", requests, seed, zipfShifting},
	}
}

type synthetic struct {
	name     string
	requests int64
	seed     uint64
	pattern  func(*rand.Rand) func() uint64 // returns what returns one key after the other
}

func (s synthetic) Name() string { return s.name }

func (s synthetic) Open() (Reader, error) {
	return &syntheticReader{s.requests, s.pattern(rand.New(rand.NewPCG(s.seed, 0)))}, nil
}

type syntheticReader struct {
	left int64
	next func() uint64
}

func (r *syntheticReader) Read(keys []uint64) (int, error) {
	if r.left <= 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(keys)), r.left))
	for i := range keys[:n] {
		keys[i] = scatter(r.next())
	}
	r.left -= int64(n)
	return n, nil
}

func (r *syntheticReader) Close() error { return nil }

func zipf(random *rand.Rand) func() uint64 {
	return rand.NewZipf(random, skew, 1, population-1).Uint64
}

func zipfScan(random *rand.Rand) func() uint64 {
	const busy, scan = 20_000, 10_000
	hot, fresh, i := zipf(random), uint64(population), 0
	return func() uint64 {
		i++
		if i%(busy+scan) < busy {
			return hot()
		}
		fresh++
		return fresh
	}
}

func loop(*rand.Rand) func() uint64 {
	const length = 12_000
	next := uint64(0)
	return func() uint64 {
		next++
		return next % length
	}
}

func zipfShifting(random *rand.Rand) func() uint64 {
	const every, by = 200_000, population / 3
	ranks, i := zipf(random), uint64(0)
	return func() uint64 {
		shift := i / every * by
		i++
		return (ranks() + shift) % population
	}
}

// scatter gives each number another, so that keys do not tell their ranks, not even to a cache that uses them as
// their own hashes (the finalizer of SplitMix64; Steele, Lea and Flood, Fast splittable pseudorandom number
// generators, OOPSLA 2014).
func scatter(n uint64) uint64 {
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return n ^ n>>31
}
