package main

import (
	"bufio"
	"fmt"
	"io"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// what names a figure: a benchmark without "Benchmark", the processors it ran on, and the unit.
type what struct {
	name string
	cpus int
	unit string
}

// runs are all that was measured.
type runs struct {
	config  map[string]string
	figures map[what][]float64
}

var (
	benchLine  = regexp.MustCompile(`^Benchmark(\S+?)(?:-(\d+))?\s+\d+\s+(.*)$`)
	configLine = regexp.MustCompile(`^([a-z][a-z0-9-]*):\s+(.*)$`)
)

// readRuns reads what go test -bench writes. A benchmark's name ends with its processors unless there is one.
func readRuns(from io.Reader) (*runs, error) {
	r := &runs{config: map[string]string{}, figures: map[what][]float64{}}
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if m := configLine.FindStringSubmatch(lines.Text()); m != nil {
			r.config[m[1]] = strings.TrimSpace(m[2])
			continue
		}
		m := benchLine.FindStringSubmatch(lines.Text())
		if m == nil {
			continue
		}
		cpus := 1
		if m[2] != "" {
			cpus, _ = strconv.Atoi(m[2])
		}
		fields := strings.Fields(m[3])
		for i := 0; i+1 < len(fields); i += 2 {
			v, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("benchmark %s: %w", m[1], err)
			}
			w := what{m[1], cpus, fields[i+1]}
			r.figures[w] = append(r.figures[w], v)
		}
	}
	return r, lines.Err()
}

// median returns the median of a figure, and false if it was not measured.
func (r *runs) median(w what) (float64, bool) {
	all := r.figures[w]
	if len(all) == 0 {
		return 0, false
	}
	return median(all), true
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	mid := len(all) / 2
	if len(all)%2 == 1 {
		return all[mid]
	}
	return (all[mid-1] + all[mid]) / 2
}

// spread returns by how much, as a part of the median, the ends of an interval differ from it that holds the true
// median in 95 of 100 cases (from order statistics, as benchstat has it), and false if there are too few runs to say.
func spread(all []float64) (float64, bool) {
	n := len(all)
	below := 0 // runs that can be left out at each end
	chance := math.Pow(0.5, float64(n))
	for tail, term := chance, chance; 2*tail <= 0.05; below++ {
		term *= float64(n-below) / float64(below+1)
		tail += term
	}
	if below == 0 {
		return 0, false
	}
	all = slices.Sorted(slices.Values(all))
	m := median(all)
	if m == 0 {
		return 0, false
	}
	return max(m-all[below-1], all[n-below]-m) / m, true
}

// number shows three digits or all before the point, and no exponent.
func number(v float64) string {
	switch a := math.Abs(v); {
	case a >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case a >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	default:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
}

// spreadOf shows the spread of a figure, or nothing.
func (r *runs) spreadOf(w what) string {
	if s, ok := spread(r.figures[w]); ok {
		return fmt.Sprintf(" ± %.0f %%", 100*s)
	}
	return ""
}
