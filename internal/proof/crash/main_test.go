package crash

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// TestMain is also where the children of the tests begin: they do what their spec says, and run no tests.
func TestMain(m *testing.M) {
	flag.Parse()
	if text := os.Getenv(SpecEnv); text != "" {
		os.Exit(serve(text))
	}
	if !parallelSet() {
		_ = flag.Set("test.parallel", "4") // they wait most of the time
	}
	code := m.Run()
	if err := leaks(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	fmt.Println(&total)
	os.Exit(code)
}

func serve(text string) int {
	var spec Spec
	err := json.Unmarshal([]byte(text), &spec)
	if err == nil {
		err = Serve(&spec, os.Stdin, os.Stdout)
	}
	if err == nil {
		err = leaks()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// leaks returns an error if a goroutine is left, and stays, other than the one that ends with the process: on a busy
// machine one that ends takes its time.
func leaks() (err error) {
	for end := time.Now().Add(10 * time.Second); ; {
		err = goleak.Find(goleak.IgnoreAnyFunction("github.com/tarncache/tarn/internal/proof/crash.endWith"))
		if err == nil || time.Now().After(end) {
			return err
		}
	}
}

func parallelSet() (set bool) {
	flag.Visit(func(f *flag.Flag) { set = set || f.Name == "test.parallel" })
	return set
}

// seed is what all that is drawn is drawn from.
var seed = func() uint64 {
	if s := os.Getenv("TARN_PROOF_SEED"); s != "" {
		var n uint64
		if _, err := fmt.Sscan(s, &n); err != nil {
			panic("TARN_PROOF_SEED is no number: " + s)
		}
		return n
	}
	return rand.Uint64N(1_000_000)
}()

// soak is for how long a soak test goes on; 0: it is short.
func soak(t *testing.T) time.Duration {
	text := os.Getenv("TARN_SOAK")
	if text == "" {
		return 0
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("TARN_SOAK: %v", err)
	}
	return limit
}

// total is the sum of all trials.
var total sum

type sum struct {
	crashes, early, writes, versions, repeated, replayed, lost, findings, broken, caught atomic.Int64
}

func (s *sum) String() string {
	return fmt.Sprintf("crash: %d processes killed (%d before they were open), %d writes acknowledged, %d versions written, "+
		"%d of them again, %d records replayed, %d writes lost that may be; %d promises broken; "+
		"%d of %d breaks caught (TARN_PROOF_SEED=%d)",
		s.crashes.Load(), s.early.Load(), s.writes.Load(), s.versions.Load(), s.repeated.Load(), s.replayed.Load(),
		s.lost.Load(), s.findings.Load(), s.caught.Load(), s.broken.Load(), seed)
}
