package oteltrace_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"
)

// w3c is what services agree on.
var w3c = propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{})

func traced(t testing.TB, opts ...oteltrace.Option) (*oteltrace.Tracing, *tracetest.SpanRecorder) {
	t.Helper()
	recorder := tracetest.NewSpanRecorder()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))
	tracing, err := oteltrace.New(append([]oteltrace.Option{
		oteltrace.WithTracerProvider(provider), oteltrace.WithPropagators(w3c),
	}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	return tracing, recorder
}

func chain(t testing.TB, tracing *oteltrace.Tracing, base http.RoundTripper, opts ...transport.Option) *transport.Transport {
	t.Helper()
	opts = append(tracing.Client(), append(opts,
		transport.WithServiceName(func(*http.Request) string { return "users" }),
		transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond, MaxDelay: time.Millisecond}),
		transport.WithBudget(nil))...)
	rt, err := transport.New(base, opts...)
	if err != nil {
		t.Fatal(err)
	}
	return rt
}

func attr(s sdktrace.ReadOnlySpan, key string) string {
	for _, kv := range s.Attributes() {
		if string(kv.Key) == key {
			return kv.Value.String()
		}
	}
	return ""
}

// ended waits for nothing: it returns the spans that are over, by when they began.
func ended(t testing.TB, r *tracetest.SpanRecorder) []sdktrace.ReadOnlySpan {
	t.Helper()
	if started, over := len(r.Started()), len(r.Ended()); started != over {
		t.Errorf("%d spans are still open", started-over)
	}
	spans := r.Ended()
	slices.SortStableFunc(spans, func(a, b sdktrace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return spans
}

func named(spans []sdktrace.ReadOnlySpan, name string) []sdktrace.ReadOnlySpan {
	return slices.DeleteFunc(slices.Clone(spans), func(s sdktrace.ReadOnlySpan) bool { return s.Name() != name })
}

// Two services over real HTTP: the first calls the second, which fails twice.
func TestOneTraceThroughTwoServices(t *testing.T) {
	tracing, recorder := traced(t)
	wrap, err := middleware.New(middleware.WithAttempts(), middleware.WithObserver(tracing.ServerObserver()))
	if err != nil {
		t.Fatal(err)
	}
	serve := func(pattern string, h http.HandlerFunc) *httptest.Server {
		mux := http.NewServeMux()
		mux.HandleFunc(pattern, h)
		return httptest.NewServer(tracing.Server(wrap(mux)))
	}
	var requests atomic.Int32
	var carried [3]string
	back := serve("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {
		n := requests.Add(1)
		carried[n-1] = r.Header.Get("Baggage") + " " + baggage.FromContext(r.Context()).Member("tenant").Value()
		if n < 3 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		io.WriteString(w, "ada")
	})
	client := &http.Client{Transport: chain(t, tracing, nil)}
	front := serve("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		req, _ := http.NewRequestWithContext(r.Context(), "GET", back.URL+"/users/1", nil)
		resp, err := client.Do(req)
		if err != nil {
			t.Error(err)
			return
		}
		defer resp.Body.Close()
		io.Copy(w, resp.Body)
	})

	member, _ := baggage.NewMember("tenant", "acme")
	bag, _ := baggage.New(member)
	req, _ := http.NewRequestWithContext(baggage.ContextWithBaggage(t.Context(), bag), "GET", front.URL+"/hello", nil)
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if string(body) != "ada" {
		t.Fatalf("body %q, want ada", body)
	}
	front.Close() // after which its handlers, and their spans, are over
	back.Close()

	spans := ended(t, recorder)
	name := make(map[trace.SpanID]string)
	var root trace.TraceID
	for _, s := range spans {
		name[s.SpanContext().SpanID()] = s.Name()
		if !s.Parent().IsValid() {
			root = s.SpanContext().TraceID()
		}
	}
	var tree []string
	for _, s := range spans {
		if s.SpanContext().TraceID() != root {
			t.Errorf("%s is in another trace", s.Name())
		}
		tree = append(tree, fmt.Sprintf("%s < %s", s.Name(), name[s.Parent().SpanID()]))
	}
	want := []string{
		"evenkeel.call < ", "HTTP GET < evenkeel.call", "GET /hello < HTTP GET",
		"evenkeel.call < GET /hello",
		"HTTP GET < evenkeel.call", "GET /users/{id} < HTTP GET",
		"HTTP GET < evenkeel.call", "GET /users/{id} < HTTP GET",
		"HTTP GET < evenkeel.call", "GET /users/{id} < HTTP GET",
	}
	if !slices.Equal(tree, want) {
		t.Errorf("spans\n%s\nwant\n%s", strings.Join(tree, "\n"), strings.Join(want, "\n"))
	}
	for i, s := range named(spans, "HTTP GET")[1:] {
		resend := []string{"", "1", "2"}[i]
		if got := attr(s, "http.request.resend_count"); got != resend {
			t.Errorf("attempt %d has resend_count %q, want %q", i+1, got, resend)
		}
		if s.SpanKind() != trace.SpanKindClient {
			t.Errorf("attempt %d is a %v span, want client", i+1, s.SpanKind())
		}
	}
	for i, s := range named(spans, "GET /users/{id}") {
		if got, want := attr(s, "evenkeel.attempt"), []string{"", "2", "3"}[i]; got != want {
			t.Errorf("server span %d has attempt %q, want %q", i+1, got, want)
		}
	}
	for i, got := range carried {
		if want := "tenant=acme acme"; got != want {
			t.Errorf("baggage of attempt %d: %q, want %q", i+1, got, want)
		}
	}
	call := named(spans, "evenkeel.call")[1]
	for key, want := range map[string]string{"evenkeel.service": "users", "evenkeel.attempts": "3", "evenkeel.stop": "succeeded"} {
		if got := attr(call, key); got != want {
			t.Errorf("%s of the call is %q, want %q", key, got, want)
		}
	}
	for _, kv := range call.Attributes() {
		if strings.HasPrefix(string(kv.Key), "http.") {
			t.Errorf("the call has %s, want nothing of HTTP", kv.Key)
		}
	}
	if n := len(call.Events()); n != 2 {
		t.Fatalf("%d events in the call, want one for each retry", n)
	}
	for i, e := range call.Events() {
		set := attribute.NewSet(e.Attributes...)
		after, _ := set.Value("evenkeel.after")
		n, _ := set.Value("evenkeel.attempt")
		waited, _ := set.Value("evenkeel.waited")
		if e.Name != "evenkeel.retry" || after.AsString() != "500" || n.AsInt64() != int64(i+2) || waited.AsFloat64() > 1 {
			t.Errorf("event %d: %s %v", i, e.Name, e.Attributes)
		}
	}
}

// at counts what reaches the base and answers with what the test wants.
type at struct {
	sent atomic.Int32
	do   func(n int, req *http.Request) (*http.Response, error)
}

func (b *at) RoundTrip(req *http.Request) (*http.Response, error) {
	return b.do(int(b.sent.Add(1)), req)
}

func reply(req *http.Request, status int, body string) *http.Response {
	return &http.Response{StatusCode: status, Header: make(http.Header), Body: io.NopCloser(strings.NewReader(body)), Request: req}
}

func request(t testing.TB, ctx context.Context) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://users.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

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

// Requests that are shed have their span, which says why.
func TestShedRequestsAreMarked(t *testing.T) {
	tracing, recorder := traced(t)
	wrap, err := middleware.New(middleware.WithAttempts(), middleware.WithDeadlines(middleware.Deadlines{}),
		middleware.WithObserver(tracing.ServerObserver()))
	if err != nil {
		t.Fatal(err)
	}
	h := tracing.Server(wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("bug") })))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Request-Timeout-Ms", "0")
	r.Header.Set("Retry-Attempt", "2")
	h.ServeHTTP(httptest.NewRecorder(), r)
	func() {
		defer func() { recover() }()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	}()
	spans := ended(t, recorder)
	if len(spans) != 2 {
		t.Fatalf("%d spans, want 2", len(spans))
	}
	if shed, attempt := attr(spans[0], "evenkeel.shed"), attr(spans[0], "evenkeel.attempt"); shed != "expired" || attempt != "2" {
		t.Errorf("shed %q, attempt %q; want expired, 2", shed, attempt)
	}
	if shed, status := attr(spans[1], "evenkeel.shed"), spans[1].Status(); shed != "" || status.Description != "panicked" {
		t.Errorf("shed %q, status %+v; want none, panicked", shed, status)
	}
}

// An upgraded connection can be written to, and trailers arrive.
func TestUpgradeAndTrailers(t *testing.T) {
	tracing, recorder := traced(t)
	mux := http.NewServeMux()
	mux.HandleFunc("/trailer", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Trailer", "X-Sum")
		io.WriteString(w, "body")
		w.Header().Set("X-Sum", "42")
	})
	mux.HandleFunc("/upgrade", func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		conn.SetDeadline(time.Now().Add(10 * time.Second))
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		line, _ := rw.ReadString('\n')
		io.WriteString(conn, line)
	})
	wrap, err := middleware.New(middleware.WithObserver(tracing.ServerObserver()))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(tracing.Server(wrap(mux)))
	defer server.Close()
	client := &http.Client{Transport: chain(t, tracing, nil)}

	resp, err := client.Get(server.URL + "/trailer")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if got := resp.Trailer.Get("X-Sum"); got != "42" {
		t.Errorf("trailer %q, want 42", got)
	}

	req, _ := http.NewRequestWithContext(t.Context(), "GET", server.URL+"/upgrade", nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	if resp, err = client.Do(req); err != nil {
		t.Fatal(err)
	}
	stream, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("body of a 101 is a %T, want it writable", resp.Body)
	}
	fmt.Fprintln(stream, "hello")
	if line, err := bufio.NewReader(stream).ReadString('\n'); line != "hello\n" {
		t.Errorf("echo %q, %v; want hello", line, err)
	}
	stream.Close()
	server.Close()
	for _, s := range recorder.Started() {
		if ro := s.(sdktrace.ReadOnlySpan); s.SpanKind() != trace.SpanKindServer && ro.EndTime().IsZero() {
			t.Errorf("%s is still open", s.Name())
		}
	}
}

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

// Without a tracer, and with one that makes nothing, baggage still travels.
func TestNoop(t *testing.T) {
	for name, provider := range map[string]trace.TracerProvider{"noop": noop.NewTracerProvider(), "not that type": disguised{noop.NewTracerProvider()}} {
		tracing, err := oteltrace.New(oteltrace.WithTracerProvider(provider), oteltrace.WithPropagators(w3c))
		if err != nil {
			t.Fatal(err)
		}
		var got, in string
		base := &at{do: func(_ int, req *http.Request) (*http.Response, error) {
			got = req.Header.Get("Baggage")
			return reply(req, 200, "x"), nil
		}}
		member, _ := baggage.NewMember("tenant", "acme")
		bag, _ := baggage.New(member)
		req := request(t, baggage.ContextWithBaggage(t.Context(), bag))
		resp, err := chain(t, tracing, base).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if got != "tenant=acme" || len(req.Header) != 0 {
			t.Errorf("%s: baggage %q, header of the caller %v; want tenant=acme and nothing", name, got, req.Header)
		}
		h := tracing.Server(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			in = baggage.FromContext(r.Context()).Member("tenant").Value()
		}))
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("Baggage", "tenant=acme")
		h.ServeHTTP(httptest.NewRecorder(), r)
		if in != "acme" {
			t.Errorf("%s: baggage in the handler %q, want acme", name, in)
		}
	}
}

// disguised hides that a provider is a no-op.
type disguised struct{ trace.TracerProvider }

func TestNewErrors(t *testing.T) {
	_, err := oteltrace.New(oteltrace.WithTracerProvider(nil), oteltrace.WithMeterProvider(nil),
		oteltrace.WithPropagators(nil), oteltrace.WithHTTPOptions(nil), nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"WithTracerProvider(nil)", "WithMeterProvider(nil)", "WithPropagators(nil)", "WithHTTPOptions(nil)"} {
		if !strings.Contains(err.Error(), "oteltrace: "+want) {
			t.Errorf("error %q, want %s in it", err, want)
		}
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
