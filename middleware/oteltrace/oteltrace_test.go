package oteltrace_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
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
