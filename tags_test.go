package tarn_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tarncache/tarn"
)

func TestNewTags(t *testing.T) {
	long, most := strings.Repeat("x", tarn.MaxTagLength), make([]string, tarn.MaxTags)
	for i := range most {
		most[i] = fmt.Sprintf("%03d", i)
	}
	for _, c := range []struct {
		rule  string
		names []string
		want  []string // nil: ErrTags
	}{
		{"names are sorted", []string{"b", "a"}, []string{"a", "b"}},
		{"each is there once", []string{"b", "a", "b", "b"}, []string{"a", "b"}},
		{"any bytes", []string{"\x00", "\xff"}, []string{"\x00", "\xff"}},
		{"the longest", []string{long}, []string{long}},
		{"as many as may be", slices.Clone(most), most},
		{"as many as may be, twice", append(slices.Clone(most), most...), most},
		{"an empty one", []string{"a", ""}, nil},
		{"too long a one", []string{"a", long + "x"}, nil},
		{"too many", append(slices.Clone(most), "more"), nil},
	} {
		t.Run(c.rule, func(t *testing.T) {
			given := slices.Clone(c.names)
			tags, err := tarn.NewTags(7, c.names...)
			if c.want == nil {
				if !errors.Is(err, tarn.ErrTags) || tags != nil {
					t.Fatalf("got %v, %v, want ErrTags", tags, err)
				}
				if strings.Contains(err.Error(), "xx") {
					t.Error("the error has a name in its text")
				}
				return
			}
			if err != nil || !slices.Equal(tags.Names(), c.want) || tags.Stamp() != 7 {
				t.Fatalf("got %v, %v, want %q as of 7", tags, err, c.want)
			}
			if !slices.Equal(c.names, given) {
				t.Error("the caller's slice was changed")
			}
			c.names[0] = "changed"
			if !slices.Equal(tags.Names(), c.want) {
				t.Error("the tags share the caller's slice")
			}
		})
	}
}

// No tags are a nil *Tags, of which one can ask everything.
func TestNoTags(t *testing.T) {
	none, err := tarn.NewTags(7)
	if none != nil || err != nil {
		t.Fatalf("got %v, %v", none, err)
	}
	if none.Names() != nil || none.Stamp() != 0 || none.Restamped(3) != nil || none.Original() != nil {
		t.Error("a nil *Tags has something")
	}
	if got := fmt.Sprintf("%v", tarn.Entry[int]{}); !strings.Contains(got, "none") {
		t.Errorf("printed as %s", got)
	}
}

func TestRestamped(t *testing.T) {
	tags, _ := tarn.NewTags(7, "a", "b")
	if tags.Original() != tags {
		t.Error("tags are their own originals")
	}
	near := tags.Restamped(3)
	if near.Stamp() != 3 || !slices.Equal(near.Names(), tags.Names()) || near.Original() != tags || tags.Stamp() != 7 {
		t.Errorf("got %v of %v", near, near.Original())
	}
	if nearer := near.Restamped(4); nearer.Original() != near {
		t.Error("the way back is one step")
	}
	if got := fmt.Sprintf("%+v", tarn.Entry[int]{Tags: near}); !strings.Contains(got, `["a" "b"] as of 3`) {
		t.Errorf("printed as %s", got)
	}
}

func TestCheckTags(t *testing.T) {
	long := strings.Repeat("x", tarn.MaxTagLength)
	if err := tarn.CheckTags("a", "a", long); err != nil {
		t.Error(err)
	}
	if err := tarn.CheckTags(make([]string, 3*tarn.MaxTags)...); !errors.Is(err, tarn.ErrTags) {
		t.Errorf("empty ones: %v", err)
	}
	for _, bad := range [][]string{nil, {""}, {"a", ""}, {long + "x"}} {
		if err := tarn.CheckTags(bad...); !errors.Is(err, tarn.ErrTags) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
	many := make([]string, 3*tarn.MaxTags)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	if err := tarn.CheckTags(many...); err != nil {
		t.Errorf("more than one entry may have: %v", err)
	}
}
