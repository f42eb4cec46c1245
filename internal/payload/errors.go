package payload

import (
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/codec"
)

// failures are the errors of a Form, which name the package that it is used by.
type failures struct {
	pkg         string
	heavy       error
	undecodable error
}

func newFailures(pkg, config string, undecodable error) failures {
	heavy := fmt.Errorf("%s: the value is above %s.MaxValue: %w", pkg, config, tarn.ErrTooHeavy)
	return failures{pkg, heavy, undecodable}
}

var (
	errShrunk = errors.New("Append of the codec returned less than it was given")
	errGrown  = fmt.Errorf("a layer added more than %d bytes", codec.MaxOverhead)
)

// encodeError hides its cause, which may quote the value, from the text.
type encodeError struct {
	pkg   string
	cause error
}

func (f *failures) encode(cause error) error { return &encodeError{f.pkg, cause} }

func (e *encodeError) Error() string { return e.pkg + ": the value cannot be encoded" }
func (e *encodeError) Unwrap() error { return e.cause }

type undecodable struct {
	kind  error
	why   string
	cause error // may be nil
}

func (e *undecodable) Error() string        { return e.kind.Error() + ": " + e.why }
func (e *undecodable) Is(target error) bool { return target == e.kind }
func (e *undecodable) Unwrap() error        { return e.cause }
