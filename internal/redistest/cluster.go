package redistest

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn/store/redisstore"
)

// Shards is the number of masters in a Cluster, each of which begins with a third of the slots and one replica.
const Shards = 3

// Cluster is a Redis Cluster of three masters with a replica each. Its methods are for the goroutine of a test.
type Cluster struct {
	t     testing.TB
	nodes []*Server // node i+Shards began as the replica of node i
	ids   []string
	buses []int // the ports by which the nodes speak to each other
}

// How long a node may not answer before the others replace it, in milliseconds: a machine on which much is going on
// holds nodes up for longer than who waits for another owner wants to.
const (
	patientNodes = "6000"
	hastyNodes   = "1500"
)

// StartCluster starts a cluster, each node with the options, and waits until it answers: Redis itself makes it wait
// two seconds. A master that is gone is replaced within a few when AwaitOwner waits for it.
func StartCluster(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	var err error
	for range 5 {
		c := newCluster(t, options...)
		if err = c.begin(); err == nil {
			c.Await()
			return c
		}
		for _, node := range c.nodes {
			node.end()
		}
	}
	t.Fatal(err)
	return nil
}

func newCluster(t testing.TB, options ...Option) *Cluster {
	t.Helper()
	c := &Cluster{t: t}
	for range 2 * Shards {
		node, bus := newServer(t, options...), freePort(t)
		node.findPorts()
		node.lines = append([]string{
			"cluster-enabled yes",
			"cluster-config-file nodes.conf",
			"cluster-port " + strconv.Itoa(bus),
			"cluster-node-timeout " + patientNodes,
			"cluster-replica-validity-factor 0",
			"cluster-allow-replica-migration no",
		}, node.lines...)
		c.nodes = append(c.nodes, node)
		c.ids = append(c.ids, newID())
		c.buses = append(c.buses, bus)
	}
	return c
}

// begin starts the nodes with files that say what the cluster is. Nodes that have to meet first take seconds.
func (c *Cluster) begin() error {
	for i, node := range c.nodes {
		file := filepath.Join(node.dir, "nodes.conf")
		if err := os.WriteFile(file, []byte(c.seenBy(i)), 0o600); err != nil {
			return fmt.Errorf("redistest: %w", err)
		}
		if err := node.begin(); err != nil {
			return err
		}
	}
	return nil
}

// seenBy is the cluster as a node's file describes it (https://redis.io/docs/latest/commands/cluster-nodes).
func (c *Cluster) seenBy(self int) string {
	var b strings.Builder
	for i, node := range c.nodes {
		myself := ""
		if i == self {
			myself = "myself,"
		}
		fmt.Fprintf(&b, "%s %s@%d %s", c.ids[i], node.Addr(), c.buses[i], myself)
		if shard := i % Shards; i == shard {
			first, last := shard*Slots/Shards, (shard+1)*Slots/Shards-1
			fmt.Fprintf(&b, "master - 0 0 %d connected %d-%d\n", shard+1, first, last)
		} else {
			fmt.Fprintf(&b, "slave %s 0 0 %d connected\n", c.ids[shard], shard+1)
		}
	}
	fmt.Fprintf(&b, "vars currentEpoch %d lastVoteEpoch 0\n", Shards)
	return b.String()
}

// Addrs are the addresses of all nodes.
func (c *Cluster) Addrs() []string { return addrs(c.nodes) }

// Nodes are all nodes.
func (c *Cluster) Nodes() []*Server { return slices.Clone(c.nodes) }

// Masters are the nodes that say they are masters.
func (c *Cluster) Masters() []*Server {
	return slices.DeleteFunc(c.Nodes(), func(n *Server) bool { return n.run.Ended() || !n.says("role:master") })
}

// Await returns when every node that runs says that the cluster is whole, when all agree on who has which slots, and
// when the replicas have what their masters have.
func (c *Cluster) Await() {
	c.t.Helper()
	eventually(c.t, "the cluster is whole", c.nodes, func() bool {
		view := ""
		for _, node := range c.nodes {
			if node.run.Ended() {
				continue
			}
			whole := strings.Contains(node.look("CLUSTER", "INFO").Text, "cluster_state:ok")
			seen := ownersSeen(node.look("CLUSTER", "SLOTS"))
			if !whole || !node.inStep() || seen == "" || view != "" && seen != view {
				return false
			}
			view = seen
		}
		return true
	})
}

// owners calls f with each range of slots and the address of its master, of an answer to CLUSTER SLOTS.
func owners(slots redisstore.Reply, f func(first, last int, addr string)) {
	for _, r := range slots.Items {
		if len(r.Items) < 3 || len(r.Items[2].Items) < 2 {
			continue
		}
		master := r.Items[2].Items
		f(int(r.Items[0].Int), int(r.Items[1].Int), master[0].Text+":"+strconv.FormatInt(master[1].Int, 10))
	}
}

func ownersSeen(slots redisstore.Reply) string {
	var seen []string
	owners(slots, func(first, last int, addr string) { seen = append(seen, fmt.Sprint(first, "-", last, " ", addr)) })
	slices.Sort(seen)
	return strings.Join(seen, "\n")
}

// Owner is the node that has a slot, as all nodes agree.
func (c *Cluster) Owner(slot int) *Server {
	c.t.Helper()
	c.Await()
	for _, node := range c.nodes {
		if node.run.Ended() {
			continue
		}
		var owner *Server
		owners(node.look("CLUSTER", "SLOTS"), func(first, last int, addr string) {
			if i := slices.Index(c.Addrs(), addr); first <= slot && slot <= last && i >= 0 {
				owner = c.nodes[i]
			}
		})
		if owner != nil {
			return owner
		}
	}
	c.t.Fatalf("redistest: nobody has slot %d", slot)
	return nil
}

// Failover makes the replica of the node that has a slot take over from it, without losing a write, and returns the
// new owner when all agree.
func (c *Cluster) Failover(slot int) *Server {
	c.t.Helper()
	old := c.Owner(slot)
	for _, node := range c.nodes {
		if !node.run.Ended() && node.says("role:slave") && node.follows(old) {
			return c.take(node, slot, old)
		}
	}
	c.t.Fatal("redistest: failover: the master has no replica")
	return nil
}

// manualFailover is how long Redis tries what CLUSTER FAILOVER asks for.
const manualFailover = 5 * time.Second

// take makes a replica take over from the owner of a slot. It may give up, or the other masters may not have a vote
// for it yet; then it is asked once more.
func (c *Cluster) take(replica *Server, slot int, old *Server) *Server {
	c.t.Helper()
	var owner *Server
	asked := time.Time{}
	eventually(c.t, "the replica takes over", c.nodes, func() bool {
		if owner = c.Owner(slot); owner != old {
			return true
		}
		if time.Since(asked) > manualFailover+time.Second {
			replica.look("CLUSTER", "FAILOVER")
			asked = time.Now()
		}
		return false
	})
	return owner
}

// AwaitOwner returns who has a slot when that is not the server not, all agree, and the cluster is whole. Until then the
// nodes are quick to replace one that does not answer.
func (c *Cluster) AwaitOwner(slot int, not *Server) *Server {
	c.t.Helper()
	c.everywhere("CONFIG", "SET", "cluster-node-timeout", hastyNodes)
	defer c.everywhere("CONFIG", "SET", "cluster-node-timeout", patientNodes)
	var owner *Server
	eventually(c.t, "the slot has another owner", c.nodes, func() bool {
		owner = c.Owner(slot)
		return owner != not
	})
	return owner
}

// everywhere sends a command to every node that runs.
func (c *Cluster) everywhere(command ...string) {
	c.t.Helper()
	for _, node := range c.nodes {
		if !node.run.Ended() {
			node.Call(command...)
		}
	}
}

// Client returns a new client of the cluster, which is closed when the test ends.
func (c *Cluster) Client() *ClusterClient {
	client := DialCluster(c.Addrs(), Config{})
	c.t.Cleanup(client.Close)
	return client
}
