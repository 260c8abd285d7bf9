package headers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// of makes a header of "Name: value" lines.
func of(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

const never = -1 // no delay, no timeout

func TestRetryAfterOf(t *testing.T) {
	const year = headers.MaxDelay
	for _, tt := range []struct {
		lines []string
		want  time.Duration
	}{
		{nil, never},
		{[]string{"Retry-After: 3"}, 3 * time.Second},
		{[]string{"Retry-After: 1.5"}, 1500 * time.Millisecond},
		{[]string{"Retry-After:  7 "}, 7 * time.Second},
		{[]string{"Retry-After: -3"}, never},
		{[]string{"Retry-After: +3"}, never},
		{[]string{"Retry-After: 1e3"}, never},
		{[]string{"Retry-After: 3s"}, never},
		{[]string{"Retry-After: "}, never},
		{[]string{"Retry-After: 9223372037"}, year},
		{[]string{"Retry-After: 18446744074"}, year},
		{[]string{"Retry-After: " + strings.Repeat("9", 1<<20)}, year},
		{[]string{"Retry-After: Mon, 23 Nov 2026 12:00:05 GMT"}, 5 * time.Second},
		{[]string{"Retry-After: Monday, 23-Nov-26 12:00:05 GMT"}, 5 * time.Second},
		{[]string{"Retry-After: Mon Nov 23 12:00:05 2026"}, 5 * time.Second},
		{[]string{"Retry-After: Mon, 23 Nov 2026 12:00:05 UTC"}, 5 * time.Second},
		{[]string{"Retry-After: Mon, 23 Nov 2026 12:00:05 PST"}, never},
		{[]string{"Retry-After: Thu, 01 Jan 1970 00:00:00 GMT"}, 0},
		{[]string{"Retry-After: Fri, 31 Dec 9999 23:59:59 GMT"}, year},
		{[]string{"Retry-After: Mon, 23 Nov 2026 13:00:05 GMT", "Date: Mon, 23 Nov 2026 13:00:00 GMT"}, 5 * time.Second},
		{[]string{"Retry-After: Mon, 23 Nov 2026 12:00:05 GMT", "Date: yesterday"}, 5 * time.Second},
		{[]string{"Retry-After: 3", "Retry-After: 3"}, 3 * time.Second},
		{[]string{"Retry-After: 3", "Retry-After: 4"}, 4 * time.Second},
		{[]string{"Retry-After: 4", "Retry-After: 3"}, 4 * time.Second},
		{[]string{"Retry-After: 1, 2"}, 2 * time.Second},
		{[]string{"Retry-After: 2,1 ,soon"}, 2 * time.Second},
		{[]string{"Retry-After: 3, Mon, 23 Nov 2026 12:00:05 GMT"}, 5 * time.Second},
		{[]string{"Retry-After: Monday, 23-Nov-26 12:00:05 GMT, 7", "Retry-After: 6"}, 7 * time.Second},
		{[]string{"Retry-After: Mon, 23 Nov 2026 12:00:05 GMT, Mon, 23 Nov 2026 12:00:04 GMT"}, 5 * time.Second},
		{[]string{"Retry-After: Mon Nov 23 12:00:05 2026, 3"}, 5 * time.Second},
		{[]string{"Retry-After: soon", "Retry-After: 4"}, 4 * time.Second},
		{[]string{"Retry-After: Mon, 23 Nov 2026 12:00:60 GMT"}, time.Minute},
		{[]string{"Retry-After: Saturday, 23-Nov-30 12:00:00 GMT"}, year},
		{[]string{"Retry-After: Tuesday, 23-Nov-77 12:00:00 GMT"}, 0},
		{[]string{"Retry-After: 5, "}, 5 * time.Second},
		{[]string{"Retry-After: ,"}, never},
		{[]string{"Retry-After-Ms: 250", "Retry-After-Ms: 300"}, 300 * time.Millisecond},
		{[]string{"X-Ms-Retry-After-Ms: 20, 10"}, 20 * time.Millisecond},
		{[]string{"X-Amz-Retry-After: 20", "X-Amz-Retry-After: 30"}, 30 * time.Millisecond},
		{[]string{"Grpc-Retry-Pushback-Ms: 20", "Grpc-Retry-Pushback-Ms: 30"}, 30 * time.Millisecond},
		{[]string{"Grpc-Retry-Pushback-Ms: 20", "Grpc-Retry-Pushback-Ms: -1"}, never},
		{[]string{"Retry-After-Ms: 250", "Retry-After: 1"}, 250 * time.Millisecond},
		{[]string{"Retry-After-Ms: 250.5", "Retry-After: 1"}, 250500 * time.Microsecond},
		{[]string{"Retry-After-Ms: soon", "Retry-After: 1"}, time.Second},
		{[]string{"X-Ms-Retry-After-Ms: 20", "X-Amz-Retry-After: 30"}, 20 * time.Millisecond},
		{[]string{"X-Amz-Retry-After: 30", "Retry-After: 1"}, 30 * time.Millisecond},
		{[]string{"Grpc-Retry-Pushback-Ms: 40", "Retry-After: 1"}, 40 * time.Millisecond},
		{[]string{"Grpc-Retry-Pushback-Ms: -1"}, never},
		{[]string{`RateLimit: "burst";r=0;t=30, "daily";r=0;t=40, "x";r=1;t=99`}, 40 * time.Second},
		{[]string{`RateLimit: "burst";r=0;t=30`, "Retry-After: 1"}, time.Second},
		{[]string{`RateLimit: "burst";r=0;t=30,`}, never},
		{[]string{`RateLimit: "burst";r=5;t=30`}, never},
		{[]string{`RateLimit: "a";r=0;t=1`, `RateLimit: "b";r=0;t=2`}, 2 * time.Second},
		{[]string{`RateLimit: limit=10, remaining=0, reset=60`}, time.Minute},
		{[]string{`RateLimit: limit=10, remaining=1, reset=60`}, never},
		{[]string{`RateLimit: remaining=3, remaining=0;x=1, reset=7, other=(a "b");c`}, 7 * time.Second},
		{[]string{`RateLimit: remaining=0, reset=soon`}, never},
		{[]string{`RateLimit: default;r=0;t=30`}, 30 * time.Second},
		{[]string{`RateLimit: "default";a=0;w=30`}, 30 * time.Second},
		{[]string{`RateLimit: "default";a=3;w=30`}, never},
		{[]string{`RateLimit: "default";r=0;t=30;w=3600`}, 30 * time.Second},
		{[]string{`RateLimit: "default";r=0;w=3600`}, never},
		{[]string{`RateLimit: "default";r=x;r=0;t=1;t=30`}, 30 * time.Second},
		{[]string{`RateLimit: "default";r=0;r=x;t=30`}, never},
		{[]string{`RateLimit: "default";r=0;t=30;x=@1659578233;y=%"f%c3%bc";z=?1;b=:aGk=:`}, 30 * time.Second},
		{[]string{`RateLimit: "default";r=0;t=30;y=%"f%c3"`}, never},
		{[]string{`RateLimit: "default";r=0;t=30, (1 2)`}, never},
		{[]string{"RateLimit-Remaining: 0", "RateLimit-Reset: 9"}, 9 * time.Second},
		{[]string{"RateLimit-Remaining: 0", "RateLimit-Reset: 9", "RateLimit-Reset: 11"}, 11 * time.Second},
		{[]string{"RateLimit-Remaining: 1", "RateLimit-Reset: 9"}, never},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 9"}, 9 * time.Second},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1795435205"}, 5 * time.Second},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1795435205000"}, 5 * time.Second},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1000000000"}, 0},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1844674407517704720529"}, headers.MaxDelay}, // past an int64
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 6m0s"}, 6 * time.Minute},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2026-11-23T12:00:05Z"}, 5 * time.Second},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: Mon, 23 Nov 2026 12:00:05 UTC"}, 5 * time.Second},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: tomorrow at noon, perhaps"}, never},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1.5s, 2ms"}, 1500 * time.Millisecond},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 100000h"}, headers.MaxDelay},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1d"}, never},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 7", "X-RateLimit-Reset-After: 1.5"}, 1500 * time.Millisecond},
	} {
		got, ok := headers.RetryAfterOf(of(tt.lines...), now)
		if !ok {
			got = never
		}
		if got != tt.want {
			t.Errorf("RetryAfterOf(%.120q) = %v, want %v", tt.lines, got, tt.want)
		}
	}
}

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

func TestAttempt(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  headers.Attempt
	}{
		{nil, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2;max=3;id="k3\"v9"`}, headers.Attempt{N: 2, Max: 3, ID: `k3"v9`}},
		{[]string{`Retry-Attempt: 2;max=none;id=token;x=1`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max=5;max=none`}, headers.Attempt{N: 2}},
		{[]string{`Retry-Attempt: 2;max=none;max=5`}, headers.Attempt{N: 2, Max: 5}},
		{[]string{`Retry-Attempt: 2;id="a";max=3;id=b`}, headers.Attempt{N: 2, Max: 3}},
		{[]string{`Retry-Attempt: 2;at=@1659578233;max=3;who=%"f%c3%bc"`}, headers.Attempt{N: 2, Max: 3}},
		{[]string{`Retry-Attempt: 2;at=@1.5;max=3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2;max=(1 2)`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 0`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: -1`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2.0`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2, 3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 2`, `Retry-Attempt: 3`}, headers.Attempt{}},
		{[]string{`Retry-Attempt: 999999999999999`}, headers.Attempt{N: 1 << 20}},
		{[]string{`Retry-Attempt: 2;id="` + strings.Repeat("x", 129) + `"`}, headers.Attempt{N: 2}},
		{[]string{"Amz-Sdk-Request: attempt=2; max=3; ttl=20261123T120010Z", "Amz-Sdk-Invocation-Id: abc"}, headers.Attempt{N: 2, Max: 3, ID: "abc"}},
		{[]string{"Amz-Sdk-Request: ttl=20261123T120010Z;attempt=1;max=2"}, headers.Attempt{N: 1, Max: 2}},
		{[]string{"X-Stainless-Retry-Count: 2"}, headers.Attempt{N: 3}},
		{[]string{"Grpc-Previous-Rpc-Attempts: 1"}, headers.Attempt{N: 2}},
		{[]string{"X-Goog-Api-Client: gl-go/1 gccl-invocation-id/u gccl-attempt-count/4 gccl/1"}, headers.Attempt{N: 4}},
		{[]string{"X-Envoy-Attempt-Count: 5"}, headers.Attempt{N: 5}},
		{[]string{"X-Envoy-Attempt-Count: 1", "Retry-Attempt: 3;max=4"}, headers.Attempt{N: 3, Max: 4}},
		{[]string{"X-Envoy-Attempt-Count: many"}, headers.Attempt{}},
	} {
		got, ok := headers.AttemptOf(of(tt.lines...))
		if got != tt.want || ok != (tt.want.N > 0) {
			t.Errorf("AttemptOf(%.80q) = %+v, %v; want %+v", tt.lines, got, ok, tt.want)
		}
	}
	for a, want := range map[headers.Attempt]string{
		{N: 1}: "1", {N: 2, Max: 3}: "2;max=3", {N: 2, ID: "é"}: "2", {N: 3, Max: 3, ID: `a"b`}: `3;max=3;id="a\"b"`,
	} {
		if got := a.String(); got != want {
			t.Errorf("%+v is written %q, want %q", a, got, want)
		}
	}
}

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

func TestIdempotencyKey(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  string
	}{
		{nil, ""},
		{[]string{`Idempotency-Key: "8e03"`}, "8e03"},
		{[]string{`Idempotency-Key: "8e03";a=1`}, "8e03"},
		{[]string{`Idempotency-Key: "8e03";at=@12`}, "8e03"},
		{[]string{`Idempotency-Key: 8e03-aa`}, "8e03-aa"},
		{[]string{`Idempotency-Key: "a\"b"`}, `a"b`},
		{[]string{`Idempotency-Key: ""`}, ""},
		{[]string{`Idempotency-Key: "open`}, ""},
		{[]string{"Idempotency-Key: caf\u00e9"}, ""},
		{[]string{"Idempotency-Key: " + strings.Repeat("k", 256)}, ""},
		{[]string{"Idempotency-Key: a", "Idempotency-Key: b"}, ""},
		{[]string{"X-Idempotency-Key: x"}, "x"},
		{[]string{"Idempotency-Key: a", "X-Idempotency-Key: x"}, "a"},
	} {
		got, ok := headers.IdempotencyKeyOf(of(tt.lines...))
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("IdempotencyKeyOf(%.60q) = %q, %v; want %q", tt.lines, got, ok, tt.want)
		}
	}
}

// What an honest server sends costs the client nothing to read, and nor does
// what a hostile one sends.
func TestParsersDoNotAllocate(t *testing.T) {
	response := of("Retry-After-Ms: x", "Retry-After: y", "Date: Mon, 23 Nov 2026 12:00:00 GMT", "X-Should-Retry: true",
		`RateLimit: "burst";r=50;t=30, "daily";r=0;t=40000`)
	request := of(`Retry-Attempt: 2;max=3;id="k3v9"`, "Amz-Sdk-Request: attempt=2; max=3; ttl=20261123T120010Z",
		"Grpc-Timeout: 1S", "Request-Timeout-Ms: 1500", `Idempotency-Key: "8e03"`, "Prefer: respond-async, wait=10")
	dates := of("Retry-After: Mon, 23 Nov 2026 12:00:05 GMT")
	list := of("Retry-After: Monday, 23-Nov-26 12:00:05 PST, 3, Mon Nov 23 12:00:05 2026", "Retry-After: 1, soon")
	reset := of("X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 6m0x, tomorrow", "X-RateLimit-Reset: 1.5s")
	for name, f := range map[string]func(){
		"RetryAfterOf":            func() { headers.RetryAfterOf(response, now) },
		"RetryAfterOf of a date":  func() { headers.RetryAfterOf(dates, now) },
		"VerdictOf":               func() { headers.VerdictOf(response) },
		"RetryAfterOf of a list":  func() { headers.RetryAfterOf(list, now) },
		"RetryAfterOf of a reset": func() { headers.RetryAfterOf(reset, now) },
		"AttemptTimeoutOf":        func() { headers.AttemptTimeoutOf(request, now) },
		"Hinted":                  func() { headers.Hinted(response, now) },
		"AttemptOf":               func() { headers.AttemptOf(request) },
		"TimeoutOf":               func() { headers.TimeoutOf(request, now) },
		"IdempotencyKeyOf":        func() { headers.IdempotencyKeyOf(request) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestPriorityOf(t *testing.T) {
	for _, tt := range []struct {
		lines []string
		want  int
		ok    bool
	}{
		{nil, 0, false},
		{[]string{"X-Failsafe-Priority: 0"}, 50, true},
		{[]string{"X-Failsafe-Priority: 4"}, 450, true},
		{[]string{"X-Failsafe-Priority: 5"}, 0, false},
		{[]string{"X-Failsafe-Level: 499"}, 499, true},
		{[]string{"X-Failsafe-Level: 500"}, 0, false},
		{[]string{"X-Failsafe-Level: 7", "X-Failsafe-Priority: 4"}, 7, true},
		{[]string{"X-Failsafe-Level: -1", "X-Failsafe-Priority: 4"}, 0, false},
		{[]string{"X-Failsafe-Level: 1", "X-Failsafe-Level: 2"}, 0, false},
	} {
		if got, ok := headers.PriorityOf(of(tt.lines...)); got != tt.want || ok != tt.ok {
			t.Errorf("%q: %d, %v; want %d, %v", tt.lines, got, ok, tt.want, tt.ok)
		}
	}
}

func TestHop(t *testing.T) {
	var none *headers.Hop
	none.SayNo()
	if headers.HopOf(t.Context()) != nil || none.SaidNo() || none.Retried() {
		t.Error("no hop knows something")
	}
	h := &headers.Hop{Attempt: 2}
	ctx := headers.WithHop(t.Context(), h)
	headers.HopOf(ctx).SayNo()
	if !h.SaidNo() || !h.Retried() || (&headers.Hop{Attempt: 1}).Retried() {
		t.Errorf("%v, %v", h.SaidNo(), h.Retried())
	}
}

// Who repeats a request by himself says so on the first attempt, or on a retry.
func TestSenderRetries(t *testing.T) {
	for _, tt := range []struct {
		name, value string
		want        bool
	}{
		{"Retry-Attempt", "2", true},
		{"Retry-Attempt", `3;max=3;id="k3v9"`, true},
		{"Retry-Attempt", "1;max=3", true},
		{"Retry-Attempt", "1;max=1", false},
		{"Retry-Attempt", "1", false},
		{"Retry-Attempt", "0", false},
		{"Retry-Attempt", "two", false},
		{"Amz-Sdk-Request", "attempt=2; max=3", true},
		{"Amz-Sdk-Request", "attempt=1; max=3", true},
		{"Amz-Sdk-Request", "attempt=3; max=3", true},
		{"Amz-Sdk-Request", "ttl=20261126T100000Z; attempt=1; max=4", true},
		{"Amz-Sdk-Request", "attempt=1", true}, // no limit
		{"Amz-Sdk-Request", "attempt=1; max=1", false},
		{"Amz-Sdk-Request", "max=3", false},
		{"Amz-Sdk-Request", "", false},
		{"X-Stainless-Retry-Count", "1", true},
		{"X-Stainless-Retry-Count", "0", false},
		{"Grpc-Previous-Rpc-Attempts", "1", true},
		{"Grpc-Previous-Rpc-Attempts", "0", false},
		{"X-Goog-Api-Client", "gl-go/1.26 gccl-invocation-id/ab gccl-attempt-count/2", true},
		{"X-Goog-Api-Client", "gl-go/1.26 gccl-invocation-id/ab gccl-attempt-count/1", false},
		{"X-Envoy-Attempt-Count", "2", true},
		{"X-Envoy-Attempt-Count", "1", false},
		{"Opc-Client-Retries", "true", true},
		{"Opc-Client-Retries", "True", true},
		{"Opc-Client-Retries", "false", false},
		{"User-Agent", "2", false},
	} {
		if got := headers.SenderRetries(http.Header{tt.name: {tt.value}}); got != tt.want {
			t.Errorf("%s: %s: %v, want %v", tt.name, tt.value, got, tt.want)
		}
	}
	for _, h := range []http.Header{nil, {}, {"Retry-Attempt": nil}, {"Retry-Attempt": {"1", "2"}}} {
		if headers.SenderRetries(h) {
			t.Errorf("%v: true, want false", h)
		}
	}
	if !headers.SenderRetries(http.Header{"Retry-Attempt": {"1"}, "X-Envoy-Attempt-Count": {"2"}}) {
		t.Error("one of two dialects says so: false, want true")
	}
}

// A quota that is used up is a hint, but no answer about this request.
func TestWaitOfIgnoresQuotas(t *testing.T) {
	for _, tt := range []struct {
		header     string
		wait, hint bool
	}{
		{"Retry-After: 2", true, true},
		{"Retry-After-Ms: 2000", true, true},
		{"X-Amz-Retry-After: 2000", true, true},
		{"Grpc-Retry-Pushback-Ms: 2000", true, true},
		{`RateLimit: "a";r=0;t=2`, false, true},
		{"Retry-After: soon", false, false},
	} {
		h := of(tt.header)
		wait, waits := headers.WaitOf(h, now)
		hint, hints := headers.RetryAfterOf(h, now)
		if waits != tt.wait || hints != tt.hint || waits && wait != 2*time.Second || hints && hint != 2*time.Second {
			t.Errorf("%s: WaitOf %v, %v and RetryAfterOf %v, %v; want %v and %v, of 2s", tt.header, wait, waits, hint, hints, tt.wait, tt.hint)
		}
	}
}
