package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestItShowsWhatTheCacheDid(t *testing.T) {
	var stdout, stderr bytes.Buffer
	began := time.Now()
	if code := start(t.Context(), nil, &stdout, &stderr); code != 0 {
		t.Fatalf("exit status %d\n%s\n%s", code, &stdout, &stderr)
	}
	t.Log(stdout.String())
	value := func(name string) float64 {
		t.Helper()
		m := regexp.MustCompile(`(?m)^  ` + regexp.QuoteMeta(name) + ` (\S+)$`).FindStringSubmatch(stdout.String())
		if m == nil {
			t.Fatalf("it does not show %s", name)
		}
		n, err := strconv.ParseFloat(m[1], 64)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	asked := float64(customersAtOnce * productsEach)
	answered := value(`tarn_cache_hits_total{cache="products",kind="fresh"}`) +
		value(`tarn_cache_hits_total{cache="products",kind="negative"}`) + value(`tarn_cache_misses_total{cache="products"}`)
	if answered != asked {
		t.Errorf("hits and misses are %v, of %v reads", answered, asked)
	}
	if n := value(`tarn_cache_loads_total{cache="products",outcome="error"}`); n == 0 {
		t.Error("no load failed")
	}
	if n := value(`tarn_cache_load_duration_seconds_sum{cache="products",outcome="success"}`); n < queryTime.Seconds() {
		t.Errorf("all loads took %v seconds", n)
	}
	if n := value(`tarn_memory_bound{cache="products"}`); n != 50 {
		t.Errorf("the store has room for %v", n)
	}
	if !strings.Contains(stdout.String(), `{"products": {"memory":{"bound":50,`) {
		t.Error("there are no variables")
	}
	most := 3 + int(time.Since(began).Seconds()) // one for each second
	if n := strings.Count(stderr.String(), errBusy.Error()); n == 0 || n > most {
		t.Errorf("the log tells of a busy database %d times", n)
	}
}

func TestItGoesOnServing(t *testing.T) {
	ctx, stop := context.WithTimeout(t.Context(), 2*time.Minute)
	defer stop()
	out, in := io.Pipe()
	code := make(chan int, 1)
	go func() { code <- start(ctx, []string{"-serve"}, in, io.Discard); in.Close() }()

	var said strings.Builder
	served := regexp.MustCompile(`Serving (http://\S+)/products/1,`)
	for buf := make([]byte, 1024); !served.MatchString(said.String()); {
		n, err := out.Read(buf)
		if err != nil {
			t.Fatalf("%v after %s", err, said.String())
		}
		said.Write(buf[:n])
	}
	go io.Copy(io.Discard, out)
	url := served.FindStringSubmatch(said.String())[1]
	for path, want := range map[string]int{
		"/products/1": http.StatusOK, "/products/1000": http.StatusNotFound, "/products/x": http.StatusBadRequest,
		fmt.Sprint("/products/", busyProduct): http.StatusServiceUnavailable, "/metrics": http.StatusOK,
		"/debug/vars": http.StatusOK,
	} {
		body, status, err := get(ctx, url+path)
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		if status != want {
			t.Errorf("%s: status %d, want %d", path, status, want)
		}
	}
	stop()
	if c := <-code; c != 0 {
		t.Errorf("exit status %d after an interrupt", c)
	}
}

func TestFlagsThatMakeNoSense(t *testing.T) {
	for _, args := range [][]string{{"-port", "80"}, {"now"}} {
		if code := start(t.Context(), args, io.Discard, io.Discard); code != 2 {
			t.Errorf("%q: exit status %d, want 2", args, code)
		}
	}
	if code := start(t.Context(), []string{"-addr", "nowhere:x"}, io.Discard, io.Discard); code != 1 {
		t.Errorf("an address that is none: exit status %d, want 1", code)
	}
}
