package redistest

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tarncache/tarn/store/redisstore"
)

// MasterName is the name by which sentinels know their master.
const MasterName = "tarn"

// Sentinels is a master with two replicas, watched by three sentinels. Its methods are for the goroutine of a test.
type Sentinels struct {
	t         testing.TB
	servers   []*Server // the first began as the master
	sentinels []*Server
}

// How long a master may not answer before the sentinels replace it, in milliseconds: a machine on which much is going
// on holds a server up for longer than who waits for another master wants to.
const (
	patientSentinels = "10000"
	hastySentinels   = "1000"
)

// StartSentinels starts three servers, each with the options, and three sentinels, and waits until all know each
// other. A master that is gone is replaced within a few seconds when AwaitMaster waits for it.
func StartSentinels(t testing.TB, options ...Option) *Sentinels {
	t.Helper()
	s := &Sentinels{t: t}
	for range 3 {
		s.servers = append(s.servers, Start(t, options...))
	}
	for _, replica := range s.servers[1:] {
		replica.Call("REPLICAOF", "127.0.0.1", strconv.Itoa(s.servers[0].port))
	}
	s.awaitFollowers(s.servers[0])
	s.startSentinels()
	return s
}

// failoverTimeout is how long a failover may take before the sentinels give it up.
const failoverTimeout = 4 * time.Second

// hasty makes a sentinel find out within a second what otherwise takes it ten or more, and shortens how long it trusts
// nobody after it has been held up itself. In milliseconds.
var hasty = []string{
	"SENTINEL", "DEBUG", "info-period", "400", "ping-period", "500", "ask-period", "200", "publish-period", "200",
	"election-timeout", "2000", "min-link-reconnect-period", "500", "tilt-period", "1000",
}

// startSentinels tells each sentinel at once what it would find out within seconds.
func (s *Sentinels) startSentinels() {
	s.t.Helper()
	var err error
	for range 5 {
		if err = s.beginSentinels(); err == nil {
			break
		}
		for _, sentinel := range s.sentinels {
			sentinel.end()
		}
	}
	if err != nil {
		s.t.Fatal(err)
	}
	eventually(s.t, "the sentinels know the replicas and each other", s.all(), func() bool {
		return !slices.ContainsFunc(s.sentinels, func(sentinel *Server) bool {
			return !sentinel.says("master0:name=" + MasterName + ",status=ok,address=" + s.servers[0].Addr() + ",slaves=2,sentinels=3")
		})
	})
}

// beginSentinels fails where another program was quicker to a port.
func (s *Sentinels) beginSentinels() error {
	s.t.Helper()
	s.sentinels = nil
	ids := make([]string, 3)
	for i := range ids {
		ids[i] = newID()
		sentinel := newServer(s.t)
		sentinel.mode = []string{"--sentinel"}
		sentinel.findPorts()
		s.sentinels = append(s.sentinels, sentinel)
	}
	for i, sentinel := range s.sentinels {
		sentinel.lines = s.linesOfSentinel(ids, i)
		if err := sentinel.begin(); err != nil {
			return err
		}
		sentinel.Call(hasty...)
	}
	return nil
}

func (s *Sentinels) linesOfSentinel(ids []string, i int) []string {
	port := func(s *Server) string { return strconv.Itoa(s.port) }
	lines := []string{
		"bind 127.0.0.1",
		"protected-mode no",
		"user " + adminName + " on >" + adminPassword + " ~* &* +@all",
		"sentinel myid " + ids[i],
		"sentinel monitor " + MasterName + " 127.0.0.1 " + port(s.servers[0]) + " 2",
		"sentinel auth-user " + MasterName + " " + adminName,
		"sentinel auth-pass " + MasterName + " " + adminPassword,
		"sentinel down-after-milliseconds " + MasterName + " " + patientSentinels,
		"sentinel failover-timeout " + MasterName + " " + strconv.FormatInt(failoverTimeout.Milliseconds(), 10),
		"sentinel parallel-syncs " + MasterName + " 2",
	}
	for _, replica := range s.servers[1:] {
		lines = append(lines, "sentinel known-replica "+MasterName+" 127.0.0.1 "+port(replica))
	}
	for k, other := range s.sentinels {
		if k != i {
			lines = append(lines, "sentinel known-sentinel "+MasterName+" 127.0.0.1 "+port(other)+" "+ids[k])
		}
	}
	return lines
}

// newID returns what Redis names a node or a run by.
func newID() string {
	var id [20]byte
	_, _ = rand.Read(id[:])
	return hex.EncodeToString(id[:])
}

// Addrs are the addresses of the sentinels.
func (s *Sentinels) Addrs() []string { return addrs(s.sentinels) }

// Servers are the master and its replicas.
func (s *Sentinels) Servers() []*Server { return slices.Clone(s.servers) }

func addrs(servers []*Server) []string {
	var addrs []string
	for _, s := range servers {
		addrs = append(addrs, s.Addr())
	}
	return addrs
}

// Master is the server that all sentinels say is the master, having replaced every other, and that says so itself; nil
// while there is none.
func (s *Sentinels) Master() *Server {
	var master string
	for i, sentinel := range s.sentinels {
		_, line, _ := strings.Cut(sentinel.look("INFO", "sentinel").Text, "master0:name="+MasterName+",status=ok,address=")
		said, _, _ := strings.Cut(line, ",")
		if said == "" || i > 0 && said != master {
			return nil
		}
		master = said
	}
	for _, server := range s.servers {
		if server.Addr() == master && !server.run.Ended() && server.says("role:master") {
			return server
		}
	}
	return nil
}

// masterOf is the address in the answer of a sentinel, if there is one.
func masterOf(reply redisstore.Reply) string {
	if len(reply.Items) != 2 {
		return ""
	}
	return reply.Items[0].Text + ":" + reply.Items[1].Text
}

// Failover makes the sentinels replace the master, as if it were down, by one of its replicas, and returns when it is
// done and the old master follows the new one, which is returned.
func (s *Sentinels) Failover() *Server {
	s.t.Helper()
	old, asked := s.AwaitMaster(nil), time.Time{}
	var master *Server
	eventually(s.t, "there is another master", s.all(), func() bool {
		// They may refuse for a moment, or give up half-way.
		if time.Since(asked) > failoverTimeout {
			s.sentinels[0].look("SENTINEL", "FAILOVER", MasterName)
			asked = time.Now()
		}
		master = s.Master()
		return master != nil && master != old
	})
	s.awaitFollowers(master)
	return master
}

// AwaitMaster returns the master once there is one that is not the server not. If that is one, the sentinels are quick
// to replace a master that does not answer until then.
func (s *Sentinels) AwaitMaster(not *Server) *Server {
	s.t.Helper()
	if not != nil {
		s.downAfter(hastySentinels)
		defer s.downAfter(patientSentinels)
	}
	var master *Server
	eventually(s.t, "there is a master", s.all(), func() bool {
		master = s.Master()
		return master != nil && master != not
	})
	return master
}

// downAfter sets after how many milliseconds without an answer a sentinel takes a master for gone.
func (s *Sentinels) downAfter(ms string) {
	s.t.Helper()
	for _, sentinel := range s.sentinels {
		sentinel.Call("SENTINEL", "SET", MasterName, "down-after-milliseconds", ms)
	}
}

// Await returns when there is a master, and all other servers that run have what it has.
func (s *Sentinels) Await() {
	s.t.Helper()
	s.awaitFollowers(s.AwaitMaster(nil))
}

func (s *Sentinels) awaitFollowers(master *Server) {
	s.t.Helper()
	eventually(s.t, "the replicas follow", s.all(), func() bool {
		return !slices.ContainsFunc(s.servers, func(server *Server) bool {
			return !server.run.Ended() && (!server.inStep() || server != master && !server.follows(master))
		})
	})
}

func (s *Sentinels) all() []*Server { return slices.Concat(s.servers, s.sentinels) }

// follows reports whether the server is a replica of the master.
func (s *Server) follows(master *Server) bool {
	return s.says("master_port:" + strconv.Itoa(master.port))
}

// Client returns a new client of whichever server is the master, which is closed when the test ends.
func (s *Sentinels) Client() *Following {
	f := &Following{sentinels: s.Addrs()}
	s.t.Cleanup(f.Close)
	return f
}
