package proof

import (
	"context"
	"crypto/sha1"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/rueidis"
	"github.com/tarncache/tarn/store/redisstore"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/redisstore/rueidisclient"
)

// Redis says where Redis is, and with which client to go there.
type Redis struct {
	Client  string // "goredis" or "rueidis"
	Addrs   []string
	Cluster bool
	Master  string        // the name of a master, if Addrs are sentinels
	Timeout time.Duration // for one answer; 0: two seconds
}

// dial returns a client with timeouts that are short: the tests have little time.
func (r Redis) dial() (client redisstore.Client, end func(), err error) {
	timeout := r.Timeout
	if timeout == 0 {
		timeout = 2 * time.Second
	}
	if r.Client == "goredis" {
		o := &redis.UniversalOptions{
			Addrs: r.Addrs, MasterName: r.Master, IsClusterMode: r.Cluster,
			ContextTimeoutEnabled: true, DialerRetries: 1, MaxRetries: 1, DialTimeout: timeout, ReadTimeout: timeout,
			PoolSize: 32,
		}
		var c redis.UniversalClient
		if !r.Cluster {
			c = redis.NewUniversalClient(o)
		} else {
			cluster := o.Cluster()
			// Left out, a minute may pass until the client asks who has taken a dead master's place.
			cluster.ClusterStateReloadInterval = 500 * time.Millisecond
			c = redis.NewClusterClient(cluster)
		}
		return goredisclient.Wrap(c), func() { c.Close() }, nil
	}
	// rueidis connects at once, which on a busy machine takes longer than an answer may.
	for tries := 1; ; tries++ {
		c, err := rueidis.NewClient(rueidis.ClientOption{
			InitAddress: r.Addrs, ShuffleInit: true, Sentinel: rueidis.SentinelOption{MasterSet: r.Master}, DisableCache: true,
			ConnWriteTimeout: timeout, Dialer: net.Dialer{Timeout: timeout}, ForceSingleClient: !r.Cluster && r.Master == "",
		})
		if err == nil {
			return rueidisclient.Wrap(c), c.Close, nil
		}
		if tries == 20 {
			return nil, nil, fmt.Errorf("proof: rueidis: %w", err)
		}
	}
}

// Loss is what happens to the commands of an operation of the script with a probability.
type Loss struct {
	P    float64
	What LossKind
	Late time.Duration // of LoseTime
}

// LossKind says what is lost.
type LossKind uint8

const (
	LoseRequest LossKind = iota + 1 // the command does not run
	LoseReply                       // it runs, and nobody hears of it
	LoseTime                        // it runs when the caller has given up
)

var errLost = errors.New("proof: the network lost it")

// wire is a client on its way to Redis: it loses what Losses say, and changes the script's text.
type wire struct {
	redisstore.Client
	losses map[string]Loss // by operation
	edits  [][2]string

	mu     sync.Mutex // protects rng, hashes
	rng    *rand.Rand
	hashes map[string]string // of scripts that were changed: what the server knows them by

	edited []atomic.Bool // whether an edit found its place
	late   sync.WaitGroup
}

func newWire(c redisstore.Client, losses map[string]Loss, edits [][2]string, rng *rand.Rand) *wire {
	return &wire{
		Client: c, losses: losses, edits: edits, rng: rng, hashes: make(map[string]string),
		edited: make([]atomic.Bool, len(edits)),
	}
}

func (w *wire) Subscribe(ctx context.Context, channel string, ready func(), receive func(string)) error {
	return w.Client.(redisstore.Subscriber).Subscribe(ctx, channel, ready, receive)
}

func (w *wire) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	commands = w.edit(commands)
	switch loss := w.lose(commands); loss.What {
	case LoseRequest:
	case LoseReply:
		w.Client.Do(ctx, commands, replies)
	case LoseTime:
		w.late.Go(func() {
			time.Sleep(loss.Late)
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
			defer cancel()
			w.Client.Do(ctx, commands, make([]redisstore.Reply, len(commands)))
		})
	default:
		w.Client.Do(ctx, commands, replies)
		return
	}
	for i := range replies {
		replies[i] = redisstore.Reply{Kind: redisstore.Failed, Err: errLost}
	}
}

// lose draws whether commands are lost.
func (w *wire) lose(commands []redisstore.Command) Loss {
	for _, c := range commands {
		if len(c.Args) == 0 {
			continue
		}
		loss, ok := w.losses[c.Args[0]]
		if !ok {
			continue
		}
		w.mu.Lock()
		drawn := w.rng.Float64() < loss.P
		w.mu.Unlock()
		if drawn {
			return loss
		}
	}
	return Loss{}
}

// edit changes the text of scripts, and the hashes of those that were changed.
func (w *wire) edit(commands []redisstore.Command) []redisstore.Command {
	if len(w.edits) == 0 {
		return commands
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := make([]redisstore.Command, len(commands))
	for i, c := range commands {
		switch {
		case len(c.Words) < 2:
		case c.Words[0] == "EVAL":
			text := w.text(c.Words[1])
			w.hashes[hashOf(c.Words[1])] = hashOf(text)
			c.Words = append([]string{c.Words[0], text}, c.Words[2:]...)
		case c.Words[0] == "EVALSHA" && w.hashes[c.Words[1]] != "":
			c.Words = append([]string{c.Words[0], w.hashes[c.Words[1]]}, c.Words[2:]...)
		}
		changed[i] = c
	}
	return changed
}

func (w *wire) text(script string) string {
	for i, e := range w.edits {
		if strings.Contains(script, e[0]) {
			w.edited[i].Store(true)
			script = strings.ReplaceAll(script, e[0], e[1])
		}
	}
	return script
}

// unedited returns an edit that never found its place, if there is one: a mechanism was not switched off then.
func (w *wire) unedited() string {
	for i := range w.edits {
		if !w.edited[i].Load() {
			return w.edits[i][0]
		}
	}
	return ""
}

func hashOf(script string) string {
	sum := sha1.Sum([]byte(script))
	return hex.EncodeToString(sum[:])
}
