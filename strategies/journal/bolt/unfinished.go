package bolt

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// unfinished ends the name of a file that Open or Compact is writing, beside the journal whose place it will take. No
// journal may have such a name, so whatever a crash left there is nobody's records, and is written over.
//
// It has no letter that some file systems take for another, other than the large for the small one.
const unfinished = ".tarn-new"

var errReserved = fmt.Errorf("a name that ends in %q is that of a file which is not a journal yet", unfinished)

// checkName refuses the names of unfinished files, also on a file system that takes large letters for small ones.
func checkName(path string) error {
	if strings.HasSuffix(strings.ToLower(filepath.Base(path)), unfinished) {
		return errReserved
	}
	return nil
}

// openUnfinished opens and locks the file that is to take a journal's place. It follows no link, whose end could be
// another's journal.
func (o Options) openUnfinished(journal string) (*os.File, error) {
	path := journal + unfinished
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is in the way: it is no regular file", path)
	}
	return o.openFile(path, os.O_CREATE)
}
