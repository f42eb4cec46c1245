package redistest

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/tarncache/tarn/store/redisstore"
)

// Following is a client of the master that sentinels name. It asks them again when the master's connection fails or it
// says that it is no master any more; it repeats nothing by itself. It implements [redisstore.Client] and
// [redisstore.Subscriber].
type Following struct {
	sentinels []string
	config    Config

	mu     sync.Mutex // protects master
	master *Client    // nil: the sentinels are asked at the next call
}

var (
	_ redisstore.Client     = (*Following)(nil)
	_ redisstore.Subscriber = (*Following)(nil)
)

// Close closes the connections.
func (f *Following) Close() {
	if c := f.known(); c != nil {
		c.Close()
	}
}

// Sharded reports false.
func (f *Following) Sharded() bool { return false }

// Do is as [redisstore.Client] says.
func (f *Following) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	master, err := f.find(ctx)
	if err != nil {
		fail(replies, errOf(ctx, err))
		return
	}
	master.Do(ctx, commands, replies)
	for _, r := range replies {
		var said ServerError
		if r.Err != nil && (!errors.As(r.Err, &said) || strings.HasPrefix(string(said), "READONLY")) {
			f.forget(master)
			return
		}
	}
}

// Call sends one command. The error is that of the reply.
func (f *Following) Call(ctx context.Context, command ...string) (redisstore.Reply, error) {
	return call(ctx, f, words(command...))
}

// Subscribe is as [redisstore.Subscriber] says.
func (f *Following) Subscribe(ctx context.Context, channel string, ready func(), receive func(message string)) error {
	master, err := f.find(ctx)
	if err != nil {
		return errOf(ctx, err)
	}
	defer f.forget(master)
	return master.Subscribe(ctx, channel, ready, receive)
}

func (f *Following) known() *Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.master
}

// forget makes the next call ask the sentinels.
func (f *Following) forget(master *Client) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.master == master {
		f.master = nil
		master.Close()
	}
}

// find returns the master, as the first sentinel says that knows it.
func (f *Following) find(ctx context.Context) (*Client, error) {
	if c := f.known(); c != nil {
		return c, nil
	}
	err := errors.New("redistest: no sentinel knows the master")
	for _, addr := range f.sentinels {
		sentinel := Dial(addr, Config{Timeout: f.config.Timeout})
		reply, failure := sentinel.Call(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MasterName)
		sentinel.Close()
		if master := masterOf(reply); master != "" {
			return f.learn(Dial(master, f.config)), nil
		}
		if failure != nil {
			err = failure
		}
	}
	return nil, err
}

// learn returns the master that counts: another caller may have been quicker.
func (f *Following) learn(master *Client) *Client {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.master == nil {
		f.master = master
	}
	return f.master
}
