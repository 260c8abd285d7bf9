package transport_test

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// announced is what an attempt says of its time: "call/attempt" in milliseconds.
func announced(h http.Header) string {
	return strings.Join(h["Request-Timeout-Ms"], ",") + "/" + strings.Join(h["Request-Attempt-Timeout-Ms"], ",")
}

// What an attempt announces is what is left of the caller's deadline, and how long
// it waits for its response header. What the request says already is only lowered,
// by the time since the call began.
func TestTimesThatAreAnnounced(t *testing.T) {
	const s = time.Second
	for _, tt := range []struct {
		name     string
		deadline time.Duration
		limit    time.Duration // AttemptTimeout
		lines    []string
		want     []string // of attempts that begin after 0, 1.5 and 3 s
	}{
		{name: "nothing is known", want: []string{"/", "/", "/"}},
		{name: "an attempt timeout", limit: s, want: []string{"/1000", "/1000", "/1000"}},
		{name: "a deadline", deadline: 10 * s, want: []string{"10000/", "8500/", "7000/"}},
		{name: "both", deadline: 10 * s, limit: s, want: []string{"10000/1000", "8500/1000", "7000/1000"}},
		{name: "the deadline is sooner", deadline: 4 * s, limit: 2 * s, want: []string{"4000/2000", "2500/2000", "1000/1000"}},
		{name: "less than a millisecond", deadline: 300 * time.Microsecond, limit: s, want: []string{"1/1"}},
		{name: "by hand", lines: []string{"Request-Timeout-Ms: 5000"}, want: []string{"5000/", "3500/", "2000/"}},
		{name: "by hand, and over", lines: []string{"Request-Timeout-Ms: 2000"}, want: []string{"2000/", "500/", "0/"}},
		{name: "by hand, longer than the deadline", deadline: 10 * s, lines: []string{"Request-Timeout-Ms: 60000"}, want: []string{"10000/", "8500/", "7000/"}},
		{name: "by hand, shorter than the deadline", deadline: 10 * s, lines: []string{"Request-Timeout-Ms: 4000"}, want: []string{"4000/", "2500/", "1000/"}},
		{name: "the attempt by hand", limit: s, lines: []string{"Request-Attempt-Timeout-Ms: 3500"}, want: []string{"/1000", "/1000", "/500"}},
		{name: "the attempt by hand, shorter", limit: 3 * s, lines: []string{"Request-Attempt-Timeout-Ms: 2000"}, want: []string{"/2000", "/500", "/0"}},
		{name: "twice by hand", lines: []string{"Request-Timeout-Ms: 9000", "Request-Timeout-Ms: 4000"}, want: []string{"9000,4000/", "2500/", "1000/"}},
		{name: "malformed", lines: []string{"Request-Timeout-Ms: soon", "Request-Attempt-Timeout-Ms: -1"}, want: []string{"soon/-1", "soon/-1", "soon/-1"}},
		{name: "malformed, and known here", deadline: 10 * s, limit: s, lines: []string{"Request-Timeout-Ms: soon", "Request-Attempt-Timeout-Ms: -1"}, want: []string{"10000/1000", "8500/1000", "7000/1000"}},
		{name: "gRPC", lines: []string{"Grpc-Timeout: 4S"}, want: []string{"/", "2500/", "1000/"}},
		{name: "Connect, and a deadline", deadline: 3500 * time.Millisecond, lines: []string{"Connect-Timeout-Ms: 4000"}, want: []string{"3500/", "2000/", "500/"}},
		{name: "Envoy", limit: 3 * s, lines: []string{"X-Envoy-Expected-Rq-Timeout-Ms: 4000"}, want: []string{"/3000", "/2500", "/1000"}},
		{name: "an SDK", lines: []string{"X-Stainless-Timeout: 600"}, want: []string{"/", "/598500", "/597000"}},
		{name: "Prefer", lines: []string{"Prefer: wait=1"}, want: []string{"/", "/", "/"}},
		{name: "an upgrade", deadline: 4 * s, lines: []string{"Upgrade: websocket"}, want: []string{"/4000", "/2500", "/1000"}},
		{name: "an upgrade with an attempt timeout", deadline: 4 * s, limit: s, lines: []string{"Upgrade: websocket"}, want: []string{"/1000", "/1000", "/1000"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				var got []string
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					got = append(got, announced(req.Header))
					time.Sleep(500 * time.Millisecond)
					return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
				})
				rt := build(t, base, unlimited(), transport.WithPolicy(transport.Policy{AttemptTimeout: tt.limit}), steadily(time.Second))
				req := get(t, ctx)
				for _, line := range tt.lines {
					name, value, _ := strings.Cut(line, ": ")
					req.Header.Add(name, value)
				}
				before := announced(req.Header)
				if _, err := rt.RoundTrip(req); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(got, tt.want) || announced(req.Header) != before {
					t.Errorf("announced %q, want %q; the caller's header is now %v", got, tt.want, req.Header)
				}
			})
		})
	}
}

func steadily(d time.Duration) transport.Option {
	return transport.WithBackoff(func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return d })
}

// A reverse proxy that passes the header of its client on tells the server behind
// it of the time that is left now.
func TestTimesThroughAProxy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []string
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			got = append(got, announced(req.Header))
			time.Sleep(400 * time.Millisecond)
			return &http.Response{StatusCode: 503, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "b.test"})
		proxy.Transport = build(t, base, unlimited(), steadily(0), transport.WithPolicy(transport.Policy{MaxAttempts: 2, AttemptTimeout: 2 * time.Second}))
		through := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			w := &recorder{header: http.Header{}}
			proxy.ServeHTTP(w, req.WithContext(t.Context())) // another process
			return &http.Response{StatusCode: w.status, Header: w.header, Body: http.NoBody, Request: req}, nil
		})
		rt := build(t, through, unlimited(), steadily(0), transport.WithPolicy(transport.Policy{MaxAttempts: 2, AttemptTimeout: time.Second}))
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		if _, err := rt.RoundTrip(get(t, ctx)); err != nil {
			t.Fatal(err)
		}
		// The proxy leaves the retries of a retry to its client.
		if want := []string{"3000/1000", "2600/600", "2200/1000"}; !slices.Equal(got, want) {
			t.Errorf("the server is told %q, want %q", got, want)
		}
	})
}

type recorder struct {
	header http.Header
	status int
}

func (w *recorder) Header() http.Header         { return w.header }
func (w *recorder) WriteHeader(status int)      { w.status = status }
func (w *recorder) Write(p []byte) (int, error) { return len(p), nil }

// The copies of a hedged call tell each what is left when it is sent.
func TestTimesOfAHedgedCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(chan string, 2)
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			seen <- announced(req.Header)
			select {
			case <-time.After(time.Second):
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		rt := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 300 * time.Millisecond}))
		req := get(t, t.Context())
		req.Header.Set("Request-Timeout-Ms", "5000")
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if first, second := <-seen, <-seen; first != "5000/" || second != "4700/" {
			t.Errorf("the copies announce %q and %q, want 5000/ and 4700/", first, second)
		}
	})
}
