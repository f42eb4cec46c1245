package tiered_test

import (
	"os"
	"testing"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/farstore"
	"github.com/tarncache/tarn/internal/interleave/races"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/tiered"
)

// raced closes what a tiered store is made of, with it.
type raced struct {
	*tiered.Store[int, int]
	near, far *memory.Store[int, int]
}

func (r raced) Close() error {
	r.Store.Close()
	r.near.Close()
	return r.far.Close()
}

// TestSoakRaces runs the table of races of the strategies within one process that has copies. Without TARN_SOAK a few
// quick rows have to do.
func TestSoakRaces(t *testing.T) {
	t.Parallel()
	var rows []string
	if os.Getenv("TARN_SOAK") == "" {
		rows = []string{"fill and invalidation", "touch", "a settle is lost", "an invalidation under a hold",
			"re-arming and a writer", "stale if the source fails", "a load and a tag", "re-arming and a tag",
			"a touch and a tag", "a writer whose settle is lost, and a tag", "a writer that holds nothing, and a tag",
			"a key and its tag"}
	}
	races.Run(t, races.Settings{Rows: rows, Store: func() tarn.Store[int, int] {
		r := raced{
			near: memory.New(memory.Options[int, int]{MaxEntries: 100}),
			far:  memory.New(memory.Options[int, int]{MaxEntries: 100}),
		}
		r.Store = tiered.New(r.near, farstore.New(r.far).View())
		for !r.Trusted() {
			time.Sleep(time.Nanosecond) // the watcher has not spoken yet
		}
		return r
	}})
}
