package journal_test

import (
	"bytes"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/strategies/journal"
)

func equal(a, b journal.Record) bool {
	return a.Seq == b.Seq && a.Kind == b.Kind && bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) &&
		bytes.Equal(a.Note, b.Note)
}

func TestRecord(t *testing.T) {
	tests := []struct {
		rule   string
		record journal.Record
	}{
		{"nothing at all", journal.Record{}},
		{"a kind that is unknown", journal.Record{Seq: 1, Kind: 255}},
		{"the greatest number", journal.Record{Seq: ^uint64(0), Kind: journal.Save, Key: []byte("k")}},
		{"lengths of two bytes", journal.Record{Seq: 1, Key: make([]byte, 127), Value: make([]byte, 128), Note: make([]byte, 16_384)}},
	}
	for _, tt := range tests {
		t.Run(tt.rule, func(t *testing.T) {
			data := tt.record.Append([]byte("before"), 7)
			require.Equal(t, "before", string(data[:6]))
			require.Len(t, data[6:], tt.record.Size())
			got, err := journal.Parse(data[6:], 7, tt.record.Seq)
			require.NoError(t, err)
			require.True(t, equal(tt.record, got))
			for i := 6; i < len(data); i++ {
				damaged := bytes.Clone(data[6:])
				damaged[i-6] ^= 0x10
				_, err := journal.Parse(damaged, 7, tt.record.Seq)
				require.ErrorIs(t, err, journal.ErrUnreadable, "byte %d", i)
			}
			_, err = journal.Parse(data[6:], 8, tt.record.Seq)
			require.ErrorIs(t, err, journal.ErrUnreadable, "of another journal")
			_, err = journal.Parse(data[6:], 7, tt.record.Seq-1)
			require.ErrorIs(t, err, journal.ErrUnreadable, "of another number")
			_, err = journal.Parse(append(data[6:], 0), 7, tt.record.Seq)
			require.ErrorIs(t, err, journal.ErrUnreadable, "longer")
		})
	}
}

// What was written once is read for ever.
func TestRecordGolden(t *testing.T) {
	r := journal.Record{Seq: 258, Kind: journal.Delete, Key: []byte("key"), Value: []byte("v"), Note: nil}
	require.Equal(t, "0102"+"0000000000000102"+"036b6579"+"0176"+"00"+"45d21a8c3a0149dc", hex.EncodeToString(r.Append(nil, 42)))
}

func TestRecordAllocs(t *testing.T) {
	r := journal.Record{Seq: 258, Kind: journal.Save, Key: []byte("key"), Value: make([]byte, 100)}
	buf := r.Append(nil, 42)
	require.Zero(t, testing.AllocsPerRun(100, func() { buf = r.Append(buf[:0], 42) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = journal.Parse(buf, 42, 258) }))
}

func TestErrors(t *testing.T) {
	require.ErrorIs(t, journal.ErrFull, tarn.ErrFull)
	err := error(&journal.DamageError{Seq: 3, Err: tarn.ErrTooHeavy})
	require.ErrorIs(t, err, journal.ErrUnreadable)
	require.ErrorIs(t, err, tarn.ErrTooHeavy)
	require.Contains(t, err.Error(), "record 3")
	require.NotContains(t, (&journal.DamageError{Err: tarn.ErrTooHeavy}).Error(), "record")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte{}, uint64(1), uint64(1))
	f.Add(journal.Record{Seq: 1, Kind: journal.Save, Key: []byte("k"), Value: []byte("v")}.Append(nil, 1), uint64(1), uint64(1))
	f.Fuzz(func(t *testing.T, data []byte, epoch, seq uint64) {
		if r, err := journal.Parse(data, epoch, seq); err == nil && r.Seq != seq {
			t.Fatal("a record of another number")
		}
		// With a checksum that fits, the lengths are all there is to check.
		sealed := reseal(data, epoch)
		r, err := journal.Parse(sealed, epoch, seq)
		if err == nil && len(r.Key)+len(r.Value)+len(r.Note) > len(data) {
			t.Fatal("it has more than there was")
		}
		r = journal.Record{Seq: seq, Kind: 3, Key: data, Value: data[len(data)/2:], Note: data[:len(data)/3]}
		if got, err := journal.Parse(r.Append(nil, epoch), epoch, seq); err != nil || !equal(got, r) {
			t.Fatal(err)
		}
	})
}
