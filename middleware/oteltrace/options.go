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

// WithTracerProvider sets where spans come from. The default is the global
// provider, also if that is set later.
func WithTracerProvider(p trace.TracerProvider) Option {
	return func(c *config) { c.tracers = p }
}

// WithMeterProvider has otelhttp record its metrics of attempts and requests
// too, which cost about as much as a span. The default is none.
func WithMeterProvider(p metric.MeterProvider) Option {
	return func(c *config) { c.meters = p }
}

// WithPropagators sets what is passed on in headers, and taken from them. The
// default is the global propagator, also if that is set later; unless a program
// sets it, that passes on nothing, and each service has traces of its own.
func WithPropagators(p propagation.TextMapPropagator) Option {
	return func(c *config) { c.propagators = p }
}

// WithHTTPOptions passes options to otelhttp, at both ends, after those that
// are set here: filters, names of spans, a server name, the endpoints where
// strangers may not continue a trace. The default is none.
func WithHTTPOptions(opts ...otelhttp.Option) Option {
	return func(c *config) { c.http = append(c.http, opts...) }
}
