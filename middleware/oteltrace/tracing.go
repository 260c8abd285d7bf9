package oteltrace

import (
	"net/http"

	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// scope is the name of the instrumentation.
const scope = "github.com/datapunk/evenkeel/middleware/oteltrace"

// The attributes of spans and events.
const (
	attrService   = attribute.Key("evenkeel.service")
	attrAttempts  = attribute.Key("evenkeel.attempts")
	attrAttempt   = attribute.Key("evenkeel.attempt")
	attrWaited    = attribute.Key("evenkeel.waited")
	attrStop      = attribute.Key("evenkeel.stop")
	attrAfter     = attribute.Key("evenkeel.after")
	attrResult    = attribute.Key("evenkeel.result")
	attrShed      = attribute.Key("evenkeel.shed")
	attrDryRun    = attribute.Key("evenkeel.dry_run")
	attrQueueWait = attribute.Key("evenkeel.queue_wait")

	attrIdempotency = attribute.Key("evenkeel.idempotency")
	attrRuns        = attribute.Key("evenkeel.runs")
)

// Tracing makes the spans of clients and servers. Make one with [New]; it is safe for
// concurrent use and starts no goroutine.
type Tracing struct {
	cfg    config
	tracer trace.Tracer
	http   []otelhttp.Option
	metric bool // otelhttp has metrics to record
	off    bool // it has not, nor can there be spans
}

// New returns the tracing of a program. Its error joins all mistakes in the options.
func New(opts ...Option) (*Tracing, error) {
	cfg := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(&cfg)
		}
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	t := &Tracing{
		cfg:    cfg,
		tracer: cfg.tracers.Tracer(scope),
		http: append([]otelhttp.Option{
			otelhttp.WithTracerProvider(provider{cfg.tracers}),
			otelhttp.WithMeterProvider(cfg.meters),
			otelhttp.WithPropagators(cfg.propagators),
		}, cfg.http...),
	}
	_, unmetered := cfg.meters.(metricnoop.MeterProvider)
	_, untraced := cfg.tracers.(noop.TracerProvider)
	t.metric, t.off = !unmetered, unmetered && untraced
	return t, nil
}

// Client returns options for transport.New: [Tracing.Call] around the retry loop,
// [Tracing.Attempt] around each attempt, and [Tracing.ClientObserver]. Layers given
// after them are inside of them, so a layer that signs requests sees the traceparent
// header.
func (t *Tracing) Client() []transport.Option {
	if t.off {
		return []transport.Option{transport.WithAttemptLayer(t.Attempt)}
	}
	return []transport.Option{
		transport.WithCallLayer(t.Call),
		transport.WithAttemptLayer(t.Attempt),
		transport.WithObserver(t.ClientObserver()),
	}
}

// closeIdle forwards CloseIdleConnections past a layer.
func closeIdle(next http.RoundTripper) {
	if c, ok := next.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}
