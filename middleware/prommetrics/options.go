package prommetrics

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// An Option changes what [New] builds.
type Option func(*config)

type config struct {
	maxServices int
	services    []string
	buckets     []float64
	native      bool
	trace       func(context.Context) (traceID string, sampled bool)
}

func defaults() config {
	return config{maxServices: 100, buckets: prometheus.DefBuckets}
}

func (c *config) validate() error {
	var errs []error
	if c.maxServices < 1 {
		errs = append(errs, fmt.Errorf("prommetrics: WithMaxServices(%d): want at least 1", c.maxServices))
	}
	for _, name := range c.services {
		if !isLabel(name) {
			errs = append(errs, fmt.Errorf("prommetrics: WithServices(%q): want UTF-8 of 1 to %d bytes", name, maxLabel))
		}
	}
	for i, b := range c.buckets {
		if math.IsNaN(b) || b <= 0 || i > 0 && b <= c.buckets[i-1] {
			errs = append(errs, fmt.Errorf("prommetrics: WithBuckets(%v): want seconds above 0 in ascending order", c.buckets))
			break
		}
	}
	if len(c.buckets) == 0 {
		errs = append(errs, errors.New("prommetrics: WithBuckets(): want at least one bound"))
	}
	return errors.Join(errs...)
}

// WithMaxServices bounds how many services have series of their own. The first services
// seen get them; the others are counted as "(other services)". A service has 121 series, a third of
// them buckets. The default is 100; less than 1 is an error.
func WithMaxServices(n int) Option {
	return func(c *config) { c.maxServices = n }
}

// WithServices names services that have series of their own from the start, whatever else
// is called and even above the limit of [WithMaxServices]. Their counters exist before the
// first call, so that rate and increase count it. The names must be exactly those in
// events: a host is in lower case there. It may be given more than once. The default is
// none; a name that is empty, longer than 128 bytes or not UTF-8 is an error.
func WithServices(names ...string) Option {
	return func(c *config) { c.services = append(c.services, names...) }
}

// WithBuckets sets the upper bounds of the buckets of all durations, in seconds. The
// default is prometheus.DefBuckets, from 5 ms to 10 s. Bounds must be above 0 and ascend.
func WithBuckets(bounds ...float64) Option {
	return func(c *config) { c.buckets = append([]float64(nil), bounds...) }
}

// WithNativeHistograms makes durations native histograms too, with a resolution of ten
// percent and at most 160 buckets each. The classic buckets stay for scrapes in text
// format. A Prometheus that scrapes native histograms does not keep the classic buckets
// unless it is told to: queries of _bucket are then empty. The default is off.
func WithNativeHistograms() Option {
	return func(c *config) { c.native = true }
}

// WithExemplars links series to traces. The func returns the trace of a context, and
// whether it is recorded. Durations get exemplars from recorded calls. The counters of
// stop and shed reasons get them from calls that were not retried further or were shed.
// Each series gets at most one per second, because an exemplar costs more than the call.
// Serve them with promhttp.HandlerOpts.EnableOpenMetrics. With OpenTelemetry:
//
//	func(ctx context.Context) (string, bool) {
//		span := trace.SpanContextFromContext(ctx)
//		return span.TraceID().String(), span.IsSampled()
//	}
//
// An empty traceID means none. The default is no exemplars.
func WithExemplars(trace func(ctx context.Context) (traceID string, sampled bool)) Option {
	return func(c *config) { c.trace = trace }
}
