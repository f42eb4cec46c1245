package fence_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/fence"
)

type (
	op     = tarn.Op[int64, string]
	config = fence.Config[int64, string]
)

func saves(key int64, value string, seq uint64) op {
	return op{Key: key, Value: value, Epoch: 7, Seq: seq}
}
func deletes(key int64, seq uint64) op { return op{Key: key, Delete: true, Epoch: 7, Seq: seq} }

// untried is a config without a trial.
func untried() config {
	return config{Statements: plain, Values: func(v string) []any { return []any{v} }, Untried: true}
}

var errBroken = errors.New("broken")

// failing fails what is asked, from the n-th time on, as long as it is to.
func failing(what string, n, times int) func(string) error {
	return func(asked string) error {
		if asked != what {
			return nil
		}
		if n--; n <= 0 && n > -times {
			return errBroken
		}
		return nil
	}
}

func TestApplyAsks(t *testing.T) {
	for _, test := range []struct {
		rule  string
		ops   []op
		asked string
	}{
		{"nothing for nothing", nil, ""},
		{"one operation needs nothing prepared", []op{saves(1, "a", 1)}, "begin, save, commit"},
		{"what runs more than once is prepared once", []op{saves(1, "a", 1), saves(2, "b", 2), deletes(3, 3), saves(4, "d", 4)},
			"begin, prepare save, save, save, delete, save, commit"},
		{"deletes too", []op{deletes(1, 1), deletes(2, 2)}, "begin, prepare delete, delete, delete, commit"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			f, db := newFake(t)
			w := fence.New(db, untried())
			require.NoError(t, w.Apply(t.Context(), test.ops))
			require.Equal(t, test.asked, f.asked())
			require.Equal(t, fence.Stats{Applied: uint64(len(test.ops))}, w.Stats())
			require.NoError(t, w.Apply(t.Context(), test.ops))
			require.Equal(t, fence.Stats{Applied: uint64(len(test.ops)), Refused: uint64(len(test.ops))}, w.Stats())
			require.Equal(t, len(test.ops), strings.Count(f.asked(), "version"), "each that changes nothing is looked at")
		})
	}
}

// What fails is an operation's own fault only if the transaction can go on without it.
func TestApplyFails(t *testing.T) {
	three := []op{saves(1, "a", 1), saves(2, "b", 2), saves(3, "c", 3)}
	four := append(three[:3:3], saves(4, "d", 4))
	for _, test := range []struct {
		rule   string
		ops    []op
		failed func(string) error
		own    []int // whose fault it is; nil: the batch's
		table  string
		asked  string
	}{
		{"no connection", three, failing("begin", 1, 1), nil, "", "begin"},
		{"a statement that is none", three, failing("prepare save", 1, 1), nil, "", "begin, prepare save, rollback"},
		{"a commit", three, failing("commit", 1, 1), nil, "", "begin, prepare save, save, save, save, commit"},
		{"one operation", three, failing("save", 2, 1), []int{}, "1: a, 2: b, 3: c", "begin, prepare save, save, save, rollback, " +
			"begin, prepare save, savepoint, save, release savepoint, savepoint, save, release savepoint, " +
			"savepoint, save, release savepoint, commit"},
		{"and again", three, failsAt(2, 4), []int{1}, "1: a, 3: c", "begin, prepare save, save, save, rollback, " +
			"begin, prepare save, savepoint, save, release savepoint, savepoint, save, rollback to savepoint, release savepoint, " +
			"savepoint, save, release savepoint, commit"},
		{"one that broke the transaction", three, both(failsAt(2, 4), failing("rollback to savepoint", 1, 1)), nil, "", ""},
		{"a database without savepoints", three, both(failsAt(2), failing("savepoint", 1, 1)), nil, "", ""},
		{"one that is stuck", three, both(failsAt(2), failing("release savepoint", 2, 1)), nil, "", ""},
		{"no connection any more", three, both(failsAt(2), failing("begin", 2, 1)), nil, "", ""},
		{"a commit after one that failed", three, both(failsAt(2, 4), failing("commit", 1, 1)), nil, "", ""},
		{"all of three", three, failing("save", 1, 9), []int{0, 1, 2}, "", ""},
		{"the first three of four", four, failing("save", 1, 9), nil, "", "begin, prepare save, save, rollback, " +
			"begin, prepare save, savepoint, save, rollback to savepoint, release savepoint, " +
			"savepoint, save, rollback to savepoint, release savepoint, savepoint, save, rollback to savepoint, rollback"},
		{"three of four, but not the first", four, failsAt(2, 4, 5, 6), []int{1, 2, 3}, "1: a", ""},
		{"a row that cannot be asked", []op{deletes(5, 1), saves(6, "f", 2), deletes(9, 1)}, failing("version", 1, 9),
			[]int{2}, "5: (deleted), 6: f, 9: (deleted)", ""},
	} {
		t.Run(test.rule, func(t *testing.T) {
			f, db := newFake(t)
			w := fence.New(db, untried())
			if test.ops[0].Delete {
				require.NoError(t, w.Apply(t.Context(), test.ops[2:]))
				f.asked()
			}
			began := w.Stats()
			f.failed = test.failed
			err := w.Apply(t.Context(), test.ops)
			if test.own == nil {
				var each tarn.IndexError
				require.False(t, errors.As(err, &each), "%v", err)
				require.ErrorIs(t, err, errBroken)
				require.Equal(t, began.Applied, w.Stats().Applied)
			} else {
				require.Equal(t, len(test.own) > 0, err != nil)
				for i := range test.ops {
					at := tarn.ErrAt(err, i, len(test.ops))
					require.Equal(t, contains(test.own, i), errors.Is(at, errBroken), "operation %d: %v", i, at)
					require.False(t, tarn.IsPermanent(at))
				}
				require.Equal(t, began.Applied+uint64(len(test.ops)-len(test.own)), w.Stats().Applied)
				require.EqualValues(t, 1, w.Stats().Singly)
			}
			require.Equal(t, test.table, f.table())
			if asked := f.asked(); test.asked != "" {
				require.Equal(t, test.asked, asked)
			}
		})
	}
}

// failsAt fails these saves.
func failsAt(at ...int) func(string) error {
	n := 0
	return func(asked string) error {
		if asked == "save" {
			if n++; contains(at, n) {
				return errBroken
			}
		}
		return nil
	}
}

func both(a, b func(string) error) func(string) error {
	return func(asked string) error { return errors.Join(a(asked), b(asked)) }
}

func contains(all []int, i int) bool {
	for _, one := range all {
		if one == i {
			return true
		}
	}
	return false
}

// A statement that did not do what it should is never taken for one that did.
func TestApplyCountsRows(t *testing.T) {
	twice := plain
	twice.Twice = true
	says := func(n int64) func(string, int64) int64 {
		return func(asked string, rows int64) int64 {
			if asked == "save" {
				return n
			}
			return rows
		}
	}
	for _, test := range []struct {
		rule       string
		statements fence.Statements
		counts     func(string, int64) int64
		tells      func(*fakeRow)
		says       string // empty: it is well
	}{
		{"one row", plain, says(1), nil, ""},
		{"two", plain, says(2), nil, "changed 2 rows"},
		{"none, of a row that is older", plain, says(0), func(r *fakeRow) { r.seq-- }, "did not replace an older row"},
		{"none, of a row of another epoch", plain, says(0), func(r *fakeRow) { r.epoch++ }, "did not replace an older row"},
		{"none, of one that is later", plain, says(0), func(r *fakeRow) { r.seq++ }, ""},
		{"none, of one that has it", plain, says(0), nil, ""},
		{"how many is not known", plain, says(-1), nil, "unsupported"},
		{"one row of a database that counts twice", twice, says(1), nil, ""},
		{"two", twice, says(2), nil, ""},
		{"three", twice, says(3), nil, "changed 3 rows"},
		{"two, that were another's", twice, says(2), func(r *fakeRow) { r.seq-- }, "changed another row"},
		{"also if they are later", twice, says(2), func(r *fakeRow) { r.seq++ }, "changed another row"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			f, db := newFake(t)
			f.counts, f.tells = test.counts, test.tells
			c := untried()
			c.Statements = test.statements
			c.Permanent = func(err error) bool { return !errors.Is(err, fence.ErrUnfenced) }
			err := fence.New(db, c).Apply(t.Context(), []op{saves(1, "a", 5)})
			if test.says == "" {
				require.NoError(t, err)
				require.Equal(t, "1: a", f.table())
				return
			}
			require.ErrorContains(t, err, test.says)
			unknown := strings.Contains(test.says, "unsupported")
			require.Equal(t, !unknown, errors.Is(err, fence.ErrUnfenced))
			require.Equal(t, unknown, tarn.IsPermanent(err), "as Permanent says")
			require.Empty(t, f.table())
		})
	}
}

func TestApplyWithoutNumbers(t *testing.T) {
	f, db := newFake(t)
	w := fence.New(db, untried())
	for _, wrong := range []op{
		{Key: 1, Seq: 1}, {Key: 1, Epoch: 1}, {Key: 1, Epoch: math.MaxInt64 + 1, Seq: 1}, {Key: 1, Epoch: 1, Seq: math.MaxUint64},
	} {
		require.Error(t, w.Apply(t.Context(), []op{saves(2, "b", 1), wrong}))
	}
	require.ErrorIs(t, w.Apply(t.Context(), []op{{Key: 1}}), fence.ErrUnnumbered)
	require.ErrorIs(t, w.Save(t.Context(), 1, "a"), fence.ErrUnnumbered)
	require.ErrorIs(t, w.Delete(t.Context(), 1), fence.ErrUnnumbered)
	require.Empty(t, f.asked())
}

func TestApplyCancelled(t *testing.T) {
	for _, ops := range [][]op{{saves(1, "a", 1)}, {saves(1, "a", 1), saves(2, "b", 2)}} {
		f, db := newFake(t)
		ctx, cancel := context.WithCancel(t.Context())
		c := untried()
		c.Permanent = func(error) bool { return true }
		w := fence.New(db, c)
		f.failed = func(asked string) error {
			if asked == "save" {
				cancel()
				return ctx.Err()
			}
			return nil
		}
		err := w.Apply(ctx, ops)
		require.ErrorIs(t, err, context.Canceled)
		require.False(t, tarn.IsPermanent(err))
		require.Zero(t, w.Stats(), "nothing is tried again")
		require.Eventually(t, func() bool { return db.Stats().InUse == 0 }, timeLimit, timeStep)
		f.asked()
		require.Equal(t, context.Canceled, w.Apply(ctx, ops))
		require.Empty(t, f.asked())
		require.Empty(t, f.table())
	}
}

// A panic of the application's function leaves no transaction behind.
func TestValuesPanic(t *testing.T) {
	f, db := newFake(t)
	c := untried()
	c.Values = func(string) []any { panic("no") }
	require.Panics(t, func() { _ = fence.New(db, c).Apply(t.Context(), []op{saves(1, "a", 1)}) })
	require.Equal(t, "begin, rollback", f.asked())
}

func TestKeyOfSeveralColumns(t *testing.T) {
	f, db := newFake(t)
	c := fence.Config[[2]int64, string]{
		Statements: plain, Values: func(v string) []any { return []any{v} },
		Key: func(k [2]int64) []any { return []any{k[0]*100 + k[1]} },
	}
	ops := []tarn.Op[[2]int64, string]{{Key: [2]int64{3, 4}, Value: "a", Epoch: 7, Seq: 1}}
	require.NoError(t, fence.New(db, c).Apply(t.Context(), ops))
	require.Equal(t, "304: a", f.table())
}

func TestNewPanics(t *testing.T) {
	_, db := newFake(t)
	for field, spoil := range map[string]func(c *config){
		"Config.Statements.Save":    func(c *config) { c.Statements.Save = "" },
		"Config.Statements.Delete":  func(c *config) { c.Statements.Delete = "" },
		"Config.Statements.Version": func(c *config) { c.Statements.Version = "" },
		"Config.Values":             func(c *config) { c.Values = nil },
	} {
		c := untried()
		spoil(&c)
		require.Contains(t, panicOf(func() { fence.New(db, c) }), field)
	}
	require.Contains(t, panicOf(func() { fence.New(nil, untried()) }), "db")
}

func panicOf(f func()) (said string) {
	defer func() { said, _ = recover().(string) }()
	f()
	return ""
}
