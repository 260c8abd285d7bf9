package headers_test

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// A server that sheds a request says when to come back, and that nothing was
// begun. The client reads the exact form and falls back to the rounded one.
func Example() {
	h := http.Header{}
	headers.SetRetryAfter(h, 1250*time.Millisecond)
	headers.SetVerdict(h, headers.Retry)
	fmt.Println(h.Get("Retry-After"), h.Get("Retry-After-Ms"), h.Get("X-Should-Retry"))

	wait, ok := headers.RetryAfterOf(h, time.Now())
	fmt.Println(wait, ok, headers.VerdictOf(h) == headers.Retry)
	// Output:
	// 2 1250 true
	// 1.25s true true
}

// The mistake is to parse Retry-After as a number only: half of its forms are
// dates, and an absurd number overflows.
func ExampleRetryAfterOf_incorrect() {
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	for _, value := range []string{"Mon, 23 Nov 2026 12:00:05 GMT", "18446744074"} {
		h := http.Header{"Retry-After": {value}}
		var seconds int64
		fmt.Sscan(value, &seconds)
		naive := time.Duration(seconds) * time.Second
		right, _ := headers.RetryAfterOf(h, now)
		fmt.Println(naive, right)
	}
	// Output:
	// 0s 5s
	// 290.448384ms 8760h0m0s
}

func ExampleAttemptOf() {
	h := http.Header{}
	h.Set("Retry-Attempt", headers.Attempt{N: 2, Max: 3, ID: "k3v9"}.String())
	h.Set("X-Envoy-Attempt-Count", "1") // Envoy counts its own hop
	a, _ := headers.AttemptOf(h)
	fmt.Println(a.N, a.Max, a.ID, h.Get("Retry-Attempt"))
	// Output:
	// 2 3 k3v9 2;max=3;id="k3v9"
}

// Most responses say nothing. One whose request waited for room says that the server is
// over capacity.
func ExampleQueuedOf() {
	h := http.Header{}
	fmt.Println(headers.QueuedOf(h))
	h.Set(headers.RequestQueuedMs, headers.FormatTimeout(249500*time.Microsecond))
	fmt.Println(headers.QueuedOf(h))
	// Output:
	// 0s false
	// 250ms true
}

func ExampleServiceLimit() {
	h := http.Header{}
	h.Set(headers.RateLimit, headers.ServiceLimit{Policy: "burst", Remaining: 50, Reset: 30 * time.Second, HasReset: true}.String())
	fmt.Println(h[headers.RateLimit])
	limits, _ := headers.ParseRateLimit(nil, h.Get(headers.RateLimit))
	fmt.Println(limits[0].Remaining, "left for", limits[0].Reset)
	// Output:
	// ["burst";r=50;t=30]
	// 50 left for 30s
}

// A handler serves a retry. The call that it makes is told so, and the response is
// told that the call failed for good.
func ExampleWithHop() {
	hop := &headers.Hop{Attempt: 2}
	ctx := headers.WithHop(context.Background(), hop)
	outgoing := headers.HopOf(ctx)
	fmt.Println("the client retries:", outgoing.Retried())
	outgoing.SayNo()
	fmt.Println("a retry will not help:", hop.SaidNo())
	// Output:
	// the client retries: true
	// a retry will not help: true
}
