package keybytes

import (
	"errors"
	"fmt"

	"github.com/tarncache/tarn"
)

// keyError hides its cause, which may quote the key, from the text.
type keyError struct {
	pkg, text string
	cause     error // may be nil
}

// bad is permanent: it is the key's fault, which says nothing of where it is kept and does not go away.
func (f *Form[K]) bad(text string, cause error) error {
	return tarn.Permanent(&keyError{f.pkg, text, cause})
}

func (e *keyError) Error() string { return e.pkg + ": key: " + e.text }
func (e *keyError) Unwrap() error { return e.cause }

func (f *Form[K]) unnamed() error {
	return fmt.Errorf("%s: keys of this type cannot be named: %w", f.pkg, errors.ErrUnsupported)
}
