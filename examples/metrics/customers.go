package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
)

const (
	customersAtOnce = 8
	productsEach    = 130
)

// customers ask for products.
type customers struct {
	url                    string
	found, missing, failed atomic.Int64
}

// shop lets each customer ask for product after product, of which some are asked for more often, one does not exist, and
// one is in trouble.
func (c *customers) shop(ctx context.Context) error {
	all, ctx := errgroup.WithContext(ctx)
	for customer := range customersAtOnce {
		all.Go(func() error {
			for i := range productsEach {
				id := 1 + (i*i+customer)%(lastProduct+1)
				if err := c.ask(ctx, id); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

func (c *customers) ask(ctx context.Context, id int) error {
	body, status, err := get(ctx, fmt.Sprintf("%s/products/%d", c.url, id))
	if err != nil {
		return err
	}
	defer body.Close()
	if _, err := io.Copy(io.Discard, body); err != nil {
		return fmt.Errorf("read a product: %w", err)
	}
	switch status {
	case http.StatusOK:
		c.found.Add(1)
	case http.StatusNotFound:
		c.missing.Add(1)
	case http.StatusServiceUnavailable:
		c.failed.Add(1)
	default:
		return fmt.Errorf("a product is answered with status %d", status)
	}
	return nil
}

// show scrapes the service and prints what it says of its cache, but for what is zero and the buckets of histograms.
func show(ctx context.Context, url string, stdout io.Writer) error {
	body, status, err := get(ctx, url+"/metrics")
	if err != nil {
		return err
	}
	defer body.Close()
	if status != http.StatusOK {
		return fmt.Errorf("the metrics are answered with status %d", status)
	}
	fmt.Fprintln(stdout, "What GET /metrics says, without zeros and buckets:")
	lines := bufio.NewScanner(body)
	for lines.Scan() {
		line := lines.Text()
		if strings.HasPrefix(line, "tarn_") && !strings.HasSuffix(line, " 0") && !strings.Contains(line, "_bucket{") {
			fmt.Fprintln(stdout, "  "+line)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("scrape: %w", err)
	}
	vars, _, err := get(ctx, url+"/debug/vars")
	if err != nil {
		return err
	}
	defer vars.Close()
	fmt.Fprintln(stdout, "\nWhat GET /debug/vars says:")
	if _, err := io.Copy(stdout, vars); err != nil {
		return fmt.Errorf("read the variables: %w", err)
	}
	return nil
}

func get(ctx context.Context, url string) (body io.ReadCloser, status int, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, 0, err
	}
	return response.Body, response.StatusCode, nil
}
