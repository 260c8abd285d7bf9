package middleware

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"unsafe"
)

// Each admitted request allocates one exchange. At more than 160 bytes the allocator
// takes 176 for it.
func TestExchangeFitsItsSizeClass(t *testing.T) {
	const most = 160
	if got := unsafe.Sizeof(exchange{}); got > most {
		t.Errorf("an exchange has %d bytes, want at most %d", got, most)
	}
}

// The limit learns which requests are retries, with and without the headers of attempts in
// their context, but not from those who are not trusted.
func TestRetriesAreMeasured(t *testing.T) {
	distrust := WithTrust(func(*http.Request) bool { return false })
	for _, tt := range []struct {
		name, header string
		opts         []Option
		want         bool
	}{
		{"a first attempt", "1;max=3", nil, false},
		{"a retry", "2;max=3", nil, true},
		{"a client that does not say", "", nil, false},
		{"a retry, read for the handler", "2;max=3", []Option{WithAttempts()}, true},
		{"a retry of somebody who is not trusted", "2;max=3", []Option{distrust}, false},
	} {
		wrap, err := New(append(tt.opts, WithShedding(Shedding{}))...)
		if err != nil {
			t.Fatal(err)
		}
		got := false
		h := wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			got = exchangeOf(r.Context(), w).completion(0, 1, false).Retry
		}))
		r := httptest.NewRequest("GET", "/", nil)
		if tt.header != "" {
			r.Header.Set("Retry-Attempt", tt.header)
		}
		h.ServeHTTP(httptest.NewRecorder(), r)
		if got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
}
