package transport_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

func head(kv ...string) http.Header {
	h := http.Header{}
	for i := 0; i < len(kv); i += 2 {
		h.Add(kv[i], kv[i+1])
	}
	return h
}

// Every StopReason, reached as a caller would reach it.
func TestStopReasons(t *testing.T) {
	refused := errors.New("connection reset")
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, tt := range []struct {
		name     string
		method   string
		header   http.Header
		deadline time.Duration
		opts     []transport.Option
		answers  []reply
		attempts int
		stop     transport.StopReason
	}{
		{name: "success", answers: statuses(200), attempts: 1, stop: transport.StopSucceeded},
		{name: "redirects are for http.Client", answers: statuses(302), attempts: 1, stop: transport.StopSucceeded},
		{name: "success in the end", answers: statuses(429, 408, 204), attempts: 3, stop: transport.StopSucceeded},
		{name: "404", answers: statuses(404), attempts: 1, stop: transport.StopNotRetryable},
		{name: "501", answers: statuses(501), attempts: 1, stop: transport.StopNotRetryable},
		{name: "POST", method: "POST", answers: statuses(503), attempts: 1, stop: transport.StopMethod},
		{name: "PATCH after a broken connection", method: "PATCH", answers: []reply{{err: refused}}, attempts: 1, stop: transport.StopMethod},
		{name: "POST with a key", method: "POST", header: head("Idempotency-Key", `"a"`), answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded},
		{name: "POST with an X- key", method: "POST", header: head("X-Idempotency-Key", "a"), answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded},
		{name: "POST with keys made", method: "POST", opts: []transport.Option{transport.WithIdempotencyKeys()}, answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded},
		{name: "POST that was never sent", method: "POST", answers: []reply{{err: dial}, {status: 200}}, attempts: 2, stop: transport.StopSucceeded},
		{name: "POST that the server wants again", method: "POST", answers: []reply{{status: 503, header: head("X-Should-Retry", "true")}, {status: 200}}, attempts: 2, stop: transport.StopSucceeded},
		{name: "a 409 that the server wants again", answers: []reply{{status: 409, header: head("X-Should-Retry", "true")}, {status: 200}}, attempts: 2, stop: transport.StopSucceeded},
		{name: "the server says no", answers: []reply{{status: 503, header: head("X-Should-Retry", "false")}}, attempts: 1, stop: transport.StopServerSaidNo},
		{name: "Stripe says no", answers: []reply{{status: 503, header: head("Stripe-Should-Retry", "false")}}, attempts: 1, stop: transport.StopServerSaidNo},
		{name: "gRPC says no", answers: []reply{{status: 503, header: head("Grpc-Retry-Pushback-Ms", "-1")}}, attempts: 1, stop: transport.StopServerSaidNo},
		{name: "too long a wait", answers: []reply{{status: 503, header: head("Retry-After", "31")}}, attempts: 1, stop: transport.StopRetryAfter},
		{name: "an absurd wait", answers: []reply{{status: 503, header: head("Retry-After", "99999999999999999999")}}, attempts: 1, stop: transport.StopRetryAfter},
		{name: "a wait that is allowed", answers: []reply{{status: 503, header: head("Retry-After", "30")}, {status: 200}}, attempts: 2, stop: transport.StopSucceeded},
		{name: "a date long past", answers: []reply{{status: 503, header: head("Retry-After", "Thu, 01 Jan 1970 00:00:00 GMT")}, {status: 200}}, attempts: 2, stop: transport.StopSucceeded},
		{name: "a date far ahead", answers: []reply{{status: 503, header: head("Retry-After", "Fri, 31 Dec 9999 23:59:59 GMT")}}, attempts: 1, stop: transport.StopRetryAfter},
		{name: "a wait past the deadline", deadline: 5 * time.Second, answers: []reply{{status: 503, header: head("Retry-After", "6")}}, attempts: 1, stop: transport.StopDeadline},
		{name: "attempts", answers: statuses(503), attempts: 3, stop: transport.StopAttempts},
		{name: "broken connections", answers: []reply{{err: refused}}, attempts: 3, stop: transport.StopAttempts},
		{name: "retries off", opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}, answers: statuses(503), attempts: 1, stop: transport.StopDisabled},
		{name: "no budget", opts: []transport.Option{transport.WithBudget(func(string) budget.Budget { return &denied{} })}, answers: statuses(503), attempts: 1, stop: transport.StopBudget},
		{name: "a service's own policy", opts: []transport.Option{transport.WithServicePolicy("api.test", transport.Policy{MaxAttempts: 5})}, answers: statuses(503), attempts: 5, stop: transport.StopAttempts},
		{name: "own statuses", opts: []transport.Option{transport.WithPolicy(transport.Policy{Statuses: []int{418}})}, answers: statuses(418, 503), attempts: 2, stop: transport.StopNotRetryable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				var calls []transport.Call
				base := &script{answers: tt.answers}
				req := get(t, ctx)
				if tt.method != "" {
					req.Method = tt.method
				}
				if tt.header != nil {
					req.Header = tt.header
				}
				opts := append([]transport.Option{unlimited(), transport.WithObserver(transport.Observer{
					OnCall: func(_ context.Context, c transport.Call) { calls = append(calls, c) },
				})}, tt.opts...)
				resp, err := build(t, base, opts...).RoundTrip(req)
				if err == nil {
					if call, _ := transport.CallOf(resp); call != calls[0] {
						t.Errorf("CallOf = %+v, OnCall saw %+v", call, calls[0])
					}
				} else if e := new(transport.Error); err == tt.answers[0].err {
					if tt.attempts != 1 {
						t.Errorf("err = %#v after %d attempts, want an *Error", err, tt.attempts)
					}
				} else if !errors.As(err, &e) || e.Attempts != tt.attempts || e.Stop != tt.stop {
					t.Errorf("err = %#v, want *Error with %d attempts and %q", err, tt.attempts, tt.stop)
				}
				if len(calls) != 1 || calls[0].Attempts != tt.attempts || calls[0].Stop != tt.stop || len(base.seen) != tt.attempts {
					t.Errorf("OnCall saw %+v and the base %d attempts; want once %d and %q", calls, len(base.seen), tt.attempts, tt.stop)
				}
			})
		})
	}
}

// Errors that come back on every attempt are final; those that pass are not.
func TestErrorsWorthAnotherAttempt(t *testing.T) {
	for _, tt := range []struct {
		err   error
		again bool
	}{
		{io.ErrUnexpectedEOF, true},
		{io.EOF, true},
		{os.ErrDeadlineExceeded, true},
		{context.DeadlineExceeded, true}, // of an attempt: the caller's context lives
		{&net.OpError{Op: "read", Err: errors.New("connection reset by peer")}, true},
		{&net.DNSError{Err: "server misbehaving", IsTemporary: true}, true},
		{&net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}, false},
		{context.Canceled, false},
		{fmt.Errorf("layer: %w", context.Canceled), false},
		{&tls.CertificateVerificationError{Err: errors.New("unknown authority")}, false},
		{fmt.Errorf("wrapped: %w", &tls.CertificateVerificationError{Err: errors.New("expired")}), false},
		{http.ErrSchemeMismatch, false},
		{errors.New(`unsupported protocol scheme "ftp"`), false},
		{errors.New(`net/http: invalid method "G ET"`), false},
		{errors.New("net/http: request canceled"), false},
		{fmt.Errorf("layer: %w", errors.New("net/http: request canceled while waiting for connection")), false},
		{errors.New("http: no Host in request URL"), false},
		{transport.Permanent(errors.New("signing key is gone")), false},
	} {
		synctest.Test(t, func(t *testing.T) {
			base := &script{answers: []reply{{err: tt.err}}}
			_, err := build(t, base, unlimited()).RoundTrip(get(t, t.Context()))
			want := 1
			if tt.again {
				want = 3
			}
			if len(base.seen) != want || !errors.Is(err, tt.err) {
				t.Errorf("%v: %d attempts and %v, want %d and the cause", tt.err, len(base.seen), err, want)
			}
		})
	}
}

func TestCertificateAndSchemeMistakesAreTriedOnce(t *testing.T) {
	plain := httptest.NewServer(http.NotFoundHandler())
	defer plain.Close()
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	secure.Config.ErrorLog = nil
	for _, tt := range []struct{ name, url, want string }{
		{"unknown authority", secure.URL, "certificate"},
		{"https to a plain server", strings.Replace(plain.URL, "http:", "https:", 1), http.ErrSchemeMismatch.Error()},
		{"ftp", "ftp://127.0.0.1/x", "unsupported protocol scheme"},
	} {
		var call transport.Call
		client := &http.Client{Transport: build(t, &http.Transport{}, transport.WithObserver(transport.Observer{
			OnCall: func(_ context.Context, c transport.Call) { call = c },
		}))}
		_, err := client.Get(tt.url)
		var uerr *url.Error
		if !errors.As(err, &uerr) || !strings.Contains(err.Error(), tt.want) || call.Attempts != 1 || call.Stop != transport.StopNotRetryable {
			t.Errorf("%s: %v after %+v, want %q after one attempt", tt.name, err, call, tt.want)
		}
		client.CloseIdleConnections()
	}
}

func TestTimeoutOfAnErrorStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			err  error
			want bool
		}{{os.ErrDeadlineExceeded, true}, {io.EOF, false}} {
			_, err := build(t, &script{answers: []reply{{err: tt.err}}}).RoundTrip(get(t, t.Context()))
			uerr := &url.Error{Err: err} // as http.Client asks
			if uerr.Timeout() != tt.want {
				t.Errorf("Timeout() of %v = %v, want %v", err, uerr.Timeout(), tt.want)
			}
		}
	})
}

// A layer that holds calls back as a guard does is named as one.
func TestThrottledIsStoppedByGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		held := &transport.GuardError{Service: "api.test", RetryIn: time.Hour}
		holds := layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, held })
		_, err := build(t, answering(200), transport.WithBreaker(holds)).RoundTrip(get(t, t.Context()))
		var e *transport.Error
		if !errors.As(err, &e) || e.Stop != transport.StopGuard || e.Attempts != 0 || !errors.Is(err, held) {
			t.Errorf("%v, want no attempt, stopped by guard", err)
		}
	})
}

func TestStopReasonsHasThemAll(t *testing.T) {
	var want []transport.StopReason
	for _, word := range regexp.MustCompile(`(?m)^\tStop\w+ +StopReason = "(\w+)"`).FindAllStringSubmatch(textOf(t, "errors.go"), -1) {
		want = append(want, transport.StopReason(word[1]))
	}
	if got := transport.StopReasons(); len(want) < 10 || !slices.Equal(got, want) {
		t.Errorf("got %q, want the constants in their order, %q", got, want)
	}
	transport.StopReasons()[0] = ""
	if transport.StopReasons()[0] != transport.StopSucceeded {
		t.Error("a caller has changed the list for all")
	}
}
