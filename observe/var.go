package observe

import (
	"encoding/json"
	"fmt"
)

// Var returns what expvar shows of the sources: their numbers as JSON, read whenever it is asked. It is an [expvar.Var],
// without this package importing expvar, which would open its page in every program that is built with it.
// Publish it under a name of your own, with expvar.Publish. Two sources of one name fall together. It panics if a source is
// nil.
func Var(sources ...Source) fmt.Stringer {
	for i, s := range sources {
		if s == nil {
			panic(fmt.Sprintf("observe: Var: source %d is nil", i))
		}
	}
	return variable(append([]Source(nil), sources...))
}

type variable []Source

// String returns the numbers as JSON: {"memory":{"hits":1},"cache":{"loads":{"success":1,"error":0}}}.
func (v variable) String() string {
	all := make(map[string]map[string]any)
	for _, source := range v {
		for _, s := range source.Stats() {
			of := all[s.Of]
			if of == nil {
				of = make(map[string]any)
				all[s.Of] = of
			}
			if s.Label == "" {
				of[s.Name] = s.Value
				continue
			}
			values, ok := of[s.Name].(map[string]float64)
			if !ok {
				values = make(map[string]float64)
				of[s.Name] = values
			}
			values[s.LabelValue] = s.Value
		}
	}
	text, err := json.Marshal(all)
	if err != nil { // of a source of somebody else: JSON has no number for infinity
		text, _ = json.Marshal(map[string]string{"error": err.Error()})
	}
	return string(text)
}
