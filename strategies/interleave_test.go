package strategies_test

import (
	"errors"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/interleave"
	"github.com/tarncache/tarn/internal/interleave/races"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/strategies"
)

func racedStore() tarn.Store[int, int] {
	return memory.New(memory.Options[int, int]{MaxEntries: 100})
}

// loosely makes stores with rules switched off.
func loosely(off looseRules) races.Store {
	return func() tarn.Store[int, int] { return newLooseStore(off) }
}

// oneByOne leaves a test that runs every order of steps to a run without the race detector, which would take several
// times as long to find nothing: the steps come one after the other, each ordered before the next.
func oneByOne(t *testing.T) {
	if racing {
		t.Skip("every order is run without the race detector, and with it only some: see TestSomeRaces")
	}
}

// TestRaces runs the table of races on the store in memory.
func TestRaces(t *testing.T) {
	oneByOne(t)
	t.Parallel()
	races.Run(t, races.Settings{Store: racedStore})
}

// TestRacesOnPlainStore runs it on a store that knows nothing of leases and holds, behind the stand-in.
func TestRacesOnPlainStore(t *testing.T) {
	oneByOne(t)
	t.Parallel()
	races.Run(t, races.Settings{Store: racedStore, Plain: true})
}

// TestSomeRaces runs some orders of each row, with the race detector too: what goes on within a step is not ordered.
func TestSomeRaces(t *testing.T) {
	t.Parallel()
	for _, plain := range []bool{false, true} {
		races.Run(t, races.Settings{Store: racedStore, Plain: plain, Sample: 50})
	}
}

// TestSoakRacesOnStrictStore checks the store whose rules TestRacesAreFound switches off, with all of them on: what
// goes wrong there goes wrong for want of the rule. Without TARN_SOAK a few quick rows have to do.
func TestSoakRacesOnStrictStore(t *testing.T) {
	s := races.Settings{Store: loosely(looseRules{})}
	if os.Getenv("TARN_SOAK") == "" {
		s.Rows = []string{"fill and invalidation", "joining a load", "invalidation of a batch", "touch", "a settle is lost"}
	}
	races.Run(t, s)
}

// reloads are the rows in which a reload in the background, whatever has begun it, meets what is named.
func reloads(against ...string) (rows []string) {
	for _, reload := range races.Reloads {
		for _, a := range against {
			rows = append(rows, "a reload of "+reload+", and "+a)
		}
	}
	return rows
}

// TestRacesAreFound switches off one rule at a time, and asserts that the rows that guard it fail.
func TestRacesAreFound(t *testing.T) {
	t.Parallel()
	with := func(o ...strategies.ReadOption) []strategies.ReadOption { return o }
	for _, test := range []struct {
		rule     string // that is switched off
		settings races.Settings
		rows     []string
	}{
		{"fills need a lease", races.Settings{Store: loosely(looseRules{fillsBlindly: true})}, []string{
			"fill and invalidation", "fetches and an invalidation", "readers of two processes", "a load takes too long",
			"stale if the source fails", "re-arming and a writer", "re-arming and a deleting writer",
			"re-arming and another process's invalidation", "a value that was rescued is tried again", "expiry",
			"one writes and one deletes",
			"two readers and a writer", "overlapping batches", "the outcome is unknown",
			"write-back", "write-back, two writes", "waiting for another process's load", "joining who waits",
			"waiting while the key is written",
		}},
		{"fills need a lease, by option", races.Settings{Store: racedStore, Options: with(strategies.WithBlindFills())},
			[]string{"fill and invalidation", "joining a load", "a reader gives up", "a load fails"}},
		{"fills need a lease, of the stand-in",
			races.Settings{Store: racedStore, Plain: true, Options: with(strategies.WithBlindFills())},
			[]string{"fill and invalidation", "joining a load"}},
		{"a reload needs a lease", races.Settings{Store: loosely(looseRules{renewsBlindly: true})}, reloads(
			"an invalidation", "an invalidation of what is fetched", "another process's invalidation", "a writer",
			"another process's writer", "a deleting writer", "a writer around", "an update", "write-back",
		)},
		{"a hold voids the lease of a reload", races.Settings{Store: loosely(looseRules{holdsKeepRenewal: true})}, reloads(
			"a writer", "a deleting writer", "a writer around", "an update",
		)},
		{"changes void leases", races.Settings{Store: loosely(looseRules{changesKeepLease: true})},
			[]string{"invalidation of a batch", "clear", "set", "add", "compute"}},
		{"a touch brings nothing back", races.Settings{Store: loosely(looseRules{touchRevives: true})},
			[]string{"touch", "touch under a hold", "sliding"}},

		{"a write holds its key", races.Settings{Store: loosely(looseRules{holdsNothing: true})},
			[]string{"a settle is lost", "a writer deletes", "writers queue", "writers around", "write-back, and a settle is lost"}},
		{"a write holds its key, and waits for its settle to be acknowledged",
			races.Settings{Store: racedStore, Careless: true, Options: with(strategies.WithoutHolds())},
			[]string{"a settle is lost, as another process sees it"}},
		{"a hold takes the value away", races.Settings{Store: loosely(looseRules{holdsKeepValue: true})},
			[]string{"a settle is lost, and the hold ends", "an update"}},
		{"overlapping holds are tainted", races.Settings{Store: loosely(looseRules{forgetsTaint: true})}, []string{
			"an invalidation under a hold", "clear under a hold", "the outcome is unknown", "writers of two processes",
			"an update and a writer",
		}},
		{"a settle forgets what stands there", races.Settings{Store: loosely(looseRules{settlesLazily: true})},
			[]string{"the hold runs out before the commit", "a late settle of two writers"}},
		{"a settle leaves others' holds", races.Settings{Store: loosely(looseRules{settleWipes: true})},
			[]string{"a late settle of two writers"}},
		{"a write whose hold ran out waits for its settle", races.Settings{Store: racedStore, Careless: true},
			[]string{"the hold runs out before the commit, and the settle is lost, as another process sees it"}},
		{"a hold lasts as long as it was asked for", races.Settings{
			Store: loosely(looseRules{holdsAreShort: true}), Options: with(strategies.WithHoldLife(10 * time.Second)),
		}, []string{"the hold runs out before the commit, and the settle is lost"}},
		{"an invalidation keeps holds", races.Settings{Store: loosely(looseRules{deleteDropsHolds: true})},
			[]string{"an invalidation under a hold whose settle is lost", "clear under a hold"}},

		{"a load is joined while its lease stands", races.Settings{Store: loosely(looseRules{standsAlways: true})}, []string{
			"joining a load", "joining a load, finely", "a reader gives up", "a load fails", "a batch and a reader",
			"overlapping batches", "joining who has waited in vain",
		}},
		{"what is loaded is as old as its lease", races.Settings{Store: loosely(looseRules{stampsAnew: true})}, []string{
			"a load and a tag", "fetches and a tag", "readers of two processes, and a tag", "a batch and a tag",
			"a refresh and a tag", "a reload before the end, and a tag", "re-arming and a tag",
			"re-arming and another process's tag", "a key and its tag", "an update and a tag",
		}},
		{"what is written is as old as its write", races.Settings{Store: loosely(looseRules{settlesAnew: true})},
			[]string{"a writer and a tag", "a writer that holds nothing, and a tag"}},
		{"a load is joined while no tag was invalidated", races.Settings{Store: loosely(looseRules{stampStands: true})},
			[]string{"joining a load, and a tag", "fetches and a tag", "a batch and a tag", "joining who waits, and a tag"}},
		{"what has a tag that was invalidated is gone", races.Settings{Store: loosely(looseRules{tagsStay: true})},
			[]string{"a load and a tag", "a touch and a tag", "a deleting writer and a tag"}},
		{"a load under a hold is not joined, even by who does not wait", races.Settings{
			Store: loosely(looseRules{leasesHeld: true}), Options: with(strategies.WithLeaseWait(0)),
		}, []string{"loads under a hold", "a writer deletes", "an update", "a batch and an update of two keys"}},
	} {
		for _, row := range test.rows {
			t.Run(test.rule+"/"+row, func(t *testing.T) {
				var report interleave.Report
				synctest.Test(t, func(t *testing.T) { report = races.Explore(races.Find(row), test.settings) })
				switch f := report.Failure; {
				case f == nil:
					t.Errorf("nothing went wrong in %d orders", report.Runs)
				case !errors.Is(f.Err, races.ErrPast):
					t.Errorf("something else went wrong: %v%s", f.Err, races.History(f))
				default:
					t.Logf("%v%s", f.Err, races.History(f))
				}
			})
		}
	}
}
