package middleware

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
)

// Requests are measured under the names of their routes, however these are known.
func TestRoutesAreMeasuredByName(t *testing.T) {
	var got []string
	mux := http.NewServeMux()
	for _, pattern := range []string{"/cheap/{id}", "/costly/{id}"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			w.(http.Flusher).Flush() // gives back the slot
			got = append(got, exchangeOf(r.Context(), w).completion(0, 1, false).Route)
		})
	}
	for name, tt := range map[string]struct {
		opts  []Option
		inner http.Handler
		want  []string
	}{
		"asked":  {[]Option{WithRoute(RouteOf(mux))}, mux, []string{"/cheap/{id}", "/costly/{id}", "/cheap/{id}"}},
		"routed": {nil, Routed(mux), []string{"/cheap/{id}", "/costly/{id}", "/cheap/{id}"}},
		"named":  {[]Option{WithRoute(func(r *http.Request) string { return r.URL.Path[1:3] })}, mux, []string{"ch", "co", "ch"}},
		"not":    {nil, mux, []string{"", "", ""}},
	} {
		wrap, err := New(append(tt.opts, WithShedding(Shedding{}))...)
		if err != nil {
			t.Fatal(err)
		}
		h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tt.inner.ServeHTTP(w, r.WithContext(r.Context()))
		}))
		got = nil
		for _, path := range []string{"/cheap/1", "/costly/1", "/cheap/2"} {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: got routes %q, want %q", name, got, tt.want)
		}
	}
}
