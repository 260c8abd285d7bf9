package headers_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

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
		{[]string{"Retry-After: 1."}, never},
		{[]string{"Retry-After: .5"}, never},
		{[]string{"Retry-After: 1.5.5"}, never},
		{[]string{"Retry-After: 1.x"}, never},
		{[]string{"Retry-After: 1.1234567891"}, time.Second + 123456789},
		{[]string{"Retry-After: 31535999.5"}, year - time.Second/2},
		{[]string{"Retry-After: 31536000.5"}, year},
		{[]string{"Retry-After: 0.05"}, 50 * time.Millisecond},
		{[]string{"Retry-After: /"}, never},
		{[]string{"Retry-After: :"}, never},
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
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 99999999"}, headers.MaxDelay},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 100000000"}, 0},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 999999999999"}, headers.MaxDelay}, // an epoch in seconds
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1000000000000"}, 0},               // in milliseconds
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 1h2m3s"}, time.Hour + 2*time.Minute + 3*time.Second},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 4us"}, 4 * time.Microsecond},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 4µs"}, 4 * time.Microsecond},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 4ns"}, 4},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: s"}, never},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2026-11-23T12:00:05"}, never},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2026-11-23T12:00:05.123456789+00:00"}, 5*time.Second + 123456789},
		{[]string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: 2026-11-23T12:00:05.1234567890+00:00"}, never},
		{[]string{"X-RateLimit-Remaining: 1", "X-RateLimit-Reset: 7"}, never},
		{[]string{"X-RateLimit-Remaining: x", "X-RateLimit-Reset: 7"}, never},
		{[]string{"X-RateLimit-Remaining: 0.0", "X-RateLimit-Reset: 7"}, 7 * time.Second},
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

// Of a header some 8 KiB are read, in which a line counts 32 bytes more than it has.
func TestLinesEnd(t *testing.T) {
	for _, tt := range []struct {
		before int // lines
		want   time.Duration
	}{{248, 9 * time.Second}, {249, time.Second}} {
		h := http.Header{}
		for range tt.before {
			h.Add("Retry-After", "1")
		}
		h.Add("Retry-After", "9")
		if got, _ := headers.RetryAfterOf(h, now); got != tt.want {
			t.Errorf("9 after %d lines of 1: %v, want %v", tt.before, got, tt.want)
		}
	}
	for _, tt := range []struct {
		length int
		want   bool
	}{{8 << 10, true}, {8<<10 + 1, false}} {
		value := "2;x=" + strings.Repeat("a", tt.length-len("2;x="))
		if _, ok := headers.AttemptOf(http.Header{"Retry-Attempt": {value}}); ok != tt.want {
			t.Errorf("a value of %d bytes is read: %v, want %v", tt.length, ok, tt.want)
		}
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
