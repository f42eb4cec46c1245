package crash

import (
	"errors"
	"io"
)

type Count struct {
	Callers int
}

func count(*Spec, io.Reader, io.Writer) error { return errors.ErrUnsupported }
