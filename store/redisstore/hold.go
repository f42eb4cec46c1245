package redisstore

import (
	"context"
	"strconv"
	"time"

	"github.com/tarncache/tarn"
)

// Hold holds keys, all or, with an error, none of them, in one round trip. A key can be held by 1024 writers at once;
// more are [tarn.ErrTooManyHolds]. What a hold removed is put back if others of its keys could not be held. A full
// Redis does not hinder it. Where it cannot be known whether Redis ran it, a hold may be left that ends by itself
// after its life, whose resolution is a millisecond.
func (s *Store[K, V]) Hold(ctx context.Context, keys []K, life time.Duration, tokens []tarn.Token) error {
	switch {
	case life <= 0:
		return errHoldLife
	case len(keys) != len(tokens):
		return errLengths("hold", len(keys), len(tokens))
	}
	names, err := s.batch(ctx, keys)
	if err != nil {
		return wrap("hold", err)
	}
	commands, replies := make([]Command, len(keys)), make([]Reply, len(keys))
	ms, restore := strconv.FormatInt(milliseconds(min(life, forever)), 10), ""
	if len(keys) > 1 {
		restore = "r"
	}
	for i, name := range names {
		tokens[i] = newToken()
		commands[i] = s.call("hold", name, 2, string(tokens[i][:]), ms, restore)
	}
	s.run(ctx, commands, replies)
	for _, r := range replies {
		if err = holdError(r); err != nil {
			s.unhold(ctx, names, tokens, replies)
			return wrap("hold", err)
		}
	}
	return nil
}

func holdError(r Reply) error {
	switch {
	case r.Err != nil:
		return r.Err
	case len(r.Items) == 0:
		return errReply
	case r.Items[0].Text == "full":
		return tarn.ErrTooManyHolds
	case r.Items[0].Text != "held":
		return errReply
	}
	return nil
}

// unhold takes back the holds that there are or may be, under which nothing was written.
func (s *Store[K, V]) unhold(ctx context.Context, names []keyName, tokens []tarn.Token, held []Reply) {
	var commands []Command
	for i, r := range held {
		before, left := "", int64(0)
		switch {
		case r.Err == nil && holdError(r) != nil:
			continue
		case len(r.Items) == 3:
			before, left = r.Items[1].Text, r.Items[2].Int
		}
		if left <= 0 {
			before = ""
		}
		commands = append(commands,
			s.call("unhold", names[i], 2, string(tokens[i][:]), before, strconv.FormatInt(left, 10)))
	}
	if len(commands) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	s.run(ctx, commands, make([]Reply, len(commands)))
}

// Settle ends holds, in one round trip, and one more where entries have tags. An entry that is too large, cannot be
// encoded, has expired, or for which a full Redis has no room leaves its key empty; that is no error, for its source
// has it. Stored is false then, and [Stats] counts what was refused. Where some settlements failed, the error is a
// [tarn.IndexError].
func (s *Store[K, V]) Settle(ctx context.Context, settlements []tarn.Settlement[K, V]) error {
	if err := ctx.Err(); err != nil {
		return wrap("settle", err)
	}
	commands, replies := make([]Command, len(settlements)), make([]Reply, len(settlements))
	var all []*tarn.Tags
	for i := range settlements {
		if t := &settlements[i]; t.Store && t.Entry.Tags != nil {
			all = append(all, t.Entry.Tags)
		}
	}
	t := s.tagging(ctx, all...)
	stored := make([]*tarn.Tags, len(settlements))
	for i := range settlements {
		end := &settlements[i]
		end.Stored = false
		name, err := s.names.name(end.Key)
		if err != nil {
			return wrap("settle", err)
		}
		var args [4]string
		if end.Store {
			if args, stored[i], err = s.lives(name, &end.Entry, t, false); err != nil {
				s.counts.refused.Add(1)
			}
		}
		commands[i] = s.call("settle", name, 2, string(end.Token[:]), args[0], args[1], args[2], args[3])
	}
	s.runTagged(ctx, t, commands, replies)
	errs := make(tarn.IndexError, len(settlements))
	for i, r := range replies {
		errs[i] = answered(r, "stored", "left", "emptied", "refused")
		settlements[i].Stored = errs[i] == nil && r.Text == "stored"
		if settlements[i].Stored && t != nil {
			// Where it is not known whether the tags have records, the key is as good as empty, or has the entry.
			settlements[i].Stored, _ = t.stood(stored[i])
		}
		if r.Text == "refused" {
			s.counts.refused.Add(1)
		}
	}
	return wrap("settle", failures(errs))
}
