// Metrics is a small service over a cached repository that shows what its cache does: products by HTTP, the metrics of the
// cache for Prometheus and as expvar's JSON, and a log of what goes wrong.
//
//	go run ./examples/metrics
//
// It starts the service on a free port of this machine, asks it for products as customers would, scrapes it once, prints
// what the cache had to say, and ends. With -serve it goes on until it is interrupted, so that you can ask for yourself.
//
// Start reading at products.go: that is all that an application has to write. The exit status is 0 if all went well, 1 if
// something failed, and 2 if the flags make no sense.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the program on the spot
	os.Exit(start(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// start is the program; it returns the exit status.
func start(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("metrics", flag.ContinueOnError)
	flags.SetOutput(stderr)
	addr := flags.String("addr", "127.0.0.1:0", "the `address` to listen on; port 0 is a free one")
	serve := flags.Bool("serve", false, "go on after the scrape, until interrupted")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "metrics: takes no arguments, only flags: %q\n", flags.Arg(0))
		return 2
	}
	if err := run(ctx, *addr, *serve, stdout, stderr); err != nil {
		fmt.Fprintf(stderr, "metrics: FAILED: %v\n", err)
		return 1
	}
	return 0
}

// run serves, asks, scrapes, and if wanted goes on serving until ctx ends.
func run(ctx context.Context, addr string, goOn bool, stdout, stderr io.Writer) (err error) {
	products, err := newProducts(slog.New(slog.NewTextHandler(stderr, nil)))
	if err != nil {
		return err
	}
	defer products.Close()
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: products.handler(), ReadHeaderTimeout: 5 * time.Second}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() {
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, server.Shutdown(stop))
		if stopped := <-served; !errors.Is(stopped, http.ErrServerClosed) {
			err = errors.Join(err, stopped)
		}
	}()

	url := "http://" + listener.Addr().String()
	c := customers{url: url}
	if err := c.shop(ctx); err != nil {
		return err
	}
	fmt.Fprintf(stdout, "%d customers asked for %d products: %d answers, %d times \"try again\", and %d found nothing.\n\n",
		customersAtOnce, customersAtOnce*productsEach, c.found.Load(), c.failed.Load(), c.missing.Load())
	if err := show(ctx, url, stdout); err != nil {
		return err
	}
	if goOn {
		fmt.Fprintf(stdout, "\nServing %s/products/1, %[1]s/metrics and %[1]s/debug/vars until you press Ctrl-C.\n", url)
		<-ctx.Done()
	}
	return nil
}
