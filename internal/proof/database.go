package proof

import (
	"context"
	"fmt"
)

// Item is the value of a key: it names the write that made it, and its own key, so that what belongs to another key is
// known.
type Item struct {
	Key  int64  `json:"key"`
	Op   int64  `json:"op"`
	Fill string `json:"fill,omitempty"`
}

// Database is the source. It counts the versions of each key of a run, and remembers them all.
type Database interface {
	// Load returns which write made the value of each key that has one.
	Load(ctx context.Context, keys []int64) (map[int64]int64, error)

	// Write makes new versions of keys, in one transaction. Of a change it needs the key, the write and whether it
	// deletes. Keys are distinct.
	Write(ctx context.Context, changes []Change) error

	// Changes returns all versions.
	Changes(ctx context.Context) ([]Change, error)

	Close()
}

// OpenDatabase opens a database for one run, whose keys are its own. The driver is "postgres" or "sqlite".
func OpenDatabase(ctx context.Context, driver, dsn string, run int64) (Database, error) {
	switch driver {
	case "postgres":
		return openPostgres(ctx, dsn, run)
	case "sqlite":
		return openSQLite(ctx, dsn, run)
	}
	return nil, fmt.Errorf("proof: no such database: %q", driver)
}
