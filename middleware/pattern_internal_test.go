package middleware

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// Routes are measured by the names that they have, however these are known.
func TestRoutesAreMeasuredByName(t *testing.T) {
	mux := http.NewServeMux()
	for _, pattern := range []string{"/cheap/{id}", "/costly/{id}"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { w.(http.Flusher).Flush() })
	}
	for name, tt := range map[string]struct {
		opts  []Option
		inner http.Handler
		want  []string
	}{
		"asked":  {[]Option{WithRoute(RouteOf(mux))}, mux, []string{"/cheap/{id}", "/costly/{id}"}},
		"routed": {nil, Routed(mux), []string{"/cheap/{id}", "/costly/{id}"}},
		"named":  {[]Option{WithRoute(func(r *http.Request) string { return r.URL.Path[1:3] })}, mux, []string{"ch", "co"}},
		"not":    {nil, mux, nil},
	} {
		wrap, err := New(append(tt.opts, WithShedding(Shedding{}))...)
		if err != nil {
			t.Fatal(err)
		}
		h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tt.inner.ServeHTTP(w, r.WithContext(r.Context()))
		}))
		for _, path := range []string{"/cheap/1", "/costly/1", "/cheap/2"} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		}
		var got []string
		for route := range h.(*handler).gate.adaptive.routes.byName {
			got = append(got, route)
		}
		slices.Sort(got)
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: routes %q, want %q", name, got, tt.want)
		}
	}
}
