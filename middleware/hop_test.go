package middleware_test

import (
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
)

// The two sides of a process meet in the hop: what the request is goes down,
// and what a server below has said comes up.
func TestHop(t *testing.T) {
	for _, tt := range []struct {
		name   string
		no     bool // said a server below
		status int
		own    string // X-Should-Retry of the handler
		want   string
	}{
		{"nothing was said", false, 502, "", ""},
		{"no, and it failed", true, 502, "", "false"},
		{"no, and it refused", true, 503, "", "false"},
		{"no, and the quota is used up", true, 429, "", "false"},
		{"no, but it succeeded", true, 200, "", ""},
		{"no, but it is the client's fault", true, 404, "", ""},
		{"the handler knows better", true, 503, "true", "true"},
	} {
		h := build(t, func(w http.ResponseWriter, r *http.Request) {
			hop := headers.HopOf(r.Context())
			if hop == nil || hop.Attempt != 2 || !hop.Retried() {
				t.Errorf("%s: hop %+v, want one of the second attempt", tt.name, hop)
			}
			if tt.no {
				hop.SayNo()
			}
			if tt.own != "" {
				w.Header().Set("X-Should-Retry", tt.own)
			}
			w.WriteHeader(tt.status)
		}, middleware.WithAttempts())
		resp := serve(h, "GET", "Retry-Attempt: 2;max=3")
		if got := resp.Header.Get("X-Should-Retry"); got != tt.want {
			t.Errorf("%s: X-Should-Retry %q, want %q", tt.name, got, tt.want)
		}
		if after := resp.Header.Get("Retry-After"); tt.want == "false" && after != "" {
			t.Errorf("%s: Retry-After %s beside a no", tt.name, after)
		}
	}
}
