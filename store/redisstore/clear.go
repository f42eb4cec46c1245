package redisstore

import "context"

// Clear removes all entries of the namespace, voids its leases and taints its holds, by giving each partition a new
// generation: it takes as long as there are partitions, however many entries there are. They are still in Redis and are
// not found; Redis forgets them when they expire or it needs the room. Where Clear returns an error, some partitions
// may be cleared and others not.
func (s *Store[K, V]) Clear(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return wrap("clear", err)
	}
	n := len(s.names.records)
	commands, replies := make([]Command, n), make([]Reply, n)
	for p := range commands {
		commands[p] = s.callPartition("clear", p)
	}
	s.run(ctx, commands, replies)
	for _, r := range replies {
		if err := answered(r, "cleared"); err != nil {
			return wrap("clear", err)
		}
	}
	return nil
}
