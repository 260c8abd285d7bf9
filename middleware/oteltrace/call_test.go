package oteltrace_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
)

// However a call ends, its span and those of its attempts do, and say how.
func TestCallSpans(t *testing.T) {
	cause := errors.New("https://user:secret@users.test is broken")
	open, err := breaker.New(breaker.WithTripRatio(0.1, 1))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name     string
		do       func(n int, req *http.Request) (*http.Response, error)
		opts     []transport.Option
		attempts int
		stop     string
		status   codes.Code
	}{
		{"a success", func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 200, "x"), nil }, nil, 1, "succeeded", codes.Unset},
		{"no body", func(_ int, req *http.Request) (*http.Response, error) {
			resp := reply(req, 204, "")
			resp.Body = http.NoBody
			return resp, nil
		}, nil, 1, "succeeded", codes.Unset},
		{"an answer that is final", func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 404, "x"), nil }, nil, 1, "not_retryable", codes.Unset},
		{"a final failure", func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 501, "x"), nil }, nil, 1, "not_retryable", codes.Error},
		{"attempts used up", func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 503, "x"), nil }, nil, 3, "attempts", codes.Error},
		{"errors", func(int, *http.Request) (*http.Response, error) { return nil, cause }, nil, 3, "attempts", codes.Error},
		{"breaker open", func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 500, "x"), nil },
			[]transport.Option{transport.WithBreaker(open.Wrap)}, 1, "breaker_open", codes.Error},
		{"breaker open from the start", func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 500, "x"), nil },
			[]transport.Option{transport.WithBreaker(open.Wrap)}, 0, "breaker_open", codes.Error},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tracing, recorder := traced(t)
			base := &at{do: tt.do}
			resp, err := chain(t, tracing, base, tt.opts...).RoundTrip(request(t, t.Context()))
			if err == nil {
				resp.Body.Close()
				resp.Body.Close() // twice does no harm
			}
			spans := ended(t, recorder)
			call := named(spans, "evenkeel.call")
			if len(call) != 1 || len(named(spans, "HTTP GET")) != tt.attempts || int(base.sent.Load()) != tt.attempts {
				t.Fatalf("%d call spans, %d attempt spans, %d sent; want 1 and %d", len(call), len(named(spans, "HTTP GET")), base.sent.Load(), tt.attempts)
			}
			if got := attr(call[0], "evenkeel.stop"); got != tt.stop {
				t.Errorf("stop %q, want %q", got, tt.stop)
			}
			if got := call[0].Status(); got.Code != tt.status || strings.Contains(got.Description, "secret") {
				t.Errorf("status %+v, want %v without secrets", got, tt.status)
			}
		})
	}
}

func TestSpansEndWhenTheBasePanics(t *testing.T) {
	tracing, recorder := traced(t)
	base := &at{do: func(int, *http.Request) (*http.Response, error) { panic(http.ErrAbortHandler) }}
	func() {
		defer func() {
			if p := recover(); p != http.ErrAbortHandler {
				t.Errorf("panic %v, want that of the base", p)
			}
		}()
		chain(t, tracing, base).RoundTrip(request(t, t.Context()))
	}()
	spans := ended(t, recorder)
	if len(spans) != 2 {
		t.Fatalf("%d spans, want call and attempt", len(spans))
	}
	for _, s := range spans {
		if s.Status().Code != codes.Error || s.Status().Description != "panicked" {
			t.Errorf("%s has status %+v, want panicked", s.Name(), s.Status())
		}
	}
}

func TestSpansOfACancelledCall(t *testing.T) {
	tracing, recorder := traced(t)
	ctx, cancel := context.WithCancel(t.Context())
	base := &at{do: func(_ int, req *http.Request) (*http.Response, error) {
		cancel()
		<-req.Context().Done()
		return nil, req.Context().Err()
	}}
	if _, err := chain(t, tracing, base).RoundTrip(request(t, ctx)); !errors.Is(err, context.Canceled) {
		t.Fatalf("error %v, want the cancellation", err)
	}
	spans := ended(t, recorder)
	if len(spans) != 2 || attr(spans[0], "evenkeel.stop") != "cancelled" {
		t.Errorf("%d spans, stop %q; want call and attempt, cancelled", len(spans), attr(spans[0], "evenkeel.stop"))
	}
}

// The span of a call lasts as long as its body, and not an instant less than
// that of its attempt.
func TestCallSpanEndsWithTheBody(t *testing.T) {
	for name, finish := range map[string]func(*http.Response){
		"read":   func(r *http.Response) { io.Copy(io.Discard, r.Body) },
		"closed": func(r *http.Response) { r.Body.Close() },
	} {
		tracing, recorder := traced(t)
		base := &at{do: func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 200, "x"), nil }}
		resp, err := chain(t, tracing, base).RoundTrip(request(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if n := len(recorder.Ended()); n != 0 {
			t.Errorf("%s: %d spans ended before the body was", name, n)
		}
		finish(resp)
		if got := recorder.Ended(); len(got) != 2 || got[0].Name() != "HTTP GET" || got[1].Name() != "evenkeel.call" {
			t.Errorf("%s: ended %v, want attempt, then call", name, got)
		}
		resp.Body.Close()
	}
}

func TestBodyThatBreaks(t *testing.T) {
	tracing, recorder := traced(t)
	base := &at{do: func(_ int, req *http.Request) (*http.Response, error) {
		resp := reply(req, 200, "")
		resp.Body = io.NopCloser(io.MultiReader(strings.NewReader("half"), brokenReader{}))
		return resp, nil
	}}
	resp, err := chain(t, tracing, base).RoundTrip(request(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(resp.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("error %v, want that of the body", err)
	}
	resp.Body.Close()
	for _, s := range ended(t, recorder) {
		if s.Status().Code != codes.Error {
			t.Errorf("%s has status %v, want an error", s.Name(), s.Status())
		}
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// A request that a filter keeps from otelhttp has no attempt span, and the span
// of its call is left alone.
func TestFilteredAttempts(t *testing.T) {
	tracing, recorder := traced(t, oteltrace.WithHTTPOptions(otelhttp.WithFilter(func(*http.Request) bool { return false })))
	base := &at{do: func(n int, req *http.Request) (*http.Response, error) {
		return reply(req, []int{503, 200}[n-1], "x"), nil
	}}
	resp, err := chain(t, tracing, base).RoundTrip(request(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	spans := ended(t, recorder)
	if len(spans) != 1 || attr(spans[0], "http.request.resend_count") != "" {
		t.Errorf("%d spans, %v; want that of the call with nothing of HTTP", len(spans), spans[0].Attributes())
	}
}

// idle counts what it is asked.
type idle struct {
	http.RoundTripper
	closed int
}

func (i *idle) CloseIdleConnections() { i.closed++ }

func TestLayersForwardCloseIdleConnections(t *testing.T) {
	tracing, _ := traced(t)
	base := &idle{}
	for _, layer := range []func(http.RoundTripper) http.RoundTripper{tracing.Call, tracing.Attempt} {
		layer(base).(interface{ CloseIdleConnections() }).CloseIdleConnections()
	}
	if base.closed != 2 {
		t.Errorf("forwarded %d times, want 2", base.closed)
	}
}
