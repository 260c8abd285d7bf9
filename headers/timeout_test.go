package headers_test

import (
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

func TestTimeout(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  time.Duration
	}{
		{nil, never},
		{[]string{"Request-Timeout-Ms: 1500"}, 1500 * time.Millisecond},
		{[]string{"Request-Timeout-Ms: 0"}, 0},
		{[]string{"Request-Timeout-Ms: -1"}, never},
		{[]string{"Request-Timeout-Ms: 1.5"}, never},
		{[]string{"Request-Timeout-Ms: 2", "Request-Timeout-Ms: 1"}, time.Millisecond},
		{[]string{"Request-Timeout-Ms: soon", "Request-Timeout-Ms: 2"}, 2 * time.Millisecond},
		{[]string{"Request-Timeout-Ms: 99999999999999999999999"}, headers.MaxDelay},
		{[]string{"Request-Timeout-Ms: 1500", "Grpc-Timeout: 1S"}, time.Second},
		{[]string{"Grpc-Timeout: 100u"}, 100 * time.Microsecond},
		{[]string{"Grpc-Timeout: 2H"}, 2 * time.Hour},
		{[]string{"Grpc-Timeout: 2M"}, 2 * time.Minute},
		{[]string{"Grpc-Timeout: 2m"}, 2 * time.Millisecond},
		{[]string{"Grpc-Timeout: 2n"}, 2},
		{[]string{"Grpc-Timeout: S"}, never},
		{[]string{"Grpc-Timeout: 12345678n"}, 12345678},
		{[]string{"Grpc-Timeout: 123456789n"}, never},
		{[]string{"Grpc-Timeout: 1S", "Request-Timeout-Ms: 1500"}, time.Second},
		{[]string{"Request-Timeout-Ms: 31535999999"}, headers.MaxDelay - time.Millisecond},
		{[]string{"Grpc-Timeout: 123456789S"}, never},
		{[]string{"Grpc-Timeout: 99999999H"}, headers.MaxDelay},
		{[]string{"Grpc-Timeout: 1x"}, never},
		{[]string{"Connect-Timeout-Ms: 70"}, 70 * time.Millisecond},
		{[]string{"Connect-Timeout-Ms: 70", "Request-Attempt-Timeout-Ms: 20"}, 70 * time.Millisecond},
		{[]string{"X-Envoy-Expected-Rq-Timeout-Ms: 80"}, never},
		{[]string{"X-Stainless-Timeout: 600"}, never},
		{[]string{"Amz-Sdk-Request: attempt=1; max=3; ttl=20261123T120010Z"}, never},
		{[]string{"Prefer: wait=0"}, never},
		{[]string{"Prefer: respond-async, wait=10"}, never},
	} {
		got, ok := headers.TimeoutOf(of(tt.lines...), now)
		if !ok {
			got = never
		}
		if got != tt.want {
			t.Errorf("TimeoutOf(%q) = %v, want %v", tt.lines, got, tt.want)
		}
	}
	for d, want := range map[time.Duration]string{
		-1: "0", 0: "0", 1: "1", 1999 * time.Microsecond: "2", time.Millisecond: "1", time.Millisecond + 1: "2", time.Second: "1000", time.Second - 1: "1000", 1<<63 - 1: "31536000000",
	} {
		if got := headers.FormatTimeout(d); got != want {
			t.Errorf("FormatTimeout(%d) = %q, want %q", d, got, want)
		}
		if got := string(headers.AppendTimeout([]byte("x"), d)); got != "x"+want {
			t.Errorf("AppendTimeout(x, %d) = %q, want x%s", d, got, want)
		}
	}
}

func TestAttemptTimeout(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  time.Duration
	}{
		{nil, never},
		{[]string{"Request-Attempt-Timeout-Ms: 1500"}, 1500 * time.Millisecond},
		{[]string{"Request-Attempt-Timeout-Ms: 0"}, 0},
		{[]string{"Request-Attempt-Timeout-Ms: 1.5"}, never},
		{[]string{"Request-Attempt-Timeout-Ms: 1500", "Request-Attempt-Timeout-Ms: 900"}, 900 * time.Millisecond},
		{[]string{"Request-Attempt-Timeout-Ms: 1500", "X-Envoy-Expected-Rq-Timeout-Ms: 80"}, 80 * time.Millisecond},
		{[]string{"X-Stainless-Timeout: 600"}, 10 * time.Minute},
		{[]string{"X-Stainless-Timeout: 0.5"}, 500 * time.Millisecond},
		{[]string{"Amz-Sdk-Request: attempt=1; max=3; ttl=20261123T120010Z"}, 10 * time.Second},
		{[]string{"Amz-Sdk-Request: ttl=20261123T115959Z"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120000Z"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120001Z"}, time.Second},
		{[]string{"Amz-Sdk-Request: ttl=20261123T130000Z"}, time.Hour},
		{[]string{"Amz-Sdk-Request: ttl=20261123T130001Z"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120010Zx"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120010"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123 120010Z"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120010Z; attempt=1"}, 10 * time.Second},
		{[]string{"X-Stainless-Timeout: 1", "Request-Attempt-Timeout-Ms: 900"}, 900 * time.Millisecond},
		{[]string{"Amz-Sdk-Request: ttl=20261123T140000Z"}, never},
		{[]string{"Amz-Sdk-Request: ttl=20261123T1200"}, never},
		{[]string{"Request-Timeout-Ms: 1", "Grpc-Timeout: 1S", "Connect-Timeout-Ms: 1", "Prefer: wait=1"}, never},
	} {
		got, ok := headers.AttemptTimeoutOf(of(tt.lines...), now)
		if !ok {
			got = never
		}
		if got != tt.want {
			t.Errorf("AttemptTimeoutOf(%q) = %v, want %v", tt.lines, got, tt.want)
		}
	}
}
