package observe

import (
	"fmt"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// Source has numbers that can be read at any time, by any number of goroutines. [StatsOf] makes one of what has Stats; a
// [Counter] is one.
type Source interface {
	// Stats returns the numbers as they are now, always the same ones but for values of labels that are new. The caller
	// owns the slice.
	Stats() []Stat
}

// Stat is one number of a Source. Its parts are words of lower-case letters, joined by underscores.
type Stat struct {
	Of   string // what has it: "memory", "write_back"; "cache" for what a Counter has
	Name string // "hits"

	Label, LabelValue string // what tells it from others of its name, as in "outcome" and "error"; empty: nothing does

	Unit  string // "seconds", "bytes", "keys", or empty: a number of what the name says
	Count bool   // it only ever grows; otherwise it goes up and down
	Help  string // what it is, in a sentence
	Value float64
}

// StatsOf returns a Source of what a Stats method returns, of which it reads each field that is a number: an unsigned one
// counts, and any other is what there is at the moment; a [time.Duration] is in seconds, and a bool that is true is 1. It
// calls Stats once for each look.
//
// Stats have the stores memory, tiered and redisstore; of the strategies WriteBack and Accumulate, while the others tell
// an Observer what they do; the journal of strategies/journal/bolt, the writer of strategies/fence, and what module source
// puts around a loader.
//
// The Source is named after the type: "write_back" for a WriteBackStats, and after the package where the type is called
// Stats and nothing more. It panics if of is nil, or what its Stats returns is no struct with a number.
func StatsOf[S any](of interface{ Stats() S }) Source {
	if v := reflect.ValueOf(of); !v.IsValid() || v.Kind() == reflect.Pointer && v.IsNil() {
		panic("observe: StatsOf: of is nil")
	}
	t := reflect.TypeFor[S]()
	if t.Kind() != reflect.Struct {
		panic(fmt.Sprintf("observe: StatsOf: %v is no struct", t))
	}
	s := &statsOf[S]{of: of}
	for i := range t.NumField() {
		if stat, ok := fieldStat(t, t.Field(i)); ok {
			s.fields = append(s.fields, i)
			s.stats = append(s.stats, stat)
		}
	}
	if len(s.fields) == 0 {
		panic(fmt.Sprintf("observe: StatsOf: %v has no field that is a number", t))
	}
	return s
}

type statsOf[S any] struct {
	of     interface{ Stats() S }
	fields []int
	stats  []Stat // of the fields, without values
}

func (s *statsOf[S]) Stats() []Stat {
	now := reflect.ValueOf(s.of.Stats())
	stats := append([]Stat(nil), s.stats...)
	for i, field := range s.fields {
		stats[i].Value = number(now.Field(field))
	}
	return stats
}

// fieldStat returns the Stat of a field, and whether the field is a number.
func fieldStat(t reflect.Type, field reflect.StructField) (Stat, bool) {
	stat := Stat{Of: sourceName(t), Name: snake(field.Name), Help: helpOf(t, field)}
	switch v := reflect.Zero(field.Type); {
	case !field.IsExported():
		return stat, false
	case v.CanUint():
		stat.Count = true
	case !v.CanInt() && !v.CanFloat() && v.Kind() != reflect.Bool:
		return stat, false
	}
	switch {
	case field.Type == durationType:
		stat.Unit = "seconds"
	case strings.HasSuffix(stat.Name, "bytes"):
		stat.Unit = "bytes"
	}
	return stat, true
}

var durationType = reflect.TypeFor[time.Duration]()

func number(v reflect.Value) float64 {
	switch {
	case v.Type() == durationType:
		return time.Duration(v.Int()).Seconds()
	case v.CanUint():
		return float64(v.Uint())
	case v.CanInt():
		return float64(v.Int())
	case v.CanFloat():
		return v.Float()
	case v.Bool():
		return 1
	}
	return 0
}

// sourceName is the name of what has Stats of type t.
func sourceName(t reflect.Type) string {
	name, _, _ := strings.Cut(t.Name(), "[")
	if name = strings.TrimSuffix(name, "Stats"); name != "" {
		return snake(name)
	}
	return packageOf(t)
}

func packageOf(t reflect.Type) string {
	name, _, _ := strings.Cut(t.String(), ".")
	return snake(name)
}

// snake returns "oldest_pending" for "OldestPending".
func snake(name string) string {
	var b strings.Builder
	upper := true // was the last one, so that an abbreviation stays a word
	for _, r := range name {
		if unicode.IsUpper(r) && !upper {
			b.WriteByte('_')
		}
		upper = unicode.IsUpper(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
