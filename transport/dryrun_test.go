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

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// A backend that fails or hangs gets every call of a dry run once and at once,
// while guard and breaker report what they would have refused.
func TestDryRunRefusesNothing(t *testing.T) {
	hangs := func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	for _, tt := range []struct {
		name    string
		base    func(*http.Request) (*http.Response, error)
		policy  transport.Policy
		within  time.Duration // the caller's deadline
		breaker bool
		would   transport.StopReason
		least   int // calls that would have been refused
	}{
		{"hung, with an attempt limit", hangs, transport.Policy{AttemptTimeout: time.Second}, 0, false, transport.StopGuard, 200},
		{"hung, with both limits", hangs, transport.Policy{AttemptTimeout: time.Second}, 3 * time.Second, false, transport.StopGuard, 200},
		{"hung, with a deadline", hangs, transport.Policy{}, 2 * time.Second, false, transport.StopGuard, 100},
		{"hung, behind a breaker", hangs, transport.Policy{AttemptTimeout: 200 * time.Millisecond}, 3 * time.Second, true, transport.StopBreakerOpen, 50},
		{"failing, behind a breaker", answering(500), transport.Policy{}, 0, true, transport.StopBreakerOpen, 400},
		{"unreachable, behind a breaker", (&script{answers: []reply{{err: io.EOF}}}).RoundTrip, transport.Policy{}, 0, true, transport.StopBreakerOpen, 400},
		{"healthy", answering(200), transport.Policy{AttemptTimeout: time.Second}, 0, true, "", 500},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const calls = 500 // 50 a second
				var mu sync.Mutex
				sent := 0
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					mu.Lock()
					sent++
					mu.Unlock()
					return tt.base(req)
				})
				circuits, err := breaker.New(breaker.WithTripRatio(0.5, 20), breaker.WithOpenFor(5*time.Second))
				if err != nil {
					t.Fatal(err)
				}
				var told told
				opts := []transport.Option{transport.WithDryRun(), transport.WithPolicy(tt.policy), told.option()}
				if tt.breaker {
					opts = append(opts, transport.WithBreaker(circuits.Wrap), transport.WithoutGuard())
				}
				rt := build(t, base, opts...)
				var wg sync.WaitGroup
				for n := range calls {
					time.Sleep(20 * time.Millisecond)
					wg.Go(func() {
						ctx, cancel := context.WithCancel(t.Context())
						if tt.within > 0 {
							ctx, cancel = context.WithTimeout(ctx, tt.within)
						}
						defer cancel()
						resp, err := rt.RoundTrip(get(t, ctx))
						if err == nil {
							resp.Body.Close()
						}
						if errors.As(err, new(*transport.Error)) {
							t.Errorf("call %d: %v, want the error of the base", n, err)
						}
					})
					synctest.Wait()
					mu.Lock()
					if sent != n+1 {
						t.Fatalf("call %d: %d were sent, want each at once", n+1, sent)
					}
					mu.Unlock()
				}
				wg.Wait()
				would := 0
				for _, c := range told.calls {
					if c.WouldRefuse == tt.would {
						would++
					}
					if c.Attempts != 1 || c.Waited != 0 {
						t.Errorf("%+v, want one attempt without a wait", c)
					}
				}
				if sent != calls || would < tt.least {
					t.Errorf("%d of %d calls were sent, %d said to be refused by %q; want all, and at least %d", sent, calls, would, tt.would, tt.least)
				}
			})
		})
	}
}

// Whatever stands in for a breaker, the request goes out whole and its answer
// comes back whole.
func TestDryRunPastAnyBreaker(t *testing.T) {
	for name, tt := range map[string]struct {
		breaker transport.Middleware
		would   transport.StopReason
	}{
		"none":                                 {nil, ""},
		"one that passes":                      {func(next http.RoundTripper) http.RoundTripper { return next }, ""},
		"one that refuses and closes the body": {(&refuser{refuse: map[int]time.Duration{1: time.Hour, 2: time.Hour}}).wrap, transport.StopBreakerOpen},
		"one that refuses for a moment":        {(&refuser{refuse: map[int]time.Duration{1: 1, 2: 1}}).wrap, transport.StopBreakerOpen},
		"one with an error of its own": {layer(func(http.RoundTripper, *http.Request) (*http.Response, error) {
			return nil, errors.New("circuit is open")
		}), transport.StopBreakerOpen},
		"one that answers": {layer(func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
			return answering(503)(req)
		}), transport.StopBreakerOpen},
		"one that reads the body": {layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			io.Copy(io.Discard, req.Body)
			return next.RoundTrip(req)
		}), ""},
		"one that makes an error of a response": {layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Header.Set("X-Seen", "yes")
				io.Copy(io.Discard, resp.Body)
				resp.Body.Close()
			}
			return nil, errors.Join(err, errors.New("failed"))
		}), ""},
		"one with a context of its own": {layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(req.WithContext(context.Background()))
		}), transport.StopBreakerOpen},
	} {
		for _, getBody := range []bool{true, false} {
			var told told
			body := &source{Reader: strings.NewReader("hello")}
			seen := ""
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				b, _ := io.ReadAll(req.Body)
				req.Body.Close()
				seen += string(b)
				return answering(200)(req)
			})
			req := put(t, nil)
			req.Body, req.ContentLength = body, 5
			if getBody {
				req.GetBody = func() (io.ReadCloser, error) { t.Error("GetBody was called"); return nil, io.EOF }
			}
			resp, err := build(t, base, transport.WithDryRun(), transport.WithBreaker(tt.breaker), told.option()).RoundTrip(req)
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if got := text(t, resp); got != "a body" || seen != "hello" || body.closes.Load() != 1 || resp.Header.Get("X-Seen") != "" {
				t.Errorf("%s: sent %q (%d closes), got %q, %v; want hello sent and a body back, untouched", name, seen, body.closes.Load(), got, resp.Header)
			}
			if c := told.calls[0]; c.WouldRefuse != tt.would || c.Stop != transport.StopSucceeded || c.Attempts != 1 {
				t.Errorf("%s: %+v, want one attempt that would be refused by %q", name, c, tt.would)
			}
		}
	}
}

// The server cannot tell a dry run from a bare transport.
func TestDryRunAddsNothing(t *testing.T) {
	for _, hedging := range []bool{false, true} {
		base := &script{answers: statuses(503)}
		var told told
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		hop := new(headers.Hop)
		req := get(t, headers.WithHop(ctx, hop))
		req.Method = "POST"
		opts := []transport.Option{transport.WithDryRun(), transport.WithIdempotencyKeys(), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second}), told.option(), (&purse{refuse: true}).option()}
		if hedging {
			opts = append(opts, transport.WithHedging(transport.Hedge{Delay: time.Hour}))
		}
		if _, err := build(t, base, opts...).RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		if h := base.seen[0].Header; len(h) != 0 || hop.SaidNo() {
			t.Errorf("sent %v, said no to the hop above %v; want neither", h, hop.SaidNo())
		}
		// With the key that a real run sends, the POST is safe; then the budget refuses.
		if c := told.calls[0]; c.Stop != transport.StopBudget || c.WouldRetry {
			t.Errorf("%+v, want stop budget", c)
		}
	}
}

// AttemptTimeout cuts nothing, but what it would have cut is known, to guard and
// breaker at the time when it would have been.
func TestDryRunCutsNothing(t *testing.T) {
	for _, deadline := range []time.Duration{0, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			var judged time.Duration
			start := time.Now()
			watching := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
				resp, err := next.RoundTrip(req)
				if !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("the breaker saw %v, %v; want a timeout", resp, err)
				}
				judged = time.Since(start)
				return resp, err
			})
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				select {
				case <-time.After(time.Minute):
					return answering(200)(req)
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			})
			ctx := t.Context()
			if deadline > 0 {
				c, cancel := context.WithTimeout(ctx, deadline)
				defer cancel()
				ctx = c
			}
			var told told
			p := &purse{}
			resp, err := build(t, base, transport.WithDryRun(), transport.WithBreaker(watching), told.option(), p.option(),
				transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second})).RoundTrip(get(t, ctx))
			if err != nil || text(t, resp) != "a body" || time.Since(start) != time.Minute {
				t.Fatalf("%v, %v after %v; want the answer", resp, err, time.Since(start))
			}
			if c := told.calls[0]; !c.WouldTimeOut || !c.WouldRetry || c.Stop != transport.StopSucceeded || p.withdrawn != 1 || judged != time.Second {
				t.Errorf("%+v, paid %d, judged after %v; want a retry of a timeout, judged after 1s", c, p.withdrawn, judged)
			}
		})
	}
}

func TestDryRunEndsWhatNobodyElseWould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			<-req.Context().Done()
			return nil, req.Context().Err()
		})
		_, err := build(t, base, transport.WithDryRun(), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Second})).RoundTrip(get(t, t.Context()))
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != 10*time.Minute {
			t.Errorf("%v after %v, want a timeout after 10m", err, time.Since(start))
		}
	})
}

// A second copy is not sent, but said and paid for.
func TestDryRunHedgesNothing(t *testing.T) {
	for took, would := range map[time.Duration]bool{time.Millisecond: false, time.Second: true} {
		synctest.Test(t, func(t *testing.T) {
			sent := 0
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				sent++
				time.Sleep(took)
				return answering(200)(req)
			})
			var told told
			p := &purse{}
			resp, err := build(t, base, transport.WithDryRun(), p.option(), told.option(),
				transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1})).RoundTrip(get(t, t.Context()))
			if err != nil || text(t, resp) != "a body" {
				t.Fatal(resp, err)
			}
			paid := p.withdrawn - p.refunded
			if c := told.calls[0]; sent != 1 || c.WouldHedge != would || (paid == 1) != would || c.Stop != transport.StopSucceeded {
				t.Errorf("took %v: sent %d, paid %d, %+v; want one, and hedged %v", took, sent, paid, c, would)
			}
		})
	}
}

// What the breaker learns from the end of a body, it learns in a dry run too.
func TestDryRunJudgesBodies(t *testing.T) {
	circuits, err := breaker.New(breaker.WithTripRatio(0.5, 5))
	if err != nil {
		t.Fatal(err)
	}
	breaks := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(io.MultiReader(strings.NewReader("he"), &failing{io.ErrUnexpectedEOF})), Request: req}, nil
	})
	rt := build(t, breaks, transport.WithDryRun(), transport.WithBreaker(circuits.Wrap))
	for range 5 {
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if b, err := io.ReadAll(resp.Body); string(b) != "he" || err != io.ErrUnexpectedEOF {
			t.Errorf("read %q, %v; want he and an unexpected EOF", b, err)
		}
		resp.Body.Close()
	}
	if s := circuits.State("api.test"); s != breaker.StateOpen {
		t.Errorf("the circuit is %v after five broken bodies, want open", s)
	}
}

func TestDryRunOfAnUpgrade(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		rw.Flush()
		line, _ := rw.ReadString('\n')
		fmt.Fprint(rw, line)
		rw.Flush()
	}))
	defer srv.Close()
	circuits, err := breaker.New()
	if err != nil {
		t.Fatal(err)
	}
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	req, _ := http.NewRequestWithContext(t.Context(), "GET", srv.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := build(t, base, transport.WithDryRun(), transport.WithBreaker(circuits.Wrap)).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	rw, ok := resp.Body.(io.ReadWriteCloser)
	if !ok {
		t.Fatalf("the body is a %T, want one to write to", resp.Body)
	}
	fmt.Fprintln(rw, "hello")
	if b, err := io.ReadAll(rw); string(b) != "hello\n" || err != nil {
		t.Errorf("read %q, %v; want hello", b, err)
	}
}

func TestDryRunOfDo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told told
		v, err := transport.Do(t.Context(), transport.Policy{AttemptTimeout: time.Second}, func(ctx context.Context) (int, error) {
			select {
			case <-ctx.Done():
				return 0, ctx.Err()
			case <-time.After(time.Minute):
				return 7, nil
			}
		}, transport.WithDryRun(), told.option())
		if c := told.calls[0]; v != 7 || err != nil || !c.WouldTimeOut || c.Stop != transport.StopSucceeded {
			t.Errorf("got %v, %v, %+v; want 7 that would have timed out", v, err, c)
		}
	})
}
