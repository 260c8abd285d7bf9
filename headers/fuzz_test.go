package headers_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

func bounded(t *testing.T, what, value string, d time.Duration, ok bool) {
	if d < 0 || d > headers.MaxDelay || !ok && d != 0 {
		t.Errorf("%s %q = %v, %v", what, value, d, ok)
	}
}

func FuzzParseRetryAfter(f *testing.F) {
	for _, s := range []string{"3", "1.5", "-3", "18446744074", "Mon, 23 Nov 2026 12:00:05 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 23 Nov 2026 12:00:05 UTC", "0.9999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		d, ok := headers.ParseRetryAfter(value, now)
		bounded(t, "ParseRetryAfter", value, d, ok)
	})
}

// Every header that RetryAfterOf reads, with the same value: it stays in its bounds,
// and what SetRetryAfter writes comes back, rounded up to a millisecond.
func FuzzRetryAfterOf(f *testing.F) {
	for _, s := range []string{"3", "1.5", "1795435205", "1795435205000", "6m0s", "2026-11-23T12:00:05Z", `"a";r=0;t=5`, "-1", "9999-12-31T23:59:59Z", "300h", "0001-01-01T00:00:00Z",
		"limit=10, remaining=0, reset=60", "default;r=0;t=30", `"d";a=0;w=30`, `"d";r=0;t=5;x=@1659578233`, `"d";r=0;t=5;x=%"f%c3%bc"`, "1, 2", "2, Mon, 23 Nov 2026 12:00:05 GMT",
		"Mon, 23 Nov 2026 12:00:60 GMT", "Monday, 23-Nov-77 12:00:05 GMT", "1.5s, 3"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"Retry-After-Ms", "X-Amz-Retry-After", "Grpc-Retry-Pushback-Ms", "Retry-After", "RateLimit", "RateLimit-Reset", "X-RateLimit-Reset", "X-RateLimit-Reset-After", "Date"} {
			h := of("RateLimit-Remaining: 0", "X-RateLimit-Remaining: 0", name+": "+value)
			d, ok := headers.RetryAfterOf(h, now)
			bounded(t, name, value, d, ok)
			if !ok {
				continue
			}
			again := http.Header{}
			headers.SetRetryAfter(again, d)
			back, ok := headers.RetryAfterOf(again, now)
			if !ok || back < d || back-d >= time.Millisecond {
				t.Errorf("%v is written as %v and read as %v", d, again, back)
			}
		}
		headers.VerdictOf(of("X-Should-Retry: "+value, "Grpc-Retry-Pushback-Ms: "+value))
	})
}

func FuzzAttempt(f *testing.F) {
	for _, s := range []string{`2;max=3;id="k3\"v9"`, "attempt=2; max=3; ttl=20261123T120010Z", "gccl-attempt-count/4", "99999999999999999999", `1;id="\\"`, "2;max=5;max=foo", "2;at=@12;max=3", `2;who=%"f%c3%bc"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if a, ok := headers.AttemptOf(http.Header{"Retry-Attempt": {value}}); ok {
			if again, ok := headers.AttemptOf(http.Header{"Retry-Attempt": {a.String()}}); !ok || again != a {
				t.Errorf("%q is %+v, written %q, read %+v", value, a, a.String(), again)
			}
		}
		for _, name := range []string{"Retry-Attempt", "Amz-Sdk-Request", "X-Stainless-Retry-Count", "Grpc-Previous-Rpc-Attempts", "X-Goog-Api-Client", "X-Envoy-Attempt-Count"} {
			// Whatever a dialect says, the rank of the sender only gets lower.
			a, ok := headers.AttemptOf(of("Retry-Attempt: 2", name+": "+value))
			if name != "Retry-Attempt" && (!ok || a.N < 2) || a.N < 0 || a.N > 1<<20 || a.Max < 0 || a.Max > 1<<20 || len(a.ID) > 128 {
				t.Errorf("%s: %q makes %+v, %v", name, value, a, ok)
			}
		}
	})
}

func FuzzTimeout(f *testing.F) {
	for _, s := range []string{"1500", "1S", "99999999H", "wait=10", "ttl=20261123T120010Z", "0", `wait="1"`, "600.5"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d, ok := headers.TimeoutOf(http.Header{"Request-Timeout-Ms": {value}}, now); ok {
			back, ok := headers.TimeoutOf(http.Header{"Request-Timeout-Ms": {headers.FormatTimeout(d)}}, now)
			if !ok || back != d {
				t.Errorf("%v is read back as %v", d, back)
			}
		}
		for _, name := range []string{"Request-Timeout-Ms", "Grpc-Timeout", "Connect-Timeout-Ms"} {
			// Whatever a dialect says, the time of the sender only gets shorter, and
			// the attempt has no say in it.
			h := of("Request-Timeout-Ms: 1500", name+": "+value)
			d, ok := headers.TimeoutOf(h, now)
			bounded(t, name, value, d, ok)
			if _, attempt := headers.AttemptTimeoutOf(h, now); !ok || d > 1500*time.Millisecond || attempt {
				t.Errorf("%s: %q makes %v, %v; attempt %v", name, value, d, ok, attempt)
			}
		}
		for _, name := range []string{"Request-Attempt-Timeout-Ms", "X-Envoy-Expected-Rq-Timeout-Ms", "Amz-Sdk-Request", "X-Stainless-Timeout"} {
			h := of("Request-Attempt-Timeout-Ms: 1500", name+": "+value)
			d, ok := headers.AttemptTimeoutOf(h, now)
			bounded(t, name, value, d, ok)
			if _, call := headers.TimeoutOf(h, now); !ok || d > 1500*time.Millisecond || call {
				t.Errorf("%s: %q makes %v, %v; call %v", name, value, d, ok, call)
			}
		}
		if _, ok := headers.TimeoutOf(of("Prefer: "+value), now); ok {
			t.Errorf("Prefer: %q is a timeout", value)
		}
	})
}

// A wait for room that is given beside another never gets shorter, and is written as
// it is read.
func FuzzQueued(f *testing.F) {
	for _, s := range []string{"40", "0", "-1", "1.5", "40, 250", " 40\t", "soon", "99999999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if d, ok := headers.QueuedOf(http.Header{"Request-Queued-Ms": {value}}); ok {
			bounded(t, "Request-Queued-Ms", value, d, ok)
			back, ok := headers.QueuedOf(http.Header{"Request-Queued-Ms": {headers.FormatTimeout(d)}})
			if !ok || back != d {
				t.Errorf("%v is read back as %v", d, back)
			}
		}
		for _, values := range [][]string{{"40", value}, {value, "40"}} {
			d, ok := headers.QueuedOf(http.Header{"Request-Queued-Ms": values})
			bounded(t, "Request-Queued-Ms", value, d, ok)
			if len(value) < 8000 && (!ok || d < 40*time.Millisecond) { // no more is read
				t.Errorf("%q makes %v, %v", values, d, ok)
			}
		}
	})
}

// A wait that is given beside another never gets shorter, and a verdict never
// gets kinder.
func FuzzHinted(f *testing.F) {
	for _, s := range []string{"1, 2", "3", "soon", "-1", "false", "true", "TRUE ", "Mon, 23 Nov 2026 12:00:05 GMT", "2, Mon, 23 Nov 2026 12:00:05 GMT", "Monday, 23-Nov-26 12:00:60 GMT, 1", "2147483648"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"Retry-After", "Retry-After-Ms", "X-Ms-Retry-After-Ms", "X-Amz-Retry-After", "Grpc-Retry-Pushback-Ms"} {
			one := name + ": 1"
			least, _ := headers.RetryAfterOf(of(one), now)
			for _, h := range []http.Header{of(one, name+": "+value), of(name+": "+value, one)} {
				d, ok := headers.RetryAfterOf(h, now)
				bounded(t, name, value, d, ok)
				refused := name == "Grpc-Retry-Pushback-Ms" && headers.VerdictOf(h) == headers.DoNotRetry
				if !refused && (!ok || d < least) || !headers.Hinted(h, now) {
					t.Errorf("%s: %q beside 1 makes %v, %v", name, value, d, ok)
				}
			}
		}
		for _, name := range []string{"X-Should-Retry", "Stripe-Should-Retry", "Grpc-Retry-Pushback-Ms"} {
			if v := headers.VerdictOf(of("X-Should-Retry: false", name+": "+value)); name != "X-Should-Retry" && v != headers.DoNotRetry {
				t.Errorf("%s: %q beside a no makes %v", name, value, v)
			}
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{`"8e03"`, "8e03", `"a\"b"`, `"`, `"a";b=1`, `"a";at=@12`, `"a";b=%"f%c3%bc"`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		key, ok := headers.ParseIdempotencyKey(value)
		if !ok {
			return
		}
		if again, ok := headers.ParseIdempotencyKey(headers.FormatIdempotencyKey(key)); !ok || again != key {
			t.Errorf("%q is the key %q, read back as %q", value, key, again)
		}
	})
}

func FuzzRateLimit(f *testing.F) {
	for _, s := range []string{`"burst";r=50;t=30, "daily";r=999;t=40000`, `"a";r=1;pk=:aGk=:`, `"d";q=100;w=60;qu="content-bytes"`, `"a"`, `"a";r=-1`, "limit=10, remaining=0, reset=60", "default;r=0;t=30", `"d";a=0;w=30`, `"a";r=x;r=1`, "10;w=1, 50;w=60", `default;q=10;w=60`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		if limits, ok := headers.ParseRateLimit(nil, value); ok {
			text := list(limits)
			again, ok := headers.ParseRateLimit(nil, text)
			if !ok || len(again) != len(limits) {
				t.Errorf("%q is %+v, written %q, read %+v", value, limits, text, again)
			}
			for i := range again {
				if again[i].String() != limits[i].String() {
					t.Errorf("%q: %v is read back as %v", value, limits[i], again[i])
				}
			}
		}
		if policies, ok := headers.ParseRateLimitPolicy(nil, value); ok {
			text := list(policies)
			if again, ok := headers.ParseRateLimitPolicy(nil, text); !ok || len(again) != len(policies) {
				t.Errorf("%q is %+v, written %q, read %+v", value, policies, text, again)
			}
		}
	})
}

// list is the value of a header that has the items.
func list[T fmt.Stringer](items []T) string {
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = item.String()
	}
	return strings.Join(texts, ", ")
}

func FuzzPriority(f *testing.F) {
	for _, s := range []string{"0", "4", "5", "499", "500", "-1", "99999999999999999999", " 3 ", "+3", "3.0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, value string) {
		for _, name := range []string{"X-Failsafe-Priority", "X-Failsafe-Level"} {
			p, ok := headers.PriorityOf(of(name + ": " + value))
			if p < 0 || p > headers.MaxPriority || !ok && p != 0 {
				t.Errorf("%s %q = %d, %v", name, value, p, ok)
			}
			if again, _ := headers.PriorityOf(of(name+": "+value, name+": 1")); again > max(p, 150) {
				t.Errorf("%s %q given twice is %d, given once %d", name, value, again, p)
			}
		}
	})
}
