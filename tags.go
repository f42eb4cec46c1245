package tarn

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// ErrTags says that tags make no sense: an empty one, too long a one, none where some are needed, or too many.
var ErrTags = errors.New("tarn: bad tags")

// The bounds of tags, which every store keeps.
const (
	MaxTags      = 128  // of one entry
	MaxTagLength = 1024 // bytes
)

// Stamp is a moment in the life of a store's tags: how far the counter was which each invalidation moves. The zero Stamp is
// before all of them. Stamps of different stores say nothing to each other.
type Stamp uint64

// Tags are the tags of an entry, and the moment as of which they hold. They do not change, so entries may share them. A
// nil *Tags is of an entry without.
//
// An entry is gone once one of its tags has been invalidated after its stamp. So a value that is loaded is stamped with
// a moment before its source was read: an invalidation meanwhile reaches it, although it is stored only later.
type Tags struct {
	names []string
	stamp Stamp
	of    *Tags
}

// NewTags returns the tags with these names, whose order does not matter and which may come twice, as of stamp; nil if
// there are none. It copies the slice. It is an error that is ErrTags if a name is empty or longer than MaxTagLength, or
// if there are more than MaxTags.
//
// With a zero stamp, the store takes its own moment when it stores the entry. That is for an application that brings a
// value of its own by Set, SetMany, Add or Compute; a Fill or a Settle stores no entry whose tags have none.
func NewTags(stamp Stamp, names ...string) (*Tags, error) {
	if len(names) == 0 {
		return nil, nil
	}
	if err := CheckTags(names...); err != nil {
		return nil, err
	}
	names = slices.Clone(names)
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > MaxTags {
		return nil, fmt.Errorf("%w: %d on one entry, which may have %d", ErrTags, len(names), MaxTags)
	}
	return &Tags{names: slices.Clip(names), stamp: stamp}, nil
}

// CheckTags returns an error that is ErrTags if there are no tags, or if one is empty or longer than MaxTagLength. Stores
// check by it what they are to invalidate.
func CheckTags(names ...string) error {
	if len(names) == 0 {
		return fmt.Errorf("%w: there are none", ErrTags)
	}
	for i, name := range names {
		switch {
		case name == "":
			return fmt.Errorf("%w: number %d is empty", ErrTags, i+1)
		case len(name) > MaxTagLength:
			return fmt.Errorf("%w: number %d has %d bytes, more than %d", ErrTags, i+1, len(name), MaxTagLength)
		}
	}
	return nil
}

// Names returns the names, sorted, each once. The slice is shared: it is not to be changed.
func (t *Tags) Names() []string {
	if t == nil {
		return nil
	}
	return t.names
}

// Stamp returns the moment as of which the tags hold.
func (t *Tags) Stamp() Stamp {
	if t == nil {
		return 0
	}
	return t.stamp
}

// String returns the names and the stamp, for whoever prints an entry.
func (t *Tags) String() string {
	if t == nil {
		return "none"
	}
	return fmt.Sprintf("%q as of %d", t.names, t.stamp)
}

// Restamped returns the same tags as of a moment of another store, in which a copy of the entry is kept; [Tags.Original]
// is the way back.
func (t *Tags) Restamped(stamp Stamp) *Tags {
	if t == nil {
		return nil
	}
	return &Tags{names: t.names, stamp: stamp, of: t}
}

// Original returns the tags that these were made of by Restamped, or else t itself.
func (t *Tags) Original() *Tags {
	if t == nil || t.of == nil {
		return t
	}
	return t.of
}

// TagInvalidator is a Store or a Cache that forgets all entries that have a tag.
type TagInvalidator interface {
	// InvalidateTags removes every entry that has one of the tags, each as Delete would, at a cost that depends on the
	// number of tags alone. What is being loaded meanwhile is not stored if it turns out to have one of them. Tags that no
	// entry has are no error; none at all, and a bad one, are [ErrTags], and nothing is changed. After any other error,
	// some of the tags may have been invalidated; it is safe to try again.
	InvalidateTags(ctx context.Context, tags ...string) error
}

// Tagger is a Store whose entries can have tags: it keeps [Entry.Tags], and an entry one of whose tags was invalidated
// after its stamp is gone for every one of its methods, as one whose Expires has passed. On a store that is no Tagger an
// entry with tags must not be stored.
type Tagger interface {
	TagInvalidator
	// Stamp returns the present moment: what was invalidated before the call is not later than it. It is never zero.
	Stamp(ctx context.Context) (Stamp, error)
}

// TagWatch is a [Watch] that can be told of invalidated tags by name. One that cannot is told Lost instead.
type TagWatch interface {
	// Invalidated says that tags were invalidated: copies of entries that have one are old, and so is what is being read.
	Invalidated(tags []string)
}
