package bolt_test

import (
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn/strategies/journal"
	"github.com/tarncache/tarn/strategies/journal/bolt"
)

func TestKeepsWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal")
	want := journal.Record{Seq: 7, Kind: journal.Save, Key: []byte("k"), Value: []byte("v"), Note: []byte{}}
	j, err := bolt.Open(path, bolt.Options{})
	require.NoError(t, err)
	p, err := j.Replay(t.Context(), func(journal.Record) error { panic("there is none") })
	require.NoError(t, err)
	require.Equal(t, journal.Position{Epoch: j.Epoch()}, p)
	require.NoError(t, j.Append(t.Context(), journal.Change{Put: []journal.Record{want, {Seq: 8}}}))
	require.NoError(t, j.Append(t.Context(), journal.Change{Remove: []uint64{8}}))
	require.NoError(t, j.Close())

	j, err = bolt.Open(path, bolt.Options{})
	require.NoError(t, err)
	defer j.Close()
	got := 0
	p, err = j.Replay(t.Context(), func(r journal.Record) error { got++; require.Equal(t, want, r); return nil })
	require.NoError(t, err)
	require.Equal(t, journal.Position{Epoch: j.Epoch(), Seq: 8}, p)
	require.Equal(t, 1, got)
}
