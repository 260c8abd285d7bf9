package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// A server may answer early, while the body is still being sent. If that answer
// is the one that is returned, the exchange goes on undisturbed.
func TestEarlyAnswerWithoutARetryGoesOn(t *testing.T) {
	got := make(chan error, 1)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := http.NewResponseController(w)
		c.EnableFullDuplex()
		w.WriteHeader(http.StatusServiceUnavailable)
		c.Flush()
		b, err := io.ReadAll(r.Body)
		got <- err
		w.Write(b)
	}))
	defer srv.Close()
	for name, opt := range map[string]transport.Option{
		"budget":  transport.WithBudget(func(string) budget.Budget { return &denied{} }),
		"dry run": transport.WithDryRun(),
		"one":     transport.WithPolicy(transport.Policy{MaxAttempts: 1}),
	} {
		t.Run(name, func(t *testing.T) {
			from, to := io.Pipe()
			req, err := http.NewRequestWithContext(t.Context(), "PUT", srv.URL, from)
			if err != nil {
				t.Fatal(err)
			}
			base := &http.Transport{}
			defer base.CloseIdleConnections()
			resp, err := build(t, base, transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}), opt).RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.WriteString(to, "the rest"); err != nil {
				t.Errorf("the base no longer reads the body: %v", err)
			}
			to.Close()
			if err := <-got; err != nil {
				t.Errorf("the server read the body with %v", err)
			}
			if b := text(t, resp); resp.StatusCode != 503 || b != "the rest" {
				t.Errorf("got %d %q, want 503 and the rest", resp.StatusCode, b)
			}
		})
	}
}

// granting refuses until it is asked again, and counts what is given back.
type granting struct{ asked, refunds int }

func (g *granting) Deposit()       {}
func (g *granting) Withdraw() bool { g.asked++; return g.asked > 1 }
func (g *granting) Refund()        { g.refunds++ }

// While a refused retry waits for credit, the attempt in hand may send more of
// the body than is kept. Then there is nothing to pay for any more.
func TestBodyThatIsLostDuringTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		from, to := io.Pipe()
		sent, sending := 0, make(chan int64, 1)
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			go func() {
				defer req.Body.Close()
				n, _ := io.Copy(io.Discard, req.Body)
				sending <- n
			}()
			return &http.Response{StatusCode: 503, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("busy"))}, nil
		})
		b := new(granting)
		rt := build(t, base, transport.WithBudget(func(string) budget.Budget { return b }),
			transport.WithBackoff(func(low, _ time.Duration, _ int, _ *http.Response) time.Duration { return low }))
		go func() {
			time.Sleep(time.Millisecond) // within the wait
			io.WriteString(to, strings.Repeat("x", 65<<10))
			to.Close()
		}()
		resp, err := rt.RoundTrip(put(t, from))
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		if got := text(t, resp); got != "busy" || call.Stop != transport.StopBody || sent != 1 {
			t.Errorf("got %q after %d attempts, stopped by %q; want the first answer, stopped by body", got, sent, call.Stop)
		}
		if n := <-sending; n != 65<<10 || b.refunds != 1 {
			t.Errorf("the attempt sent %d bytes and the budget got %d tokens back, want all and one", n, b.refunds)
		}
	})
}

// Each attempt has a body of its own, which is closed once, and the caller's
// body is closed once whatever the way is that the call takes.
func TestBodiesOfRetriedCallsAreClosedOnce(t *testing.T) {
	broken := errors.New("connection reset")
	type ending struct {
		name    string
		answers []reply
		sent    int
		opts    []transport.Option
		ctx     func(context.Context) (context.Context, context.CancelFunc)
	}
	for _, end := range []ending{
		{name: "success", answers: statuses(503, 503, 200), sent: 3},
		{name: "statuses", answers: statuses(503), sent: 3},
		{name: "errors", answers: []reply{{err: broken}}, sent: 3},
		{name: "final", answers: statuses(503, 404), sent: 2},
		{name: "a server that says no", answers: []reply{{status: 503}, {status: 503, header: head("X-Should-Retry", "false")}}, sent: 2},
		{name: "no budget", answers: statuses(503), sent: 1, opts: []transport.Option{transport.WithBudget(func(string) budget.Budget { return &denied{} })}},
		{name: "dry run", answers: statuses(503), sent: 1, opts: []transport.Option{transport.WithDryRun()}},
		{name: "cancelled in the wait", answers: []reply{{status: 503, header: head("Retry-After", "20")}}, sent: 1, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			time.AfterFunc(time.Second, cancel)
			return ctx, cancel
		}},
		{name: "a deadline before the wait", answers: []reply{{status: 503, header: head("Retry-After", "20")}}, sent: 1, ctx: func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}},
		{name: "a panic in the second attempt", answers: []reply{{status: 503}, {status: -1}}, sent: 2},
	} {
		for _, rewind := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, GetBody %v", end.name, rewind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					ctx := t.Context()
					if end.ctx != nil {
						var cancel context.CancelFunc
						ctx, cancel = end.ctx(ctx)
						defer cancel()
					}
					s := &script{answers: end.answers}
					base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
						resp, err := s.RoundTrip(req)
						if resp != nil && resp.StatusCode < 0 {
							panic(http.ErrAbortHandler)
						}
						return resp, err
					})
					made := []*source{{Reader: strings.NewReader("hello")}}
					req := put(t, made[0]).WithContext(ctx)
					if rewind {
						req.GetBody = func() (io.ReadCloser, error) {
							made = append(made, &source{Reader: strings.NewReader("hello")})
							return made[len(made)-1], nil
						}
					}
					func() {
						defer func() { recover() }()
						opts := append([]transport.Option{unlimited()}, end.opts...)
						if resp, err := build(t, base, opts...).RoundTrip(req); err == nil {
							resp.Body.Close()
						}
					}()
					if want := strings.Repeat("hello", end.sent); strings.Join(s.bodies, "") != want {
						t.Errorf("sent %q, want hello %d times", s.bodies, end.sent)
					}
					for i, b := range made {
						// After a panic nobody knows whether the base came to close it.
						panicked := strings.Contains(end.name, "panic") && i == len(made)-1
						if n := b.closes.Load(); n != 1 && !(panicked && n > 1) {
							t.Errorf("body %d of %d was closed %d times, want once", i+1, len(made), n)
						}
					}
				})
			})
		}
	}
}

// On the wire too every attempt is framed as the caller asked.
func TestFramingIsTheSameOnEveryAttempt(t *testing.T) {
	for _, http2 := range []bool{false, true} {
		var mu sync.Mutex
		var seen []string
		srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			b, err := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			seen = append(seen, fmt.Sprintf("%d %v %q %v", r.ContentLength, r.TransferEncoding, b, err))
			if len(seen) < 3 {
				w.WriteHeader(503)
			}
		}))
		chunked := "[chunked]"
		if srv.EnableHTTP2 = http2; http2 {
			srv.StartTLS()
			chunked = "[]"
		} else {
			srv.Start()
		}
		rt := build(t, srv.Client().Transport, unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
		for _, tt := range []struct {
			length int64
			rewind bool
			want   string
		}{
			{5, true, `5 [] "hello" <nil>`},
			{5, false, `5 [] "hello" <nil>`},
			{-1, true, `-1 ` + chunked + ` "hello" <nil>`},
			{-1, false, `-1 ` + chunked + ` "hello" <nil>`},
		} {
			seen = nil
			req, err := http.NewRequestWithContext(t.Context(), "PUT", srv.URL, io.NopCloser(strings.NewReader("hello")))
			if err != nil {
				t.Fatal(err)
			}
			req.ContentLength = tt.length
			if tt.rewind {
				req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("hello")), nil }
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if want := []string{tt.want, tt.want, tt.want}; fmt.Sprint(seen) != fmt.Sprint(want) {
				t.Errorf("HTTP/2 %v, length %d, GetBody %v: the server saw %q, want %q", http2, tt.length, tt.rewind, seen, want)
			}
		}
		srv.Close()
	}
}
