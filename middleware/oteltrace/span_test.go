package oteltrace_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/datapunk/evenkeel/middleware/oteltrace"
	"github.com/datapunk/evenkeel/transport"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
)

// clean reports an error for each text in the spans that an exporter would
// choke on, or that nobody wants to keep.
func clean(t *testing.T, spans []sdktrace.ReadOnlySpan) {
	t.Helper()
	check := func(what, text string) {
		if !utf8.ValidString(text) || len(text) > 1024 {
			t.Errorf("%s is %.40q of %d bytes", what, text, len(text))
		}
	}
	for _, s := range spans {
		check("the name of a span", s.Name())
		check("the status of "+s.Name(), s.Status().Description)
		for _, kv := range s.Attributes() {
			check(s.Name()+" "+string(kv.Key), kv.Value.String())
		}
		for _, e := range s.Events() {
			for _, kv := range e.Attributes {
				check(s.Name()+" "+e.Name+" "+string(kv.Key), kv.Value.String())
			}
		}
	}
}

// typed is an error that names its own type.
type typed string

func (typed) Error() string       { return "http://user:secret@users.test/: \xff" }
func (e typed) ErrorType() string { return string(e) }

// Whatever a program or its peers make up, spans are short and legible.
func TestSpansOfStrangeNames(t *testing.T) {
	for name, text := range map[string]string{
		"invalid": "a\xff\xfeb", "long": strings.Repeat("x", 5000), "long and cut in a rune": strings.Repeat("é", 5000),
		"good": "users", "lines": "new\nline",
	} {
		t.Run("service "+name, func(t *testing.T) {
			tracing, recorder := traced(t)
			base := &at{do: func(n int, req *http.Request) (*http.Response, error) { return nil, typed(text) }}
			chain(t, tracing, base, transport.WithServiceName(func(*http.Request) string { return text })).RoundTrip(request(t, t.Context()))
			spans := ended(t, recorder)
			clean(t, spans)
			if got := attr(spans[0], "evenkeel.service"); name == "good" && got != text || got == "" {
				t.Errorf("service %.40q, want %.40q", got, text)
			}
		})
	}
	for _, method := range []string{strings.Repeat("X", 5000), "X1Y", "get", "PROPFIND", "GET"} {
		t.Run(fmt.Sprintf("method %.8s", method), func(t *testing.T) {
			tracing, recorder := traced(t)
			base := &at{do: func(_ int, req *http.Request) (*http.Response, error) { return reply(req, 200, "x"), nil }}
			req := request(t, t.Context())
			req.Method = method
			resp, err := chain(t, tracing, base).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			spans := ended(t, recorder)
			clean(t, spans)
			want := "HTTP GET"
			if strings.ToUpper(method) != "GET" {
				want = "HTTP"
			}
			if spans[1].Name() != want {
				t.Errorf("the span is named %.40q, want %s", spans[1].Name(), want)
			}
		})
	}
}

// What strangers send to a server does not spoil its spans, and with them a
// whole batch.
func TestServerSpansOfStrangeRequests(t *testing.T) {
	tracing, recorder := traced(t)
	wrap, err := middleware.New(middleware.WithObserver(tracing.ServerObserver()))
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 5000)
	mux := http.NewServeMux()
	for _, pattern := range []string{"/", "/" + long} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusNoContent) })
	}
	srv := httptest.NewServer(tracing.Server(wrap(mux)))
	defer srv.Close()
	for _, head := range []string{
		"GET /%ff%fe HTTP/1.1\r\nHost: x\r\n",
		"GET /" + long + " HTTP/1.1\r\nHost: x\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: \xff\xfe\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + long + "\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nUser-Agent: \xc3\r\n",
		"GET / HTTP/1.1\r\nHost: " + long + "\r\n",
		strings.ToUpper(long) + " / HTTP/1.1\r\nHost: x\r\n",
	} {
		conn, err := net.Dial("tcp", srv.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(conn, head+"Connection: close\r\n\r\n")
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatalf("%.40q: %v, %v", head, resp, err)
		}
		conn.Close()
	}
	srv.Close() // waits for the handlers
	if spans := ended(t, recorder); len(spans) != 7 {
		t.Errorf("%d spans, want 7", len(spans))
	} else {
		clean(t, spans)
	}
}

// No error puts its text into a span, from any layer.
func TestSpansHoldNoTextOfErrors(t *testing.T) {
	secret := errors.New("GET http://user:secret@users.test/?token=secret: broken")
	for name, do := range map[string]func(int, *http.Request) (*http.Response, error){
		"base": func(int, *http.Request) (*http.Response, error) { return nil, secret },
		"body": func(_ int, req *http.Request) (*http.Response, error) {
			resp := reply(req, 200, "")
			resp.Body = io.NopCloser(failing{secret})
			return resp, nil
		},
		"upgraded": func(_ int, req *http.Request) (*http.Response, error) {
			resp := reply(req, 101, "")
			resp.Body = failing{secret}
			return resp, nil
		},
		"panic": func(int, *http.Request) (*http.Response, error) { panic(secret) },
	} {
		t.Run(name, func(t *testing.T) {
			tracing, recorder := traced(t)
			func() {
				defer func() { recover() }()
				resp, err := chain(t, tracing, &at{do: do}).RoundTrip(request(t, t.Context()))
				if err != nil {
					return
				}
				io.Copy(io.Discard, resp.Body)
				if w, ok := resp.Body.(io.Writer); ok {
					w.Write([]byte("x"))
				}
				resp.Body.Close()
			}()
			failed := 0
			for _, s := range ended(t, recorder) {
				if s.Status().Code == codes.Error {
					failed++
				}
				for _, kv := range s.Attributes() { // url.full is the program's own
					if kv.Key != "url.full" && strings.Contains(kv.Value.String(), "secret") {
						t.Errorf("%s: %s is %s", s.Name(), kv.Key, kv.Value.String())
					}
				}
				if text := fmt.Sprint(s.Status(), s.Events()); strings.Contains(text, "secret") {
					t.Errorf("%s: %s", s.Name(), text)
				}
			}
			if failed == 0 {
				t.Error("no span failed")
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error)  { return 0, f.err }
func (f failing) Write([]byte) (int, error) { return 0, f.err }
func (failing) Close() error                { return nil }

// A panic of a handler is noted by its type, an abort not at all, and both pass
// on.
func TestServerSpansOfPanics(t *testing.T) {
	for _, tt := range []struct {
		panicked any
		events   int
		status   codes.Code
	}{
		{errors.New("secret"), 1, codes.Error},
		{http.ErrAbortHandler, 0, codes.Unset},
	} {
		tracing, recorder := traced(t)
		wrap, err := middleware.New(middleware.WithObserver(tracing.ServerObserver()))
		if err != nil {
			t.Fatal(err)
		}
		h := tracing.Server(wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			panic(tt.panicked)
		})))
		func() {
			defer func() {
				if p := recover(); p != tt.panicked {
					t.Errorf("panic %v, want %v", p, tt.panicked)
				}
			}()
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		}()
		span := ended(t, recorder)[0]
		if len(span.Events()) != tt.events || span.Status().Code != tt.status || strings.Contains(fmt.Sprint(span.Events()), "secret") {
			t.Errorf("%v: events %v, status %+v; want %d events, %v", tt.panicked, span.Events(), span.Status(), tt.events, tt.status)
		}
		if got := attr(span, "http.response.status_code"); got != "202" {
			t.Errorf("%v: status code %q, want that of the response", tt.panicked, got)
		}
	}
}

// Layers and handlers inside find in their context the span of the program's
// own provider.
func TestSpanInTheContextIsTheirOwn(t *testing.T) {
	tracing, recorder := traced(t)
	found := func(ctx context.Context) {
		t.Helper()
		if _, ok := trace.SpanFromContext(ctx).(sdktrace.ReadWriteSpan); !ok {
			t.Errorf("a %T, want a span of the SDK", trace.SpanFromContext(ctx))
		}
	}
	base := &at{do: func(_ int, req *http.Request) (*http.Response, error) {
		found(req.Context())
		return reply(req, 200, "x"), nil
	}}
	resp, err := chain(t, tracing, base).RoundTrip(request(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	h := tracing.Server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { found(r.Context()) }))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	if n := len(ended(t, recorder)); n != 3 {
		t.Errorf("%d spans, want 3", n)
	}
}

// A provider given to otelhttp itself is left alone, and what an attempt comes
// to is not noted in a span further out.
func TestProviderOfOtelhttpItself(t *testing.T) {
	further, outer := traced(t)
	recorder, own := tracetest.NewSpanRecorder(), tracetest.NewSpanRecorder()
	tracing, err := oteltrace.New(
		oteltrace.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(recorder))),
		oteltrace.WithHTTPOptions(otelhttp.WithTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(own)))),
	)
	if err != nil {
		t.Fatal(err)
	}
	outside := &at{do: func(_ int, req *http.Request) (*http.Response, error) {
		inside := &at{do: func(int, *http.Request) (*http.Response, error) { return nil, context.Canceled }}
		chain(t, tracing, inside).RoundTrip(request(t, req.Context()))
		resp := reply(req, 200, "")
		resp.Body = io.NopCloser(failing{io.ErrUnexpectedEOF})
		return resp, nil
	}}
	resp, err := chain(t, further, outside).RoundTrip(request(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
	if len(own.Ended()) != 1 || len(recorder.Ended()) != 1 || len(outer.Ended()) != 2 {
		t.Fatalf("spans %v, %v and %v, want an attempt, its call, and those of the call further out", own.Ended(), recorder.Ended(), outer.Ended())
	}
	for _, s := range outer.Ended() {
		if s.Status().Code != codes.Error || attr(s, "error.type") != "body" {
			t.Errorf("%s has status %+v and type %q, want that of its body", s.Name(), s.Status(), attr(s, "error.type"))
		}
	}
}
