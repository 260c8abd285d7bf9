package oteltrace

import (
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Attempt returns next within one client span per attempt, made by otelhttp. The
// headers of the attempt carry its context. Use it with transport.WithAttemptLayer. A
// nil next means [http.DefaultTransport].
func (t *Tracing) Attempt(next http.RoundTripper) http.RoundTripper {
	if next == nil {
		next = http.DefaultTransport
	}
	return &attemptLayer{
		next:        next,
		traced:      otelhttp.NewTransport(&inside{next}, append([]otelhttp.Option{otelhttp.WithSpanNameFormatter(attemptName)}, t.http...)...),
		propagators: t.cfg.propagators,
		off:         t.off,
	}
}

type attemptLayer struct {
	next        http.RoundTripper
	traced      http.RoundTripper
	propagators propagation.TextMapPropagator
	off         bool
}

func (l *attemptLayer) CloseIdleConnections() { closeIdle(l.next) }

func (l *attemptLayer) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL == nil || req.Header == nil {
		return l.next.RoundTrip(req) // it has its own words for that
	}
	if off, _ := req.Context().Value(offKey{}).(bool); off || l.off {
		carrier := &carrier{req: req}
		l.propagators.Inject(req.Context(), carrier)
		return l.next.RoundTrip(carrier.req)
	}
	if req.Trailer == nil && req.Header["Upgrade"] == nil {
		return l.traced.RoundTrip(req)
	}
	o := &original{trailer: req.Trailer}
	resp, err := l.traced.RoundTrip(req.WithContext(context.WithValue(req.Context(), originalKey{}, o)))
	if err == nil && o.conn != nil {
		if rw, ok := resp.Body.(io.ReadWriteCloser); ok {
			resp.Body = &halfCloser{ReadWriteCloser: rw, conn: o.conn}
		}
	}
	return resp, err
}

// original is what gets lost in otelhttp: it sends a copy of the trailers,
// although their values may come while the body is read, and hides that the
// body of an upgraded connection can be closed for writing alone.
type original struct {
	trailer http.Header
	conn    io.ReadCloser // the body of a 101
}

type originalKey struct{}

type halfCloser struct {
	io.ReadWriteCloser
	conn io.ReadCloser
}

func (h *halfCloser) CloseWrite() error { return closeWrite(h.conn) }

func closeWrite(body io.Closer) error {
	if c, ok := body.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return fmt.Errorf("oteltrace: CloseWrite: %w", http.ErrNotSupported)
}

// inside is beneath otelhttp, where the context has the span of the attempt,
// unless a filter of otelhttp let the request past.
type inside struct{ next http.RoundTripper }

func (l *inside) RoundTrip(req *http.Request) (*http.Response, error) {
	if _, passed := otelhttp.ClientLabelerFromContext(req.Context()); !passed {
		return l.next.RoundTrip(req)
	}
	span := trace.SpanFromContext(req.Context())
	if n := transport.Attempt(req.Context()); n > 1 {
		span.SetAttributes(semconv.HTTPRequestResendCount(n - 1))
	}
	returned := false
	defer func() {
		if !returned { // otelhttp would leave the span open
			spoil(span, string(transport.ResultPanicked))
			span.End()
		}
	}()
	o, _ := req.Context().Value(originalKey{}).(*original)
	if o != nil {
		req = req.WithContext(req.Context())
		req.Trailer = o.trailer
	}
	resp, err := l.next.RoundTrip(req)
	returned = true
	if s := spanOf(req.Context()); s != nil && err != nil {
		s.attempt = transport.ResultOf(req.Context(), 0, err)
	}
	if o != nil && err == nil && resp != nil && resp.StatusCode == http.StatusSwitchingProtocols {
		o.conn = resp.Body
	}
	return resp, err
}

// carrier is the header of a request that is copied when it is written to.
type carrier struct {
	req   *http.Request
	owned bool
}

func (c *carrier) Get(key string) string { return c.req.Header.Get(key) }

func (c *carrier) Set(key, value string) {
	if !c.owned {
		c.req = c.req.WithContext(c.req.Context())
		if c.req.Header = c.req.Header.Clone(); c.req.Header == nil {
			c.req.Header = make(http.Header)
		}
		c.owned = true
	}
	c.req.Header.Set(key, value)
}

func (c *carrier) Keys() []string {
	keys := make([]string, 0, len(c.req.Header))
	for key := range c.req.Header {
		keys = append(keys, key)
	}
	return keys
}
