package bench

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/tarncache/tarn"
	"github.com/tarncache/tarn/internal/redistest"
	"github.com/tarncache/tarn/store/memory"
	"github.com/tarncache/tarn/store/redisstore/goredisclient"
	"github.com/tarncache/tarn/store/tiered"
	"github.com/tarncache/tarn/strategies"
)

// coldKeyAt is the environment variable that makes this program one of the processes of BenchmarkColdKey: the address of
// Redis.
const coldKeyAt = "TARN_BENCH_COLD_KEY_AT"

const (
	coldProcesses = 4
	coldCallers   = 1000 / coldProcesses // in each
	coldSource    = 20 * time.Millisecond
)

// BenchmarkColdKey is 1,000 callers in 4 processes who ask for one key that nobody has, at once. The source takes
// 20 ms. loads/op is how often it was asked, most-loads the most for one key.
func BenchmarkColdKey(b *testing.B) {
	addr := redistest.Start(b).Addr()
	processes := make([]*coldProcess, coldProcesses)
	for i := range processes {
		processes[i] = startColdProcess(b, addr)
	}
	key, all, most := 0, 0, 0
	for b.Loop() {
		key++
		for _, p := range processes {
			p.ask(b, fmt.Sprintf("cold:%d", key))
		}
		loads := 0
		for _, p := range processes {
			loads += p.answer(b)
		}
		all, most = all+loads, max(most, loads)
	}
	b.ReportMetric(float64(all)/float64(b.N), "loads/op")
	b.ReportMetric(float64(most), "most-loads")
}

type coldProcess struct {
	in  io.Writer
	out *bufio.Reader
}

func startColdProcess(b *testing.B, addr string) *coldProcess {
	cmd := exec.Command(os.Args[0])
	cmd.Env, cmd.Stderr = append(os.Environ(), coldKeyAt+"="+addr), os.Stderr
	in, err := cmd.StdinPipe()
	must(b, err)
	out, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		in.Close() // at which it ends
		if err := cmd.Wait(); err != nil {
			b.Error(err)
		}
	})
	p := &coldProcess{in, bufio.NewReader(out)}
	if p.answer(b) != 0 {
		b.Fatal("the process did not say that it is ready")
	}
	return p
}

func (p *coldProcess) ask(b *testing.B, key string) {
	_, err := fmt.Fprintln(p.in, key)
	must(b, err)
}

// answer returns how often the process has loaded.
func (p *coldProcess) answer(b *testing.B) int {
	line, err := p.out.ReadString('\n')
	must(b, err)
	var loads int
	if _, err := fmt.Sscanf(line, "loads %d", &loads); err != nil {
		b.Fatalf("a process said %q", line)
	}
	return loads
}

// coldKeyProcess has 250 callers ask for each key that it is told, and says how often it asked the source. It ends with
// its standard input.
func coldKeyProcess(addr string) {
	client := redis.NewClient(&redis.Options{Addr: addr, ContextTimeoutEnabled: true})
	near := memory.New(memory.Options[string, profile]{MaxEntries: 1000})
	store := tiered.New(near, inRedis(goredisclient.Wrap(client)))
	var loads atomic.Int64
	cache := strategies.ReadThrough(store, tarn.LoadFunc(func(context.Context, string) (profile, error) {
		loads.Add(1)
		time.Sleep(coldSource)
		return profileOf(1), nil
	}))
	for !store.Trusted() {
		time.Sleep(time.Millisecond)
	}
	fmt.Println("loads 0")
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		before := loads.Load()
		var all sync.WaitGroup
		var failed atomic.Pointer[error]
		for range coldCallers {
			all.Go(func() {
				if _, err := cache.Get(context.Background(), strings.TrimSpace(lines.Text())); err != nil {
					failed.Store(&err)
				}
			})
		}
		all.Wait()
		if err := failed.Load(); err != nil {
			fmt.Println("error", *err)
			return
		}
		fmt.Println("loads", loads.Load()-before)
	}
}
