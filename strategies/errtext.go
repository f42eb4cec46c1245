package strategies

import (
	"fmt"
	"strings"
)

// named names the operation in an error, unless that does so itself, as "tarn: load shed" does of a load.
func named(op string, err error) error {
	if text := fmt.Sprint(err); strings.HasPrefix(text, "tarn: "+op+":") || strings.HasPrefix(text, "tarn: "+op+" ") {
		return err
	}
	return fmt.Errorf("tarn: %s: %w", op, bare(err))
}

// bare is err for the text of another error of this module: without the name that this one begins with too.
func bare(err error) error { return &bareError{err} }

type bareError struct{ err error }

func (e *bareError) Error() string {
	text := fmt.Sprint(e.err)
	for _, name := range []string{"tarn: ", "strategies: "} {
		if rest, ok := strings.CutPrefix(text, name); ok {
			return rest
		}
	}
	return text
}

func (e *bareError) Unwrap() error { return e.err }
