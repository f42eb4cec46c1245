// Package guard holds the rules of leases and holds for one key, apart from any store: what may be taken, what
// a change voids, and what a settle does. A store keeps a [Record] beside each key on which something goes on, under
// the lock that protects the key.
package guard

import (
	"encoding/binary"
	"sync/atomic"

	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/ttl"
)

// MaxHolds is how many writers may hold one key at once.
const MaxHolds = 1024

// Record is what goes on at one key: nothing, a lease, or holds. The zero Record is nothing. The lock of the key
// protects it.
type Record struct {
	lease      tarn.Token // zero: none
	leaseUntil ttl.Time
	holds      []hold
	tainted    bool // since the key was last without holds, two overlapped or the key was invalidated
}

type hold struct {
	token tarn.Token
	until ttl.Time
}

// Lease takes the lease under token, or says who is in the way: the token of a lease that stands, or holds.
func (r *Record) Lease(token tarn.Token, now, until ttl.Time) (tarn.LeaseState, tarn.Token) {
	switch {
	case r.Held(now):
		return tarn.Held, tarn.Token{}
	case r.Leased(now):
		return tarn.Leased, r.lease
	}
	r.lease, r.leaseUntil = token, until
	return tarn.Granted, token
}

// Leased reports whether a lease stands.
func (r *Record) Leased(now ttl.Time) bool {
	return r.lease != (tarn.Token{}) && !r.leaseUntil.Passed(now)
}

// Stands reports whether the lease of token stands.
func (r *Record) Stands(token tarn.Token, now ttl.Time) bool {
	return r.Leased(now) && r.lease == token
}

// EndLease ends the lease of token and reports whether it stood, so that its value may be stored.
func (r *Record) EndLease(token tarn.Token, now ttl.Time) bool {
	stood := r.Stands(token, now)
	if r.lease == token {
		r.lease = tarn.Token{}
	}
	return stood
}

// Held reports whether the key is held. Holds whose deadline has passed are shed.
func (r *Record) Held(now ttl.Time) bool {
	live := r.holds[:0]
	for _, h := range r.holds {
		if !h.until.Passed(now) {
			live = append(live, h)
		}
	}
	if r.holds = live; len(live) == 0 {
		r.holds, r.tainted = nil, false
	}
	return len(live) > 0
}

// Change is told of every change to the key: it voids the lease and taints the holds.
func (r *Record) Change() {
	r.lease = tarn.Token{}
	r.tainted = len(r.holds) > 0
}

// Hold holds the key under token. It voids the lease, and two holds taint each other. The key's value is to be
// removed. It reports false, and changes nothing, if there are too many.
func (r *Record) Hold(token tarn.Token, now, until ttl.Time) bool {
	held := r.Held(now)
	if len(r.holds) >= MaxHolds {
		return false
	}
	r.lease = tarn.Token{}
	r.holds = append(r.holds, hold{token, until})
	r.tainted = r.tainted || held
	return true
}

// Verdict says what a settle does to the key.
type Verdict uint8

const (
	Forget Verdict = iota // empty the key
	Store                 // the writer's value may be stored
	Leave                 // others hold the key; it has no value
)

// Settle ends the hold of token.
func (r *Record) Settle(token tarn.Token, now ttl.Time) Verdict {
	r.Held(now)
	mine := false
	for i, h := range r.holds {
		if h.token == token {
			r.holds = append(r.holds[:i], r.holds[i+1:]...)
			mine = true
			break
		}
	}
	r.lease = tarn.Token{}
	if len(r.holds) > 0 {
		r.tainted = true
		return Leave
	}
	tainted := r.tainted
	r.holds, r.tainted = nil, false
	if mine && !tainted {
		return Store
	}
	return Forget
}

// Idle reports whether nothing goes on, so that the Record can be dropped.
func (r *Record) Idle(now ttl.Time) bool {
	return !r.Leased(now) && !r.Held(now)
}

// Tokens hands out tokens that are unique within it. The zero Tokens is ready.
type Tokens struct{ last atomic.Uint64 }

// Next returns a new token.
func (t *Tokens) Next() (token tarn.Token) {
	binary.LittleEndian.PutUint64(token[:], t.last.Add(1))
	return token
}
