package storetest

import (
	"fmt"

	"github.com/tarncache/tarn"
)

// What the model knows of tags: the number of the last invalidation of each, and before which a stamp was taken. A store
// may refuse an entry that was stamped before an invalidation of other tags, if it does not remember whether its own
// were among them; see the doubts.

// tags makes some tags.
func (m *model) tags(stamp tarn.Stamp) *tarn.Tags {
	names := names("t", 3)
	m.rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
	return withTags("", stamp, names[:1+m.rng.IntN(3)]...).Tags
}

// loaded makes an entry whose tags, if it has any, have a stamp that was taken before, or now and then none.
func (m *model) loaded() entry {
	e := m.entry()
	if e.Tags != nil && m.rng.IntN(8) > 0 {
		e.Tags = m.tags(m.moment())
	}
	return e
}

// moment returns a stamp that was taken before; zero if there is none.
func (m *model) moment() (stamp tarn.Stamp) {
	for s, before := range m.moments { // of all, the one that a number chooses: maps are in no order
		if before%4 == int(m.n)%4 && s > stamp {
			stamp = s
		}
	}
	return stamp
}

// before returns how many invalidations were before the stamp of tags.
func (m *model) before(tags *tarn.Tags) int {
	if tags.Stamp() == 0 {
		return m.invalidations
	}
	return m.moments[tags.Stamp()]
}

// gone reports whether one of the tags was invalidated after their stamp.
func (m *model) gone(tags *tarn.Tags) bool {
	before := m.before(tags)
	for _, name := range tags.Names() {
		if m.invalidated[name] > before {
			return true
		}
	}
	return false
}

// doubts reports whether a store may take the tags for invalidated that were not.
func (m *model) doubts(tags *tarn.Tags) bool { return m.before(tags) < m.invalidations }

// stored compares what Fill or Settle said of an item that may be stored, but for its tags.
func (m *model) stored(i int, got, want bool, tags *tarn.Tags) error {
	want = want && (tags == nil || tags.Stamp() != 0 && !m.gone(tags))
	if want && m.doubts(tags) {
		want = got
	}
	return is(fmt.Sprintf("Stored of item %d", i), got, want)
}

// resolve asks the store what stands under a key, if that was its to choose.
func (m *model) resolve(key string) error {
	k := m.at[key]
	if k.found && k.doubt {
		_, found, err := m.x.store.Get(m.x.ctx, key)
		if err != nil {
			return err
		}
		k.found = found
	}
	k.doubt = false
	return nil
}

func (m *model) invalidate(string) error {
	tags := m.tags(0).Names()
	if m.rng.IntN(4) == 0 {
		tags = append(tags, "none")
	}
	m.detail("%v", tags)
	m.invalidations++
	for _, name := range tags {
		m.invalidated[name] = m.invalidations
	}
	if err := m.x.invalidate(tags...); err != nil {
		return err
	}
	for _, key := range m.keys {
		k := m.at[key]
		if !k.found || k.entry.Tags == nil {
			continue
		}
		for _, name := range k.entry.Tags.Names() {
			if m.invalidated[name] > k.after {
				k.found = false
			}
		}
		if !k.found {
			// Whether a lease that refreshes ends with its entry is the store's to choose.
			lease := k.lease
			k.lease = tarn.Token{}
			m.ask(key, lease)
		}
	}
	return nil
}

func (m *model) stamp(string) error {
	stamp, err := m.x.stamp()
	m.moments[stamp] = m.invalidations
	return err
}

// kept returns the tags of what stands under key, as the store keeps them.
func (m *model) kept(key string) (*tarn.Tags, error) {
	e, found, err := m.x.store.Get(m.x.ctx, key)
	if err = all(did("Get", err), is("Get: found", found, true)); err != nil || e.Tags == nil {
		return nil, err
	}
	m.moments[e.Tags.Stamp()] = m.at[key].after
	return e.Tags, nil
}

// setAgain stores an entry with the tags that it has, as who re-arms it does.
func (m *model) setAgain(key string) error {
	k := m.at[key]
	if !k.found {
		return nil
	}
	tags, err := m.kept(key)
	if err != nil {
		return err
	}
	e := m.entry()
	e.Tags = tags
	m.put(k, e)
	k.doubt = false // the store knows the tags: it has them
	return m.x.setEntry(key, e)
}

// setOlder stores an entry with a stamp of before.
func (m *model) setOlder(key string) error {
	k := m.at[key]
	if len(k.holds) > 0 {
		return nil
	}
	e := m.entry()
	e.Tags = m.tags(m.moment())
	m.detail("%v of %d", e.Tags.Names(), e.Tags.Stamp())
	m.put(k, e)
	return m.x.setEntry(key, e)
}
