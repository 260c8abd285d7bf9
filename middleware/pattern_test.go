package middleware_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// copying is a layer that hands on a copy of the request, as most do.
func copying(next http.Handler) http.Handler {
	type key struct{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), key{}, 1)))
	})
}

// recording wraps the writer too.
func recording(next http.Handler) http.Handler {
	return copying(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { next.ServeHTTP(unwrapping{w}, r) }))
}

// hiding does so without a way through.
func hiding(next http.Handler) http.Handler {
	return copying(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
	}))
}

func stripping(next http.Handler) http.Handler { return http.StripPrefix("/api", next) }
func timing(next http.Handler) http.Handler    { return http.TimeoutHandler(next, time.Minute, "") }

// With any layer between the middleware and the mux, the event and the layers around
// the middleware see the pattern: the mux is asked first, or passes it back.
func TestPatternComesBackThroughLayers(t *testing.T) {
	const want = "GET /api/users/{id}"
	newMux := func(pattern string) *http.ServeMux {
		mux := http.NewServeMux()
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			if got := r.PathValue("id"); got != "7" {
				t.Errorf("path value %q, want 7", got)
			}
		})
		return mux
	}
	bare := func(next http.Handler) http.Handler { return next }
	mux := newMux(want)
	told := middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute})
	asked := middleware.WithRoute(middleware.RouteOf(mux))
	for _, tt := range []struct {
		name  string
		layer func(http.Handler) http.Handler
		mux   http.Handler
		opts  []middleware.Option
		want  string
	}{
		{"plain", bare, mux, nil, want},
		{"routed", bare, middleware.Routed(mux), nil, want},
		{"a copy", copying, mux, nil, ""},
		{"a copy, routed", copying, middleware.Routed(mux), nil, want},
		{"a copy, asked", copying, mux, []middleware.Option{asked}, want},
		{"a writer, routed", recording, middleware.Routed(mux), nil, want},
		{"two writers, routed", func(h http.Handler) http.Handler { return recording(recording(h)) }, middleware.Routed(mux), nil, want},
		{"a hidden writer, routed, told", hiding, middleware.Routed(mux), []middleware.Option{told}, want},
		{"a hidden writer, routed, attempts", hiding, middleware.Routed(mux), []middleware.Option{middleware.WithAttempts()}, want},
		{"a hidden writer, asked", hiding, mux, []middleware.Option{asked}, want},
		{"a timeout, routed, told", timing, middleware.Routed(mux), []middleware.Option{told}, want},
		{"a timeout, asked", timing, mux, []middleware.Option{asked}, want},
		{"a prefix, routed", stripping, middleware.Routed(newMux("/users/{id}")), nil, "/users/{id}"},
		{"a prefix and a copy, routed", func(h http.Handler) http.Handler { return copying(stripping(h)) }, middleware.Routed(newMux("/users/{id}")), nil, "/users/{id}"},
	} {
		var got string
		h := build(t, tt.layer(tt.mux).ServeHTTP, append(tt.opts, middleware.WithObserver(middleware.Observer{
			OnRequest: func(_ context.Context, e middleware.Event) { got = e.Pattern },
		}))...)
		r := httptest.NewRequest("GET", "/api/users/7", nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got != tt.want || r.Pattern != tt.want || w.Code != 200 {
			t.Errorf("%s: %d, pattern %q, around it %q, want %q", tt.name, w.Code, got, r.Pattern, tt.want)
		}
	}
	// Outside of the middleware Routed is the mux.
	w := httptest.NewRecorder()
	middleware.Routed(mux).ServeHTTP(w, httptest.NewRequest("GET", "/api/users/7", nil))
	if w.Code != 200 {
		t.Errorf("%d without the middleware, want 200", w.Code)
	}
}

// A refused request has the name that the router gives when it is asked
// beforehand; one of a router that cannot be asked has none.
func TestRefusedRequestsAreNamed(t *testing.T) {
	mux := http.NewServeMux()
	mux.HandleFunc("/users/{id}", func(http.ResponseWriter, *http.Request) {})
	drain := new(middleware.Drain)
	drain.Start()
	for name, tt := range map[string]struct {
		route func(*http.Request) string
		want  string
	}{
		"asked":        {middleware.RouteOf(mux), "/users/{id}"},
		"by the path":  {func(*http.Request) string { return "all" }, "all"},
		"knows later":  {func(r *http.Request) string { return r.Pattern }, ""},
		"not asked":    {nil, ""},
		"knows no one": {func(*http.Request) string { return "" }, ""},
	} {
		var e middleware.Event
		h := build(t, mux.ServeHTTP, middleware.WithRoute(tt.route), middleware.WithDrain(drain), middleware.WithObserver(middleware.Observer{
			OnRequest: func(_ context.Context, event middleware.Event) { e = event },
		}))
		r := httptest.NewRequest("GET", "/users/7", nil)
		h.ServeHTTP(httptest.NewRecorder(), r)
		if e.Shed != middleware.ShedDrain || e.Pattern != tt.want || r.Pattern != tt.want {
			t.Errorf("%s: shed %q, pattern %q, around it %q, want %q", name, e.Shed, e.Pattern, r.Pattern, tt.want)
		}
	}
}

// A router inside that the middleware belongs to knows a part of the name at
// first and all of it later, by something in the context.
func TestLaterNameCounts(t *testing.T) {
	type key struct{}
	named := func(r *http.Request) string {
		if name, ok := r.Context().Value(key{}).(*string); ok {
			return *name
		}
		return ""
	}
	for _, tt := range []struct{ first, later, pattern, want string }{
		{"/api", "/api/users/{id}", "", "/api/users/{id}"},
		{"", "/users/{id}", "", "/users/{id}"},
		{"/api", "", "", "/api"},
		{"/api", "", "/mux", "/api"},
		{"", "", "/mux", "/mux"},
		{"", "/later", "/mux", "/later"},
	} {
		for _, flush := range []bool{false, true} {
			var got string
			h := build(t, func(w http.ResponseWriter, r *http.Request) {
				*r.Context().Value(key{}).(*string) = tt.later
				r.Pattern = tt.pattern
				if flush {
					w.(http.Flusher).Flush()
				}
			}, middleware.WithRoute(named), middleware.WithShedding(middleware.Shedding{}), middleware.WithObserver(middleware.Observer{
				OnRequest: func(_ context.Context, e middleware.Event) { got = e.Pattern },
			}))
			name := tt.first
			r := httptest.NewRequest("GET", "/api/users/7", nil)
			h.ServeHTTP(httptest.NewRecorder(), r.WithContext(context.WithValue(r.Context(), key{}, &name)))
			if got != tt.want {
				t.Errorf("%q, then %q and pattern %q, flush %v: %q, want %q", tt.first, tt.later, tt.pattern, flush, got, tt.want)
			}
		}
	}
}
