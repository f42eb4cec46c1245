package main

import (
	"bufio"
	"context"
	"fmt"
)

// book is what the parent knows of the drafts by what its children said.
type book struct {
	last         map[int64]*entry
	acknowledged int // writes
	inRound      int // by the last child
	replayed     int64
}

// entry is what a draft may be.
type entry struct {
	revision int64   // the last that was acknowledged; 0: none was
	maybe    []int64 // those begun since
}

func newBook() *book { return &book{last: make(map[int64]*entry)} }

// drafts returns how many drafts were written.
func (b *book) drafts() int { return len(b.last) }

// note notes what a child says until it is silent for ever. It calls wrote when the child's first write is acknowledged.
func (b *book) note(said *bufio.Scanner, wrote func()) error {
	b.inRound, b.replayed = 0, 0
	for said.Scan() {
		var what string
		var id, revision int64
		if n, _ := fmt.Sscan(said.Text(), &what, &id, &revision); n < 2 {
			return fmt.Errorf("the child says %q", said.Text())
		}
		if what == saidFound {
			b.replayed = id
			continue
		}
		e := b.last[id]
		if e == nil {
			e = new(entry)
			b.last[id] = e
		}
		if what == saidBegin {
			e.maybe = append(e.maybe, revision)
			continue
		}
		e.revision, e.maybe = revision, nil
		b.acknowledged++
		if b.inRound++; b.inRound == 1 {
			wrote()
		}
	}
	return said.Err()
}

// behind returns the drafts that are older in the database than what was acknowledged.
func (b *book) behind(ctx context.Context, dir string) ([]int64, error) {
	has, err := revisions(ctx, dir)
	if err != nil {
		return nil, fmt.Errorf("read the database: %w", err)
	}
	var ids []int64
	for id, e := range b.last {
		if !e.allows(has[id]) {
			ids = append(ids, id)
		}
	}
	return ids, nil
}

// allows reports whether a draft may have this revision; 0: it is discarded, or was never written.
func (e *entry) allows(revision int64) bool {
	for _, may := range append([]int64{e.revision}, e.maybe...) {
		if may == revision || discards(may) && revision == 0 {
			return true
		}
	}
	return false
}

// revisions returns the revisions of all drafts that the database has.
func revisions(ctx context.Context, dir string) (map[int64]int64, error) {
	db, err := openDatabase(ctx, dir)
	if err != nil {
		return nil, err
	}
	defer db.Close()
	rows, err := db.QueryContext(ctx, `select id, revision from drafts where not deleted`)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	has := make(map[int64]int64)
	for rows.Next() {
		var id, revision int64
		if err := rows.Scan(&id, &revision); err != nil {
			return nil, err
		}
		has[id] = revision
	}
	return has, rows.Err()
}
