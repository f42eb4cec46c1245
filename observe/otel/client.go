package otel

import (
	"context"
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.42.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/tarncache/tarn/store/redisstore"
)

// Client returns a Client that does what inner does, within a span for each round trip, as the conventions for clients of
// databases have it, such as "GET" and "EVALSHA lease"; several commands in one go are a "PIPELINE", or if they are alike a
// "PIPELINE GET". It measures round trips as db.client.operation.duration. Both have the attribute tarn.cache.name. What it
// takes to connect, and what the client repeats by itself, is the business of the client's own instrumentation. It is a
// [redisstore.Subscriber] and a [redisstore.KeyScanner] if inner is one; these have no spans. The error is the meter's. It
// panics if name is empty or inner is nil.
func Client(name string, inner redisstore.Client, o Options) (redisstore.Client, error) {
	switch {
	case name == "":
		panic("otel: Client: name is empty")
	case isNil(inner):
		panic("otel: Client: inner is nil")
	}
	taken, err := o.duration("db.client.operation.duration", "Duration of database client operations.")
	if err != nil {
		return nil, fmt.Errorf("otel: client: %w", err)
	}
	c := &client{
		common: []attribute.KeyValue{cacheName(name), semconv.DBSystemNameRedis},
		inner:  inner, tracer: o.tracer(), taken: taken, errorText: o.ErrorText,
	}
	subscriber, subscribes := inner.(redisstore.Subscriber)
	scanner, scans := inner.(redisstore.KeyScanner)
	switch {
	case subscribes && scans:
		return struct {
			*client
			redisstore.Subscriber
			redisstore.KeyScanner
		}{c, subscriber, scanner}, nil
	case subscribes:
		return struct {
			*client
			redisstore.Subscriber
		}{c, subscriber}, nil
	case scans:
		return struct {
			*client
			redisstore.KeyScanner
		}{c, scanner}, nil
	}
	return c, nil
}

type client struct {
	common    []attribute.KeyValue // of all spans and measurements
	inner     redisstore.Client
	tracer    trace.Tracer
	taken     metric.Float64Histogram
	errorText bool
}

func (c *client) Sharded() bool { return c.inner.Sharded() }

func (c *client) Do(ctx context.Context, commands []redisstore.Command, replies []redisstore.Reply) {
	if len(commands) == 0 {
		c.inner.Do(ctx, commands, replies)
		return
	}
	began := time.Now()
	name, attrs := operation(commands)
	attrs = append(attrs, c.common...)
	ctx, span := c.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(attrs...))
	defer span.End()
	if len(commands) > 1 {
		span.SetAttributes(semconv.DBOperationBatchSize(len(commands))) // too many values for a metric
	}
	c.inner.Do(ctx, commands, replies)
	if err := firstError(replies); err != nil {
		what := failure(err)
		attrs = append(attrs, what...)
		span.SetAttributes(what...)
		text := ""
		if c.errorText {
			text = err.Error()
		}
		span.SetStatus(codes.Error, text)
	}
	c.taken.Record(ctx, time.Since(began).Seconds(), metric.WithAttributes(attrs...))
}

// operation returns the name of the span of some commands, and what tells them from others.
func operation(commands []redisstore.Command) (name string, attrs []attribute.KeyValue) {
	name, script := verb(&commands[0])
	for i := range commands[1:] {
		other, otherScript := verb(&commands[i+1])
		if other != name {
			name = ""
		}
		if otherScript != script {
			script = ""
		}
	}
	if len(commands) > 1 {
		name = strings.TrimSuffix("PIPELINE "+name, " ")
	}
	attrs = append(attrs, semconv.DBOperationName(name))
	if script != "" {
		attrs = append(attrs, semconv.DBStoredProcedureName(script))
		name += " " + script
	}
	return name, attrs
}

// verb returns a command's name, and of a call of the store's script what it is called for, which is its first argument. No
// other argument is looked at, and none that could be something else.
func verb(command *redisstore.Command) (name, script string) {
	if len(command.Words) == 0 {
		return "", ""
	}
	name = strings.ToUpper(command.Words[0])
	if (name == "EVALSHA" || name == "EVAL") && len(command.Args) > 0 && isWord(command.Args[0]) {
		script = command.Args[0]
	}
	return name, script
}

// isWord reports whether s is a short word of lower-case letters.
func isWord(s string) bool {
	return s != "" && len(s) <= 16 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz") == ""
}

func firstError(replies []redisstore.Reply) error {
	for i := range replies {
		if replies[i].Kind == redisstore.Failed {
			return replies[i].Err
		}
	}
	return nil
}

// failure returns the attributes of a failed round trip: the code that Redis answered, or the type of what went wrong.
func failure(err error) []attribute.KeyValue {
	code, _, _ := strings.Cut(err.Error(), " ")
	if len(code) >= 2 && len(code) <= 16 && strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == "" {
		return []attribute.KeyValue{semconv.DBResponseStatusCode(code), semconv.ErrorTypeKey.String(code)}
	}
	return []attribute.KeyValue{errorType(err)}
}
