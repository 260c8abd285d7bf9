package transport

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

func TestClassify(t *testing.T) {
	p := Policy{Statuses: []int{429, 503}}.filled()
	strict := Policy{Statuses: []int{503}}.filled()
	down := errors.New("connection reset")
	yes := func(context.Context, *http.Response, error) (bool, error) { return true, errors.New("why") }
	no := func(context.Context, *http.Response, error) (bool, error) { return false, nil }
	withURL := func(_ context.Context, _ *http.Response, err error) (bool, error) {
		u, ok := errors.AsType[*url.Error](err)
		return ok && u.URL == "http://user:xxxxx@api.test/" && errors.Is(err, down), nil
	}
	for _, tt := range []struct {
		name    string
		check   func(context.Context, *http.Response, error) (bool, error)
		policy  *Policy
		status  int // 0: err
		hint    string
		err     error
		verdict headers.Verdict
		want    class
	}{
		{name: "a success", status: 200, want: classSuccess},
		{name: "a redirect", status: 399, want: classSuccess},
		{name: "the lowest error", status: 400, want: classFinal},
		{name: "a status of the policy", status: 503, want: classRetryable},
		{name: "a status that is not in the policy", status: 500, want: classFinal},
		{name: "an error that the server wants again", status: 400, verdict: headers.Retry, want: classRetryable},
		{name: "a success that the server wants again", status: 399, verdict: headers.Retry, want: classSuccess},
		{name: "an error that the server does not want again", status: 400, verdict: headers.DoNotRetry, want: classFinal},
		{name: "a throttle", status: 403, hint: "1", want: classRetryable},
		{name: "a throttle where 429 is not in the policy", policy: strict, status: 403, hint: "1", want: classFinal},
		{name: "a hint on what is no throttle", status: 404, hint: "1", want: classFinal},
		{name: "an error", err: down, want: classRetryable},
		{name: "an error that is marked", err: Permanent(down), want: classFinal},
		{name: "CheckRetry says yes", check: yes, status: 200, want: classRetryable},
		{name: "CheckRetry says no", check: no, status: 503, want: classFinal},
		{name: "CheckRetry says no to a success", check: no, status: 200, want: classSuccess},
		{name: "CheckRetry says no to an error", check: no, err: down, want: classFinal},
		{name: "CheckRetry sees a url.Error without the password", check: withURL, err: down, want: classRetryable},
		{name: "CheckRetry is not asked about an error that is marked", check: yes, err: Permanent(down), want: classFinal},
	} {
		t.Run(tt.name, func(t *testing.T) {
			req, _ := http.NewRequest("GET", "http://user:secret@api.test/", nil)
			var resp *http.Response
			if tt.status != 0 {
				resp = &http.Response{StatusCode: tt.status, Header: http.Header{}}
				if tt.hint != "" {
					resp.Header.Set("Retry-After", tt.hint)
				}
			}
			policy := tt.policy
			if policy == nil {
				policy = p
			}
			if got := classify(t.Context(), tt.check, policy, req, resp, tt.err, tt.verdict); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestIsThrottle(t *testing.T) {
	hint, quota := http.Header{"Retry-After": {"1"}}, http.Header{"Ratelimit": {`"default";r=0;t=9`}}
	for _, tt := range []struct {
		status int
		header http.Header
		want   bool
	}{
		{429, nil, true},
		{403, nil, false}, {403, hint, true}, {403, quota, true},
		{409, nil, false}, {409, hint, true}, {409, quota, false},
		{413, nil, false}, {413, hint, true}, {413, quota, false},
		{423, nil, false}, {423, hint, true}, {423, quota, false},
		{404, hint, false}, {401, quota, false}, {503, hint, false}, {200, hint, false},
	} {
		if got := isThrottle(&http.Response{StatusCode: tt.status, Header: tt.header}); got != tt.want {
			t.Errorf("%d %v: got %v, want %v", tt.status, tt.header, got, tt.want)
		}
	}
}

func TestRetryableError(t *testing.T) {
	text := func(s string) error { return errors.New(s) }
	for _, tt := range []struct {
		name string
		err  error
		want bool
	}{
		{"reset", syscall.ECONNRESET, true},
		{"refused", &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, true},
		{"broken off", io.ErrUnexpectedEOF, true},
		{"a timeout", context.DeadlineExceeded, true},
		{"cancelled", fmt.Errorf("call: %w", context.Canceled), false},
		{"a host that does not exist", &net.DNSError{IsNotFound: true}, false},
		{"a resolver that is down", &net.DNSError{IsTemporary: true}, true},
		{"a bad certificate", &tls.CertificateVerificationError{Err: text("expired")}, false},
		{"an unknown authority", x509.UnknownAuthorityError{}, false},
		{"another host's certificate", x509.HostnameError{Certificate: &x509.Certificate{}}, false},
		{"no TLS", tls.RecordHeaderError{Msg: "HTTP"}, false},
		{"an address without a port", &net.AddrError{Err: "missing port in address"}, false},
		{"HTTP by HTTPS", http.ErrSchemeMismatch, false},
		{"no host", text("http: no Host in request URL"), false},
		{"a bad field", text(`net/http: invalid header field name "a b"`), false},
		{"Request.Cancel", text("net/http: request canceled while waiting for connection"), false},
		{"no URL", text("http: nil Request.URL"), false},
		{"a scheme that is not known to retryablehttp either", text("unsupported protocol scheme"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := retryableError(t.Context(), tt.err); got != tt.want {
				t.Errorf("%v: got %v, want %v", tt.err, got, tt.want)
			}
		})
	}
}

func TestIsSafe(t *testing.T) {
	for method, want := range map[string]bool{
		"": true, "GET": true, "HEAD": true, "OPTIONS": true, "TRACE": true, "PUT": true, "DELETE": true,
		"POST": false, "PATCH": false, "CONNECT": false, "get": false,
	} {
		req := &http.Request{Method: method, Header: http.Header{}}
		if got := isSafe(req); got != want {
			t.Errorf("%q: got %v, want %v", method, got, want)
		}
		for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
			req.Header = http.Header{name: nil}
			if !isSafe(req) {
				t.Errorf("%q with an empty %s is not safe, want safe", method, name)
			}
		}
	}
}

// The func of WithRepeatable is asked once, and only where it matters.
func TestSafeAsksOnce(t *testing.T) {
	asked := 0
	may := func(*http.Request) bool { asked++; return true }
	for _, tt := range []struct {
		name         string
		method       string
		may          func(*http.Request) bool
		dryRun, keys bool
		want         bool
		asked        int
	}{
		{name: "GET", method: "GET", may: may, want: true},
		{name: "POST", method: "POST", want: false},
		{name: "POST that may be repeated", method: "POST", may: may, want: true, asked: 1},
		{name: "POST in a dry run with keys", method: "POST", may: may, dryRun: true, keys: true, want: true},
		{name: "POST in a dry run without keys", method: "POST", dryRun: true, want: false},
		{name: "POST with keys that was given none", method: "POST", keys: true, want: false},
		{name: "CONNECT in a dry run with keys", method: "CONNECT", dryRun: true, keys: true, want: false},
	} {
		asked = 0
		l := &loop{may: tt.may, dryRun: tt.dryRun, transport: &Transport{shared: &shared{keys: tt.keys}}}
		r := &round{loop: l, req: &http.Request{Method: tt.method}}
		for range 2 {
			if got := r.safe(); got != tt.want {
				t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
			}
		}
		if asked != tt.asked {
			t.Errorf("%s: asked %d times, want %d", tt.name, asked, tt.asked)
		}
	}
}

func TestIdempotencyKeyOf(t *testing.T) {
	for method, want := range map[string]bool{"POST": true, "PATCH": true, "GET": false, "CONNECT": false} {
		req, _ := http.NewRequest(method, "http://api.test/", nil)
		got := withIdempotencyKey(req)
		key := got.Header.Get("Idempotency-Key")
		if (key != "") != want || want && (len(key) < 20 || !strings.HasPrefix(key, `"`)) {
			t.Errorf("%s: key %q, want one: %v", method, key, want)
		}
		if (got == req) == want || req.Header.Get("Idempotency-Key") != "" {
			t.Errorf("%s: the request was changed, want a copy", method)
		}
		own, _ := http.NewRequest(method, "http://api.test/", nil)
		own.Header.Set("Idempotency-Key", "mine")
		if got := withIdempotencyKey(own); got != own {
			t.Errorf("%s with a key of its own: got a copy, want the request", method)
		}
	}
}

func TestEndedBy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		later, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		past := unaware{t.Context(), time.Now()}
		for _, tt := range []struct {
			name string
			ctx  context.Context
			want StopReason
		}{
			{"none", t.Context(), ""},
			{"a deadline to come", later, ""},
			{"a deadline that the context does not know to be over", past, StopDeadline},
			{"cancelled", cancelled, StopCancelled},
		} {
			if got := endedBy(tt.ctx); got != tt.want {
				t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := endedBy(later); got != StopDeadline {
			t.Errorf("a deadline that has passed: got %q, want %q", got, StopDeadline)
		}
	})
}

// unaware is a context whose timer has not run yet.
type unaware struct {
	context.Context
	at time.Time
}

func (c unaware) Deadline() (time.Time, bool) { return c.at, true }
