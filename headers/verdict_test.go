package headers_test

import (
	"testing"

	"github.com/datapunk/evenkeel/headers"
)

func TestVerdict(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  headers.Verdict
	}{
		{nil, headers.NoVerdict},
		{[]string{"X-Should-Retry: true"}, headers.Retry},
		{[]string{"X-Should-Retry: FALSE "}, headers.DoNotRetry},
		{[]string{"X-Should-Retry: maybe"}, headers.NoVerdict},
		{[]string{"X-Should-Retry: true", "X-Should-Retry: false"}, headers.NoVerdict},
		{[]string{"X-Should-Retry: true", "Stripe-Should-Retry: false"}, headers.DoNotRetry},
		{[]string{"Stripe-Should-Retry: true"}, headers.Retry},
		{[]string{"Grpc-Retry-Pushback-Ms: -1"}, headers.DoNotRetry},
		{[]string{"Grpc-Retry-Pushback-Ms: soon"}, headers.DoNotRetry},
		{[]string{"Grpc-Retry-Pushback-Ms: 2147483648"}, headers.DoNotRetry},
		{[]string{"Grpc-Retry-Pushback-Ms: 2147483647"}, headers.NoVerdict},
		{[]string{"X-Should-Retry: true", "Grpc-Retry-Pushback-Ms: -1"}, headers.DoNotRetry},
		{[]string{"X-Envoy-Ratelimited: true"}, headers.NoVerdict},
	} {
		if got := headers.VerdictOf(of(tt.lines...)); got != tt.want {
			t.Errorf("VerdictOf(%q) = %v, want %v", tt.lines, got, tt.want)
		}
	}
	for _, v := range []headers.Verdict{headers.NoVerdict, headers.Retry, headers.DoNotRetry} {
		for _, contentType := range []string{"text/plain", "application/grpc+proto"} {
			h := of("Content-Type: " + contentType)
			headers.SetVerdict(h, v)
			if got := headers.VerdictOf(h); got != v {
				t.Errorf("SetVerdict(%v) is read as %v", v, got)
			}
			if got, want := h.Get("Grpc-Retry-Pushback-Ms") == "-1", v == headers.DoNotRetry && contentType != "text/plain"; got != want {
				t.Errorf("SetVerdict(%v) for %s: pushback %v, want %v", v, contentType, got, want)
			}
		}
	}
}

func TestHinted(t *testing.T) {
	for line, want := range map[string]bool{
		"Retry-After: 1": true, "Retry-After: 0": true, "Retry-After: Mon, 23 Nov 2026 12:00:05 GMT": true, "Retry-After: 1, 2": true,
		"Retry-After-Ms: 20": true, "X-Ms-Retry-After-Ms: 20": true, "X-Amz-Retry-After: 20": true, "Grpc-Retry-Pushback-Ms: 20": true,
		"Grpc-Retry-Pushback-Ms: -1": true, "X-Should-Retry: true": true, "X-Should-Retry: false": true, "Stripe-Should-Retry: true": true,
		`RateLimit: "a";r=0;t=5`: true, "RateLimit: limit=9, remaining=0, reset=60": true, `RateLimit: "a";r=1;t=5`: false,
		"Retry-After: soon": false, "Retry-After: ": false, "X-Should-Retry: maybe": false, "X-Envoy-Ratelimited: true": false, "Server: nginx": false,
	} {
		if got := headers.Hinted(of(line), now); got != want {
			t.Errorf("Hinted(%q) = %v, want %v", line, got, want)
		}
	}
	if headers.Hinted(nil, now) {
		t.Error("Hinted(nil)")
	}
}
