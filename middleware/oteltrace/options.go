package oteltrace

import (
	"errors"

	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	tracers     trace.TracerProvider
	meters      metric.MeterProvider
	propagators propagation.TextMapPropagator
	http        []otelhttp.Option
}

func defaults() config {
	return config{
		tracers:     otel.GetTracerProvider(),
		meters:      metricnoop.NewMeterProvider(),
		propagators: otel.GetTextMapPropagator(),
	}
}

func (c *config) validate() error {
	var errs []error
	if c.tracers == nil {
		errs = append(errs, errors.New("oteltrace: WithTracerProvider(nil): want a provider"))
	}
	if c.meters == nil {
		errs = append(errs, errors.New("oteltrace: WithMeterProvider(nil): want a provider"))
	}
	if c.propagators == nil {
		errs = append(errs, errors.New("oteltrace: WithPropagators(nil): want a propagator"))
	}
	for _, opt := range c.http {
		if opt == nil {
			errs = append(errs, errors.New("oteltrace: WithHTTPOptions(nil): want options of otelhttp"))
			break
		}
	}
	return errors.Join(errs...)
}

// WithTracerProvider sets where spans come from. The default is the global provider,
// even if that is set later; nil is an error.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *config) { c.tracers = p }
}

// WithMeterProvider has otelhttp record its metrics of attempts and requests too, which
// costs about as much as a span. The default is no metrics; nil is an error.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *config) { c.meters = p }
}

// WithPropagators sets what is injected into headers and extracted from them. The default
// is the global propagator, even if that is set later. A program that sets none
// propagates nothing, and each service has traces of its own. Nil is an error.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return func(c *config) { c.propagators = p }
}

// WithHTTPOptions passes options to otelhttp, for clients and servers, after those that
// this package sets: filters, names of spans, a server name, the endpoints where clients
// may not continue a trace. The default is no options; a nil option is an error.
func WithHTTPOptions(opts ...otelhttp.Option) Option {
	return func(c *config) { c.http = append(c.http, opts...) }
}
