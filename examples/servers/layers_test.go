package servers_test

import (
	"compress/gzip"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/klauspost/compress/gzhttp"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
)

func gzipHandler(mux *http.ServeMux, options []middleware.Option) (http.Handler, error) {
	// README: gzip
	wrap, err := middleware.New(append(options, middleware.WithRoute(middleware.RouteOf(mux)))...)
	if err != nil {
		return nil, err
	}
	handler := gzhttp.GzipHandler(wrap(mux))
	// README: end
	return handler, nil
}

func TestGzip(t *testing.T) {
	page := strings.Repeat("evenkeel ", 10_000)
	mux := func(a *app) *http.ServeMux {
		mux := a.mux()
		mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			io.WriteString(w, page)
		})
		return mux
	}
	a := newApp()
	outside, err := gzipHandler(mux(a), a.options())
	if err != nil {
		t.Fatal(err)
	}
	b := newApp()
	inner := mux(b)
	wrap, err := middleware.New(append(b.options(), middleware.WithRoute(middleware.RouteOf(inner)))...)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		a     *app
		h     http.Handler
		small bool // what the middleware counts is compressed
	}{
		{"outside", a, outside, false},
		{"inside", b, wrap(gzhttp.GzipHandler(inner)), true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tt.a.drive(t, tt.h, "/users/{id}", "/users/{id}")
			req, err := http.NewRequestWithContext(t.Context(), "GET", start(t, tt.h)+"/page", nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Accept-Encoding", "gzip")
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer resp.Body.Close()
			plain, err := gzip.NewReader(resp.Body)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(plain); string(got) != page || err != nil {
				t.Errorf("%d bytes, %v, want the page of %d", len(got), err, len(page))
			}
			if e := tt.a.event(t); (e.Bytes < int64(len(page))) != tt.small || e.Bytes == 0 {
				t.Errorf("the middleware counts %d bytes of %d; want less: %v", e.Bytes, len(page), tt.small)
			}
		})
	}
}

func otelOutside(mux *http.ServeMux, options []middleware.Option, otel ...otelhttp.Option) (http.Handler, error) {
	// README: otel-outside
	wrap, err := middleware.New(append(options, middleware.WithRoute(middleware.RouteOf(mux)))...)
	if err != nil {
		return nil, err
	}
	handler := otelhttp.NewHandler(wrap(mux), "shop", otel...)
	// README: end
	return handler, nil
}

func otelInside(mux *http.ServeMux, options []middleware.Option, otel ...otelhttp.Option) (http.Handler, error) {
	// README: otel-inside
	wrap, err := middleware.New(append(options, middleware.WithRoute(middleware.RouteOf(mux)))...)
	if err != nil {
		return nil, err
	}
	handler := wrap(otelhttp.NewHandler(mux, "shop", otel...))
	// README: end
	return handler, nil
}

func TestOtelhttp(t *testing.T) {
	for _, tt := range []struct {
		name    string
		build   func(*http.ServeMux, []middleware.Option, ...otelhttp.Option) (http.Handler, error)
		refused int // spans of requests that were refused
	}{
		{"outside", otelOutside, 1},
		{"inside", otelInside, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			spans := tracetest.NewInMemoryExporter()
			provider := trace.NewTracerProvider(trace.WithSyncer(spans))
			t.Cleanup(func() { provider.Shutdown(context.Background()) })
			a := newApp()
			h, err := tt.build(a.mux(), a.options(), otelhttp.WithTracerProvider(provider))
			if err != nil {
				t.Fatal(err)
			}
			a.drive(t, h, "/users/{id}", "/users/{id}")
			// The span of a request may end after its answer has arrived.
			const served = 3 // alone, beside the stream and beside the WebSocket
			named := 0
			if !eventually(func() bool {
				named = 0
				for _, span := range spans.GetSpans() {
					if span.Name == "GET /users/{id}" {
						named++
					}
				}
				return named >= served+tt.refused
			}) || named > served+tt.refused {
				t.Errorf("%d spans are named by the route, want %d that were served and %d that were refused", named, served, tt.refused)
			}
		})
	}
}

// A layer that copies the request hides the pattern from the middleware without
// WithRoute.
func TestOtelhttpHidesThePattern(t *testing.T) {
	a := newApp()
	wrap, err := middleware.New(a.options()...)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		mux  http.Handler
		want string
	}{
		{"the mux", a.mux(), ""},
		{"Routed", middleware.Routed(a.mux()), "/users/{id}"},
	} {
		get(t, start(t, wrap(otelhttp.NewHandler(tt.mux, "shop")))+"/users/7")
		if e := a.event(t); e.Pattern != tt.want {
			t.Errorf("the route inside otelhttp by %s is %q, want %q", tt.name, e.Pattern, tt.want)
		}
	}
}
