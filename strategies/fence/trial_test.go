package fence_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn/strategies/fence"
)

const (
	timeLimit = 20 * time.Second
	timeStep  = time.Millisecond
)

func tried() config {
	c := untried()
	c.Untried = false
	return c
}

// trials counts the transactions that a log has beside the one that is committed.
func trials(log string) int { return strings.Count(log, "begin") - strings.Count(log, "commit") }

func TestTrialIsMadeOnce(t *testing.T) {
	f, db := newFake(t)
	w := fence.New(db, tried())
	for _, step := range []struct {
		rule   string
		ops    []op
		trials int
	}{
		{"deletes are tried with the first delete", []op{deletes(1, 1)}, 1},
		{"and no more", []op{deletes(1, 2)}, 0},
		{"saves with the first save", []op{deletes(1, 3), saves(2, "b", 4)}, 1},
		{"and no more", []op{deletes(1, 5), saves(2, "c", 6)}, 0},
	} {
		require.NoError(t, w.Apply(t.Context(), step.ops), step.rule)
		log := f.asked()
		require.Equal(t, step.trials, trials(log), "%s: %s", step.rule, log)
	}
	require.Equal(t, "1: (deleted), 2: c", f.table())
	require.Equal(t, fence.Stats{Applied: 6}, w.Stats(), "a trial does not count")

	w = fence.New(db, tried())
	require.NoError(t, w.Apply(t.Context(), []op{saves(2, "d", 7)}))
	require.NoError(t, w.Apply(t.Context(), []op{deletes(2, 8)}))
	require.Equal(t, 1, trials(f.asked()), "a save tries everything")
}

// The trial's verdict is about the statements; what a database says of a value is not.
func TestTrialVerdicts(t *testing.T) {
	f, db := newFake(t)
	w := fence.New(db, tried())
	f.loose = true
	require.ErrorIs(t, w.Apply(t.Context(), []op{saves(1, "a", 1)}), fence.ErrUnfenced)
	require.Empty(t, f.table())
	f.loose = false
	require.NoError(t, w.Apply(t.Context(), []op{saves(1, "a", 1)}), "it is made again")

	w = fence.New(db, tried())
	f.failed = failing("save", 1, 1)
	require.NoError(t, w.Apply(t.Context(), []op{saves(1, "b", 2)}), "a value that is refused in a trial is the batch's affair")
	f.failed = nil
	f.asked()
	require.NoError(t, w.Apply(t.Context(), []op{saves(1, "c", 3)}))
	require.Equal(t, 1, trials(f.asked()), "it is made with the next")

	for _, asked := range []string{"begin", "delete", "version"} {
		w = fence.New(db, tried())
		f.failed = failing(asked, 1, 1)
		err := w.Apply(t.Context(), []op{saves(1, "d", 4), deletes(2, 5)})
		if asked == "version" { // after a save
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, errBroken, asked)
		require.Equal(t, "1: c", f.table())
	}
}
