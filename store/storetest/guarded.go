package storetest

import (
	"time"

	"github.com/tarncache/tarn"
)

// The steps of leases and holds.

// lease asks for a lease with a life that no row waits for.
func (x *trial) lease(key string) (tarn.Lease[string], error) {
	return x.leaseOn(key, tarn.LeaseTerms{Life: long})
}

func (x *trial) leaseOn(key string, terms tarn.LeaseTerms) (tarn.Lease[string], error) {
	into := make([]tarn.Lease[string], 1)
	if err := x.leaser.Lease(x.ctx, []string{key}, terms, into); err != nil {
		return into[0], wrong("Lease(%s): %w", clip(key), err)
	}
	return into[0], nil
}

// granted takes a lease that should be free.
func (x *trial) granted(key string) (tarn.Token, error) {
	return x.grantedOn(key, tarn.LeaseTerms{Life: long})
}

func (x *trial) grantedOn(key string, terms tarn.LeaseTerms) (tarn.Token, error) {
	l, err := x.leaseOn(key, terms)
	if err != nil {
		return l.Token, err
	}
	if l.State != tarn.Granted || l.Token == (tarn.Token{}) {
		return l.Token, wrong("Lease(%s): got state %d, token %x; want the lease granted", clip(key), l.State, l.Token)
	}
	return l.Token, nil
}

// state expects an answer other than Granted.
func (x *trial) state(key string, want tarn.LeaseState) error {
	l, err := x.lease(key)
	if err != nil {
		return err
	}
	if l.State != want {
		return wrong("Lease(%s): got state %d, want %d", clip(key), l.State, want)
	}
	if (want == tarn.Hit) != l.Found {
		return wrong("Lease(%s): state %d with Found %v", clip(key), l.State, l.Found)
	}
	return nil
}

// free expects a key without value, lease and hold. It takes a lease and gives it back.
func (x *trial) free(keys ...string) error {
	for _, key := range keys {
		token, err := x.granted(key)
		if err = all(err, x.release(key, token)); err != nil {
			return err
		}
	}
	return nil
}

// fill ends a lease with a value and expects the verdict.
func (x *trial) fill(key string, token tarn.Token, value string, stored bool) error {
	fills := []tarn.Fill[string, string]{{Key: key, Token: token, Store: true, Entry: plain(value), Stored: !stored}}
	if err := x.leaser.Fill(x.ctx, fills); err != nil {
		return wrong("Fill(%s): %w", clip(key), err)
	}
	if fills[0].Stored != stored {
		return wrong("Fill(%s, %s): Stored is %v, want %v", clip(key), clip(value), fills[0].Stored, stored)
	}
	return nil
}

// release gives a lease back.
func (x *trial) release(key string, token tarn.Token) error {
	fills := []tarn.Fill[string, string]{{Key: key, Token: token, Entry: plain("released"), Stored: true}}
	if err := x.leaser.Fill(x.ctx, fills); err != nil {
		return wrong("Fill(%s) without Store: %w", clip(key), err)
	}
	if fills[0].Stored {
		return wrong("Fill(%s) without Store: Stored is true", clip(key))
	}
	return nil
}

// stands expects the answer of Stands.
func (x *trial) stands(key string, token tarn.Token, want bool) error {
	into := []bool{!want}
	if err := x.leaser.Stands(x.ctx, []string{key}, []tarn.Token{token}, into); err != nil {
		return wrong("Stands(%s): %w", clip(key), err)
	}
	if into[0] != want {
		return wrong("Stands(%s): got %v, want %v", clip(key), into[0], want)
	}
	return nil
}

func (x *trial) hold(key string) (tarn.Token, error) { return x.holdFor(key, long) }

func (x *trial) holdFor(key string, life time.Duration) (tarn.Token, error) {
	tokens := make([]tarn.Token, 1)
	if err := x.holder.Hold(x.ctx, []string{key}, life, tokens); err != nil {
		return tokens[0], wrong("Hold(%s): %w", clip(key), err)
	}
	if tokens[0] == (tarn.Token{}) {
		return tokens[0], wrong("Hold(%s): the token is zero", clip(key))
	}
	return tokens[0], nil
}

// settle ends a hold with a value and expects the verdict.
func (x *trial) settle(key string, token tarn.Token, value string, stored bool) error {
	s := []tarn.Settlement[string, string]{{Key: key, Token: token, Store: true, Entry: plain(value), Stored: !stored}}
	if err := x.holder.Settle(x.ctx, s); err != nil {
		return wrong("Settle(%s): %w", clip(key), err)
	}
	if s[0].Stored != stored {
		return wrong("Settle(%s, %s): Stored is %v, want %v", clip(key), clip(value), s[0].Stored, stored)
	}
	return nil
}

// forget ends a hold without a value.
func (x *trial) forget(key string, token tarn.Token) error {
	s := []tarn.Settlement[string, string]{{Key: key, Token: token, Entry: plain("forgotten"), Stored: true}}
	if err := x.holder.Settle(x.ctx, s); err != nil {
		return wrong("Settle(%s) without Store: %w", clip(key), err)
	}
	if s[0].Stored {
		return wrong("Settle(%s) without Store: Stored is true", clip(key))
	}
	return nil
}

// held expects a key that is held: Set refuses it, and it has no value.
func (x *trial) held(keys ...string) error {
	for _, key := range keys {
		err := x.store.Set(x.ctx, key, plain("set while held"))
		if err = all(fails("Set of a held key", err, tarn.ErrHeld), x.misses(key)); err != nil {
			return err
		}
	}
	return nil
}

// unheld expects keys that are not held and have no value. It leaves them so.
func (x *trial) unheld(keys ...string) error {
	for _, key := range keys {
		if err := all(x.misses(key), x.set(key, "unheld"), x.has(key, "unheld"), x.del(key)); err != nil {
			return err
		}
	}
	return nil
}
