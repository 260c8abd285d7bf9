package transport_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

// quick keeps the examples from waiting.
var quick = transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond})

// answering is a base that answers with these statuses in turn, and with the
// last one ever after.
func answering(codes ...int) transport.RoundTripperFunc {
	n := 0
	return func(req *http.Request) (*http.Response, error) {
		code := codes[min(n, len(codes)-1)]
		n++
		return &http.Response{
			Status: fmt.Sprint(code, " ", http.StatusText(code)), StatusCode: code,
			Header: http.Header{}, Body: io.NopCloser(strings.NewReader("a body")), Request: req,
		}, nil
	}
}

// The default chain retries a service that stumbles, within a budget that the
// transport keeps for it.
func Example() {
	n := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n++; n == 1 {
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprint(w, "hello")
	}))
	defer srv.Close()

	rt, err := transport.New(nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, err := client.Get(srv.URL)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	call, _ := transport.CallOf(resp)
	fmt.Printf("%s after %d attempts\n", body, call.Attempts)
	// Output:
	// hello after 2 attempts
}

func ExampleNew() {
	circuits, err := breaker.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	rt, err := transport.New(http.DefaultTransport,
		transport.WithPolicy(transport.Policy{MaxAttempts: 4, AttemptTimeout: 2 * time.Second}),
		transport.WithServicePolicy("reports.internal", transport.Policy{MaxAttempts: 1}),
		transport.WithBreaker(circuits.Wrap),
		transport.WithIdempotencyKeys(),
		transport.WithObserver(transport.Log(slog.Default())),
	)
	fmt.Println(rt != nil, err)

	_, err = transport.New(nil, transport.WithPolicy(transport.Policy{MaxAttempts: -1, Statuses: []int{200}}))
	fmt.Println(err)
	// Output:
	// true <nil>
	// transport: WithPolicy: Policy.MaxAttempts -1: want 1 to 100, or 0 for the default
	// transport: WithPolicy: Policy.Statuses 200: want codes from 400 to 599
}

// The mistake is a transport per request. Its budget is new each time and
// bounds nothing: in an outage the load triples. Make one and keep it.
func ExampleNew_incorrect() {
	sent := 0
	down := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		sent++
		return answering(503)(req)
	})
	get := func(rt http.RoundTripper) {
		req, _ := http.NewRequest("GET", "http://api.test/", nil)
		if resp, err := rt.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	for range 100 {
		rt, _ := transport.New(down, quick)
		get(rt)
	}
	fmt.Println("a transport per request:", sent, "requests sent for 100 calls")

	sent = 0
	one, _ := transport.New(down, transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
	for range 100 {
		get(one)
	}
	fmt.Println("one transport: fewer than 150?", sent < 150)
	// Output:
	// a transport per request: 300 requests sent for 100 calls
	// one transport: fewer than 150? true
}

// The mistake is a breaker around the retries. What it sees of three failed
// attempts is one failed call, so the service gets three times as many as
// it was meant to before the circuit opens.
func ExampleWithBreaker_incorrect() {
	for _, inside := range []bool{false, true} {
		sent := 0
		down := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			return answering(503)(req)
		})
		circuits, _ := breaker.New(breaker.WithTripRatio(0.5, 20))
		opts := []transport.Option{quick, transport.WithBudget(nil), transport.WithCallLayer(circuits.Wrap)}
		if inside {
			opts[2] = transport.WithBreaker(circuits.Wrap)
		}
		rt, _ := transport.New(down, opts...)
		for range 30 {
			req, _ := http.NewRequest("GET", "http://api.test/", nil)
			if resp, err := rt.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}
		fmt.Println("inside the loop:", inside, "- sent before it opened:", sent)
	}
	// Output:
	// inside the loop: false - sent before it opened: 60
	// inside the loop: true - sent before it opened: 20
}

// The first middleware is the outermost.
func ExampleChain() {
	named := func(name string) transport.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				fmt.Println(name, "sees the request")
				resp, err := next.RoundTrip(req)
				fmt.Println(name, "sees the response")
				return resp, err
			})
		}
	}
	rt := transport.Chain(answering(200), named("first"), named("second"))
	req, _ := http.NewRequest("GET", "http://api.test/", nil)
	rt.RoundTrip(req)
	// Output:
	// first sees the request
	// second sees the request
	// second sees the response
	// first sees the response
}

// A call layer sees a call once, an attempt layer every attempt of it.
func ExampleWithAttemptLayer() {
	named := func(name string) transport.Middleware {
		return func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				fmt.Println(name, transport.Attempt(req.Context()))
				return next.RoundTrip(req)
			})
		}
	}
	rt, _ := transport.New(answering(503, 200), quick,
		transport.WithCallLayer(named("call")),
		transport.WithAttemptLayer(named("attempt")),
	)
	req, _ := http.NewRequest("GET", "http://api.test/", nil)
	rt.RoundTrip(req)
	// Output:
	// call 0
	// attempt 1
	// attempt 2
}

// A response says what it took to get it, and why there was no further attempt.
func ExampleCallOf() {
	rt, _ := transport.New(answering(503), quick)
	client := &http.Client{Transport: rt}

	resp, _ := client.Get("http://api.test/")
	call, _ := transport.CallOf(resp)
	fmt.Println(resp.StatusCode, call.Attempts, call.Stop)

	resp, _ = client.Post("http://api.test/", "text/plain", strings.NewReader("an order"))
	call, _ = transport.CallOf(resp)
	fmt.Println(resp.StatusCode, call.Attempts, call.Stop)
	// Output:
	// 503 3 attempts
	// 503 1 method
}

// Where there is no response, the error says the same and keeps its cause.
func ExampleError() {
	rt, _ := transport.New(transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) {
		return nil, io.ErrUnexpectedEOF
	}), quick)
	client := &http.Client{Transport: rt}
	_, err := client.Get("http://api.test/")
	fmt.Println(err)
	var e *transport.Error
	fmt.Println(errors.As(err, &e), e.Attempts, e.Stop, errors.Is(err, io.ErrUnexpectedEOF))
	// Output:
	// Get "http://api.test/": unexpected EOF (3 attempts, stopped by attempts)
	// true 3 attempts true
}

// Do repeats any operation. It knows what only the operation can know: that an
// error is permanent, or how long to wait.
func ExampleDo() {
	policy := transport.Policy{BaseDelay: time.Millisecond}
	ctx := context.Background()

	busy, err := transport.Do(ctx, policy, func(ctx context.Context) (string, error) {
		if n := transport.Attempt(ctx); n < 3 {
			return "", transport.RetryAfter(errors.New("locked"), time.Duration(n)*time.Millisecond)
		}
		return "done at last", nil
	})
	fmt.Println(busy, err)

	_, err = transport.Do(ctx, policy, func(context.Context) (string, error) {
		return "", transport.Permanent(errors.New("no such table"))
	})
	fmt.Println(err)
	// Output:
	// done at last <nil>
	// no such table
}

// The mistake is an operation that does not use its own context: it belongs to
// the attempt, knows its number and ends after AttemptTimeout.
func ExampleDo_incorrect() {
	policy := transport.Policy{MaxAttempts: 2, BaseDelay: time.Millisecond, AttemptTimeout: time.Millisecond}
	outer, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	attempts := 0
	_, err := transport.Do(outer, policy, func(context.Context) (int, error) {
		attempts++
		<-outer.Done() // waits for the whole call
		return 0, outer.Err()
	})
	fmt.Println(attempts, err)

	attempts = 0
	_, err = transport.Do(context.Background(), policy, func(ctx context.Context) (int, error) {
		attempts++
		<-ctx.Done()
		return 0, ctx.Err()
	})
	fmt.Println(attempts, err)
	// Output:
	// 1 context deadline exceeded
	// 2 transport: no result within AttemptTimeout 1ms (2 attempts, stopped by attempts)
}

// A client of go-retryablehttp brings its settings along.
func ExampleFromClient() {
	old := retryablehttp.NewClient()
	old.RetryMax = 1
	old.RetryWaitMin = time.Millisecond
	old.RetryWaitMax = 10 * time.Millisecond
	old.HTTPClient.Transport = answering(503)

	opts, err := transport.FromClient(old)
	if err != nil {
		fmt.Println(err)
		return
	}
	rt, _ := transport.New(nil, opts...)
	client := &http.Client{Transport: rt}
	resp, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	call, _ := transport.CallOf(resp)
	fmt.Println(resp.Status, "after", call.Attempts, "attempts")
	// Output:
	// 503 Service Unavailable after 2 attempts
}

// For code that asks for a go-retryablehttp client.
func ExampleRetryableClient() {
	rt, _ := transport.New(answering(503, 200), quick)
	var client *retryablehttp.Client = transport.RetryableClient(rt)
	resp, err := client.Get("http://api.test/")
	if err != nil {
		fmt.Println(err)
		return
	}
	call, _ := transport.CallOf(resp)
	fmt.Println(resp.Status, "after", call.Attempts, "attempts, of which the client made", client.RetryMax+1)
	// Output:
	// 200 OK after 2 attempts, of which the client made 1
}

// The policies of go-retryablehttp plug in as they are.
func ExampleWithCheckRetry() {
	rt, err := transport.New(answering(500, 429, 200),
		transport.WithPolicy(transport.Policy{BaseDelay: time.Millisecond, MaxDelay: 2 * time.Millisecond}),
		transport.WithCheckRetry(retryablehttp.ErrorPropagatedRetryPolicy),
		transport.WithBackoff(retryablehttp.DefaultBackoff),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: rt}
	resp, _ := client.Get("http://api.test/")
	call, _ := transport.CallOf(resp)
	fmt.Println(resp.Status, "after", call.Attempts, "attempts and", call.Waited)
	// Output:
	// 200 OK after 3 attempts and 3ms
}

// The policy of one service changes while the program runs.
func ExampleTransport_SetPolicy() {
	rt, _ := transport.New(answering(503), quick)
	client := &http.Client{Transport: rt}
	attempts := func() int {
		resp, _ := client.Get("http://api.test/")
		call, _ := transport.CallOf(resp)
		return call.Attempts
	}
	fmt.Println(attempts())
	rt.SetPolicy("api.test", transport.Policy{MaxAttempts: 1})
	fmt.Println(attempts())
	fmt.Println(rt.SetPolicy("api.test", transport.Policy{MaxAttempts: 1000}))
	fmt.Println(attempts())
	rt.SetPolicy("api.test", transport.Policy{}) // it has none of its own any more
	fmt.Println(attempts())
	// Output:
	// 3
	// 1
	// transport: SetPolicy("api.test"): Policy.MaxAttempts 1000: want 1 to 100, or 0 for the default
	// 1
	// 3
}

// A policy out of a configuration file; mistakes name their field.
func ExamplePolicy_UnmarshalJSON() {
	var p transport.Policy
	err := json.Unmarshal([]byte(`{"max_attempts": 5, "base_delay": "250ms"}`), &p)
	fmt.Println(p.MaxAttempts, p.BaseDelay, err)

	err = json.Unmarshal([]byte(`{"MaxAttempts": "five", "BaseDelay": 250, "Zeal": 1}`), &p)
	fmt.Println(err)
	// Output:
	// 5 250ms <nil>
	// transport: Policy.MaxAttempts "five": want a whole number
	// Policy.BaseDelay 250: want a duration as text, such as "250ms"
	// no field "Zeal" in a Policy
}

// One line for each call that was more than passed on. It names no URL.
func ExampleLog() {
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			switch a.Key {
			case slog.TimeKey, "waited", "elapsed":
				return slog.Attr{}
			}
			return a
		},
	}))
	rt, _ := transport.New(answering(200, 503, 200, 503), quick, transport.WithObserver(transport.Log(logger)))
	client := &http.Client{Transport: rt}
	client.Get("http://api.test/?token=secret") // 200: nothing to say
	client.Get("http://api.test/?token=secret")
	client.Post("http://api.test/?token=secret", "text/plain", strings.NewReader("an order"))
	// Output:
	// level=INFO msg="evenkeel: call retried" service=api.test method=GET attempts=2 stop=succeeded status=200
	// level=WARN msg="evenkeel: call failed" service=api.test method=POST attempts=1 stop=method status=503
}
