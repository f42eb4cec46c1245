package redistest

import (
	"slices"
	"strconv"
)

// Move is a slot on its way from one node to another: the old owner answers for the keys that it still has, and sends
// whoever asks for another key to the new owner with ASK. The new owner answers nobody who was not sent.
type Move struct {
	c        *Cluster
	slot     int
	from, to *Server
}

// MoveSlot moves a slot with all its keys to another node, while the cluster serves. It returns when all agree.
func (c *Cluster) MoveSlot(slot int, to *Server) {
	c.t.Helper()
	m := c.BeginMove(slot, to)
	m.Keys(-1)
	m.End()
}

// BeginMove begins to move a slot to another node, which has to be a master.
func (c *Cluster) BeginMove(slot int, to *Server) *Move {
	c.t.Helper()
	m := &Move{c: c, slot: slot, from: c.Owner(slot), to: to}
	m.to.Call("CLUSTER", "SETSLOT", strconv.Itoa(slot), "IMPORTING", c.id(m.from))
	m.from.Call("CLUSTER", "SETSLOT", strconv.Itoa(slot), "MIGRATING", c.id(m.to))
	return m
}

// Keys moves n keys, or all of them if n is negative, and returns how many it has moved.
func (m *Move) Keys(n int) int {
	m.c.t.Helper()
	moved := 0
	for n < 0 || moved < n {
		count := 100
		if n >= 0 {
			count = min(count, n-moved)
		}
		keys := m.from.Call("CLUSTER", "GETKEYSINSLOT", strconv.Itoa(m.slot), strconv.Itoa(count)).Items
		if len(keys) == 0 {
			break
		}
		command := []string{
			"MIGRATE", "127.0.0.1", strconv.Itoa(m.to.port), "", "0", "5000", "REPLACE", "AUTH2", adminName, adminPassword, "KEYS",
		}
		for _, key := range keys {
			command = append(command, key.Text)
		}
		m.from.Call(command...)
		moved += len(keys)
	}
	return moved
}

// End makes the new node the owner of the slot, and returns when all agree. All keys have to be moved by then.
func (m *Move) End() {
	m.c.t.Helper()
	masters := m.c.Masters()
	slices.SortFunc(masters, func(a, b *Server) int { return m.turn(a) - m.turn(b) })
	for _, master := range masters {
		master.Call("CLUSTER", "SETSLOT", strconv.Itoa(m.slot), "NODE", m.c.id(m.to))
	}
	m.c.Await()
}

// turn is when a node is told of the new owner: the new owner first, so that the slot is never without one.
func (m *Move) turn(s *Server) int {
	switch s {
	case m.to:
		return 0
	case m.from:
		return 1
	default:
		return 2
	}
}

func (c *Cluster) id(s *Server) string { return c.ids[slices.Index(c.nodes, s)] }
