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
		{[]string{"Idempotency-Key: " + strings.Repeat("k", 255)}, strings.Repeat("k", 255)},
		{[]string{"Idempotency-Key: " + strings.Repeat("k", 256)}, ""},
		{[]string{`Idempotency-Key: "` + strings.Repeat("k", 255) + `"`}, strings.Repeat("k", 255)},
		{[]string{`Idempotency-Key: "` + strings.Repeat("k", 256) + `"`}, ""},
		{[]string{`Idempotency-Key: "a"b`}, ""},
		{[]string{`Idempotency-Key: "a" ;b`}, ""},
		{[]string{`Idempotency-Key: ~`}, "~"},
		{[]string{"Idempotency-Key: a\x7fb"}, ""},
		{[]string{"Idempotency-Key: a b"}, "a b"},
		{[]string{"Idempotency-Key: ", "X-Idempotency-Key: x"}, "x"},
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
	queued := of("Request-Queued-Ms: 40, soon, 250", "Request-Queued-Ms: 1.5")
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
		"QueuedOf":                func() { headers.QueuedOf(queued) },
	} {
		if n := testing.AllocsPerRun(100, f); n != 0 {
			t.Errorf("%s allocates %v times", name, n)
		}
	}
}

func TestFormatIdempotencyKey(t *testing.T) {
	for key, want := range map[string]string{
		"": "", "a": `"a"`, `a"b`: `"a\"b"`, " ~": `" ~"`, "a\x7f": "", "a\x1f": "",
		strings.Repeat("k", 255): `"` + strings.Repeat("k", 255) + `"`, strings.Repeat("k", 256): "",
	} {
		if got := headers.FormatIdempotencyKey(key); got != want {
			t.Errorf("%.20q is written %.20q, want %.20q", key, got, want)
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
		{[]string{"X-Failsafe-Priority: 1"}, 150, true},
		{[]string{"X-Failsafe-Priority: 4"}, 450, true},
		{[]string{"X-Failsafe-Priority: high"}, 0, false},
		{[]string{"X-Failsafe-Level: 0"}, 0, true},
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
