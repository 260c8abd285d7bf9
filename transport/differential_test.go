package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
	"github.com/hashicorp/go-retryablehttp"
)

// On random scripts of answers the chain does what a go-retryablehttp client
// does, unless it has a reason of its own to stop.

// trial is a request and what it is answered.
type trial struct {
	method   string
	body     string
	max      int // RetryMax
	min, cap time.Duration
	steps    []step
}

type step struct {
	status     int
	retryAfter string
	saysNo     bool // X-Should-Retry: false, of which the oracle knows nothing
	err        error
}

func (tr trial) String() string {
	return fmt.Sprintf("%s of %d bytes, RetryMax %d, waits %v to %v, answers %v", tr.method, len(tr.body), tr.max, tr.min, tr.cap, tr.steps)
}

func (s step) String() string {
	if s.err != nil {
		return fmt.Sprintf("{err: %q}", s.err)
	}
	return fmt.Sprintf("{%d, Retry-After: %q, says no: %v}", s.status, s.retryAfter, s.saysNo)
}

// outcome is what the outside sees of a call.
type outcome struct {
	waits  []time.Duration
	bodies []string
	status int
	err    error
	stop   transport.StopReason // ours only
}

var trialErrors = []error{
	io.EOF, io.ErrUnexpectedEOF,
	&net.OpError{Op: "read", Err: errors.New("connection reset by peer")},
	&net.OpError{Op: "dial", Err: errors.New("connection refused")},
	errors.New(`unsupported protocol scheme "ftp"`),
	errors.New(`net/http: invalid header field name "a b"`),
	errors.New("x509: certificate is not trusted"),
	errors.New("stopped after 10 redirects"),
	http.ErrHandlerTimeout,
}

func randomTrial(r *rand.Rand) trial {
	pick := func(s ...string) string { return s[r.IntN(len(s))] }
	tr := trial{
		method: pick("GET", "GET", "PUT", "DELETE", "HEAD", "POST"),
		max:    r.IntN(6),
		min:    time.Duration(1+r.IntN(2000)) * time.Millisecond,
	}
	tr.cap = tr.min + time.Duration(r.IntN(20000))*time.Millisecond
	if tr.method == "PUT" || tr.method == "POST" {
		tr.body = pick("", "x", strings.Repeat("body ", 2000))
	}
	codes := []int{200, 201, 204, 301, 304, 400, 404, 408, 409, 425, 429, 429, 499, 500, 501, 502, 503, 503, 503, 504, 505, 511, 599}
	for range 1 + r.IntN(7) {
		var s step
		if r.IntN(4) == 0 {
			s.err = trialErrors[r.IntN(len(trialErrors))]
		} else {
			s.status = codes[r.IntN(len(codes))]
			if r.IntN(3) == 0 {
				s.retryAfter = pick("0", "1", "3", "7", "29", "31", "86400", "-1", "soon", "1.5", "Thu, 01 Jan 1970 00:00:00 GMT", "99999999999999999999")
			}
			s.saysNo = r.IntN(20) == 0
		}
		tr.steps = append(tr.steps, s)
	}
	return tr
}

// play runs the trial against send and notes what the base saw of it.
func (tr trial) play(t *testing.T, over func(base http.RoundTripper) func(*http.Request) (*http.Response, error)) outcome {
	var out outcome
	var last time.Time
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if !last.IsZero() {
			out.waits = append(out.waits, time.Since(last))
		}
		last = time.Now()
		var body []byte
		if req.Body != nil {
			body, _ = io.ReadAll(req.Body)
			req.Body.Close()
		}
		out.bodies = append(out.bodies, fmt.Sprintf("%s %d %x", req.Method, req.ContentLength, body))
		s := tr.steps[min(len(out.bodies), len(tr.steps))-1]
		if s.err != nil {
			return nil, s.err
		}
		header := http.Header{}
		if s.retryAfter != "" {
			header.Set("Retry-After", s.retryAfter)
		}
		if s.saysNo {
			header.Set("X-Should-Retry", "false")
		}
		return &http.Response{StatusCode: s.status, Header: header, Body: io.NopCloser(strings.NewReader("answer")), ContentLength: 6, Request: req}, nil
	})
	var body io.Reader
	if tr.body != "" {
		body = bytes.NewReader([]byte(tr.body))
	}
	req, err := http.NewRequestWithContext(t.Context(), tr.method, "http://api.test/", body)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := over(base)(req)
	out.err = err
	if resp != nil {
		out.status = resp.StatusCode
		if text, err := io.ReadAll(resp.Body); string(text) != "answer" || err != nil {
			out.err = errors.Join(out.err, fmt.Errorf("the last response holds %q, %v", text, err))
		}
		resp.Body.Close()
	}
	return out
}

func (tr trial) client(base http.RoundTripper, check retryablehttp.CheckRetry) *retryablehttp.Client {
	c := retryablehttp.NewClient()
	c.HTTPClient = &http.Client{Transport: base}
	c.Logger = nil
	c.RetryMax, c.RetryWaitMin, c.RetryWaitMax = tr.max, tr.min, tr.cap
	c.CheckRetry = check
	return c
}

func (tr trial) oracle(t *testing.T, check retryablehttp.CheckRetry) outcome {
	return tr.play(t, func(base http.RoundTripper) func(*http.Request) (*http.Response, error) {
		c := tr.client(base, check)
		c.HTTPClient.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		c.ErrorHandler = retryablehttp.PassthroughErrorHandler
		return func(req *http.Request) (*http.Response, error) {
			wrapped, err := retryablehttp.FromRequest(req)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.Do(wrapped)
			if resp != nil {
				err = nil // both are given by policies that say why
			}
			return resp, err
		}
	})
}

func (tr trial) ours(t *testing.T, check retryablehttp.CheckRetry, more ...transport.Option) outcome {
	var told told
	out := tr.play(t, func(base http.RoundTripper) func(*http.Request) (*http.Response, error) {
		opts, err := transport.FromClient(tr.client(base, check))
		if err != nil {
			t.Fatal(err)
		}
		return build(t, nil, append(append(opts, unlimited(), told.option()), more...)...).RoundTrip
	})
	out.stop = told.calls[0].Stop
	return out
}

// differs says in which way the two outcomes differ without a reason of ours,
// or "".
func (tr trial) differs(theirs, ours outcome) string {
	n := len(ours.bodies)
	at := tr.steps[min(n, len(tr.steps))-1]
	var own bool // a reason of ours
	switch ours.stop {
	case transport.StopServerSaidNo:
		own = at.saysNo
	case transport.StopRetryAfter:
		hint, _ := headers.RetryAfterOf(http.Header{"Retry-After": {at.retryAfter}}, time.Now())
		own = hint > 30*time.Second
	case transport.StopMethod:
		own = tr.method == "POST"
	}
	switch {
	case own && n > len(theirs.bodies), !own && n != len(theirs.bodies):
		return fmt.Sprintf("%d attempts, want %d", n, len(theirs.bodies))
	case !slices.Equal(ours.bodies, theirs.bodies[:n]):
		return fmt.Sprintf("sent %.200q, want %.200q", ours.bodies, theirs.bodies)
	case !own && ours.status != theirs.status:
		return fmt.Sprintf("ended with status %d, want %d", ours.status, theirs.status)
	case own && ours.status != at.status:
		return fmt.Sprintf("ended with status %d, want the %d at hand", ours.status, at.status)
	case (ours.err == nil) != (ours.status != 0):
		return fmt.Sprintf("ended with status %d and error %v", ours.status, ours.err)
	case !own && at.err != nil && (!errors.Is(ours.err, at.err) || !errors.Is(theirs.err, at.err)):
		return fmt.Sprintf("ended with error %v, want %v", ours.err, theirs.err)
	}
	for i, wait := range ours.waits {
		s := tr.steps[min(i+1, len(tr.steps))-1]
		least := theirs.waits[i]
		most := least
		if hint, _ := headers.RetryAfterOf(http.Header{"Retry-After": {s.retryAfter}}, time.Now()); hint > 0 && s.err == nil {
			// The hint counts whatever the status, and gets jitter upwards.
			least = max(hint, min(least, tr.cap))
			most = least + max(tr.min, hint/4)
		}
		if wait < least || wait > most {
			return fmt.Sprintf("waited %v after attempt %d, want [%v, %v]", wait, i+1, least, most)
		}
	}
	return ""
}

func TestDoesWhatRetryablehttpDoes(t *testing.T) {
	const trials = 6000
	everything := transport.Policy{Statuses: []int{429, 500}}
	for code := 502; code < 600; code++ {
		everything.Statuses = append(everything.Statuses, code)
	}
	for _, tt := range []struct {
		name   string
		check  retryablehttp.CheckRetry
		native bool // the chain's own judgement, by a list of statuses; throttles of 409 are its own
	}{
		{name: "DefaultRetryPolicy", check: retryablehttp.DefaultRetryPolicy},
		{name: "ErrorPropagatedRetryPolicy", check: retryablehttp.ErrorPropagatedRetryPolicy},
		{name: "the judgement of Policy", check: retryablehttp.DefaultRetryPolicy, native: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				try := func(tr trial) string {
					var more []transport.Option
					if tt.native {
						tr = tr.withoutThrottles()
						p := everything
						p.MaxAttempts, p.BaseDelay, p.MaxDelay = tr.max+1, tr.min, tr.cap
						more = []transport.Option{transport.WithCheckRetry(nil), transport.WithPolicy(p)}
					}
					return tr.differs(tr.oracle(t, tt.check), tr.ours(t, tt.check, more...))
				}
				seed := rand.Uint64()
				r := rand.New(rand.NewPCG(seed, 1))
				for range trials {
					tr := randomTrial(r)
					if try(tr) != "" {
						tr = shrink(tr, func(tr trial) bool { return try(tr) != "" })
						t.Fatalf("seed %d, shrunk to %v:\n%s", seed, tr, try(tr))
					}
				}
			})
		})
	}
}

// CheckRetry and Backoff get what go-retryablehttp would give them.
func TestCheckRetryAndBackoffArguments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type seen struct {
			status int
			err    string
			n      int
			min    time.Duration
			max    time.Duration
		}
		run := func(over func(base http.RoundTripper, check retryablehttp.CheckRetry, backoff retryablehttp.Backoff) func(*http.Request) (*http.Response, error)) (log []seen) {
			base := &script{answers: []reply{{err: io.ErrUnexpectedEOF}, {status: 503}, {status: 200}}}
			check := func(ctx context.Context, resp *http.Response, err error) (bool, error) {
				s := seen{n: -1}
				if resp != nil {
					s.status = resp.StatusCode
				}
				if err != nil {
					s.err = fmt.Sprintf("%T", err)
				}
				log = append(log, s)
				return retryablehttp.DefaultRetryPolicy(ctx, resp, err)
			}
			backoff := func(lo, hi time.Duration, n int, resp *http.Response) time.Duration {
				s := seen{n: n, min: lo, max: hi}
				if resp != nil {
					s.status = resp.StatusCode
				}
				log = append(log, s)
				return time.Second
			}
			if _, err := over(base, check, backoff)(get(t, t.Context())); err != nil {
				t.Fatal(err)
			}
			return log
		}
		theirs := run(func(base http.RoundTripper, check retryablehttp.CheckRetry, backoff retryablehttp.Backoff) func(*http.Request) (*http.Response, error) {
			c := trial{max: 4, min: time.Second, cap: time.Minute}.client(base, check)
			c.Backoff = backoff
			return func(req *http.Request) (*http.Response, error) {
				wrapped, _ := retryablehttp.FromRequest(req)
				return c.Do(wrapped)
			}
		})
		ours := run(func(base http.RoundTripper, check retryablehttp.CheckRetry, backoff retryablehttp.Backoff) func(*http.Request) (*http.Response, error) {
			return build(t, base, transport.WithCheckRetry(check), transport.WithBackoff(backoff), unlimited(),
				transport.WithPolicy(transport.Policy{MaxAttempts: 5, BaseDelay: time.Second, MaxDelay: time.Minute})).RoundTrip
		})
		if !slices.Equal(ours, theirs) {
			t.Errorf("asked:\n%+v\nwant:\n%+v", ours, theirs)
		}
	})
}
