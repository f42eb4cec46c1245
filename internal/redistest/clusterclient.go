package redistest

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"github.com/tarncache/tarn/store/redisstore"
)

// ClusterClient speaks to a cluster. It goes where MOVED and ASK send it, and repeats nothing else by itself. It
// implements [redisstore.Client] and [redisstore.Subscriber].
type ClusterClient struct {
	seeds  []string
	config Config

	mu     sync.Mutex // protects all below
	nodes  map[string]*Client
	owners *[Slots]string // nil: a node is asked at the next call
	closed bool
}

var (
	_ redisstore.Client     = (*ClusterClient)(nil)
	_ redisstore.Subscriber = (*ClusterClient)(nil)
)

// DialCluster returns a client of the cluster to which the nodes at the addresses belong.
func DialCluster(addrs []string, cfg Config) *ClusterClient {
	return &ClusterClient{seeds: addrs, config: cfg, nodes: make(map[string]*Client)}
}

// Close closes the connections.
func (c *ClusterClient) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, node := range c.nodes {
		node.Close()
	}
}

// Sharded reports true.
func (c *ClusterClient) Sharded() bool { return true }

// Do is as [redisstore.Client] says. A command without keys goes to any node.
func (c *ClusterClient) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	if err := ctx.Err(); err != nil {
		fail(replies, err)
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.config.timeout())
	defer cancel()
	left, err := c.routes(ctx, commands)
	if err != nil {
		fail(replies, errOf(ctx, err))
		return
	}
	for try := 0; len(left) > 0; try++ {
		c.send(ctx, left, replies)
		if try == 16 {
			return
		}
		left = c.redirected(left, replies)
		if try > 0 && len(left) > 0 && !pause(ctx, time.Duration(try)*time.Millisecond) {
			return
		}
	}
}

// Call sends one command, of which the second word is the key. The error is that of the reply.
func (c *ClusterClient) Call(ctx context.Context, command ...string) (redisstore.Reply, error) {
	if len(command) < 2 {
		return call(ctx, c, words(command...))
	}
	return call(ctx, c, redisstore.Command{Words: command[:1], Keys: command[1:2], Args: command[2:]})
}

// Subscribe is as [redisstore.Subscriber] says: every node of a cluster passes every message on.
func (c *ClusterClient) Subscribe(ctx context.Context, channel string, ready func(), receive func(string)) error {
	err := errors.New("redistest: the cluster has no nodes")
	for _, addr := range c.seeds {
		subscribed := false
		err = subscribe(ctx, addr, c.config, channel, func() { subscribed = true; ready() }, receive)
		if subscribed || ctx.Err() != nil {
			return err
		}
	}
	return err
}

// route is where the i-th command goes.
type route struct {
	i       int
	command redisstore.Command
	addr    string
	asking  bool
}

func (c *ClusterClient) routes(ctx context.Context, commands []redisstore.Command) ([]route, error) {
	owners, err := c.table(ctx)
	if err != nil {
		return nil, err
	}
	routes := make([]route, len(commands))
	for i, command := range commands {
		addr := c.seeds[0]
		if len(command.Keys) > 0 {
			addr = owners[Slot(command.Keys[0])]
		}
		routes[i] = route{i: i, command: command, addr: addr}
	}
	return routes, nil
}

// send sends what is for one node in one go, and to all nodes at once.
func (c *ClusterClient) send(ctx context.Context, routes []route, replies []redisstore.Reply) {
	byNode := make(map[string][]route)
	for _, r := range routes {
		byNode[r.addr] = append(byNode[r.addr], r)
	}
	var sent sync.WaitGroup
	for addr, routes := range byNode {
		sent.Go(func() { c.sendTo(ctx, addr, routes, replies) })
	}
	sent.Wait()
}

func (c *ClusterClient) sendTo(ctx context.Context, addr string, routes []route, replies []redisstore.Reply) {
	var commands []redisstore.Command
	for _, r := range routes {
		if r.asking {
			commands = append(commands, words("ASKING"))
		}
		commands = append(commands, r.command)
	}
	got := make([]redisstore.Reply, len(commands))
	c.node(addr).Do(ctx, commands, got)
	k := 0
	for _, r := range routes {
		if r.asking {
			k++
		}
		replies[r.i] = got[k]
		k++
	}
}

// redirected returns what has to be sent once more, and where.
func (c *ClusterClient) redirected(routes []route, replies []redisstore.Reply) []route {
	var again []route
	for _, r := range routes {
		err := replies[r.i].Err
		if err == nil {
			continue
		}
		var said ServerError
		if !errors.As(err, &said) {
			c.forget() // the node may be gone for good
			continue
		}
		code, rest, _ := strings.Cut(string(said), " ")
		_, addr, _ := strings.Cut(rest, " ")
		switch code {
		case "MOVED":
			c.forget()
			again = append(again, route{i: r.i, command: r.command, addr: addr})
		case "ASK":
			again = append(again, route{i: r.i, command: r.command, addr: addr, asking: true})
		case "TRYAGAIN": // some of the keys have moved
			again = append(again, r)
		}
	}
	return again
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

func (c *ClusterClient) node(addr string) *Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	node := c.nodes[addr]
	if node == nil {
		node = Dial(addr, c.config)
		c.nodes[addr] = node
		if c.closed {
			node.Close()
		}
	}
	return node
}

func (c *ClusterClient) forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owners = nil
}

// table returns the address of each slot's master, as the first node says that answers.
func (c *ClusterClient) table(ctx context.Context) (*[Slots]string, error) {
	c.mu.Lock()
	table := c.owners
	c.mu.Unlock()
	if table != nil {
		return table, nil
	}
	err := errors.New("redistest: the cluster has no nodes")
	for _, addr := range c.seeds {
		var reply redisstore.Reply
		if reply, err = c.node(addr).Call(ctx, "CLUSTER", "SLOTS"); err != nil {
			continue
		}
		table = new([Slots]string)
		owners(reply, func(first, last int, addr string) {
			for slot := first; slot <= last; slot++ {
				table[slot] = addr
			}
		})
		c.mu.Lock()
		c.owners = table
		c.mu.Unlock()
		return table, nil
	}
	return nil, err
}
