package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// A copy is what a replica does with one copy of a request.
type copyOf struct {
	after  time.Duration
	status int
	err    error
	panic  any
}

// replicas gives each copy what is next in the list, and the last ever after.
type replicas struct {
	copies []copyOf

	mu      sync.Mutex // guards what follows
	seen    []*http.Request
	bodies  []string
	open    int // bodies of responses that were not closed
	stopped []error
}

type tracked struct {
	io.Reader
	close func()
}

func (b *tracked) Close() error { b.close(); return nil }

func (r *replicas) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	c := r.copies[min(len(r.seen), len(r.copies)-1)]
	r.seen = append(r.seen, req)
	r.mu.Unlock()
	if req.Body != nil {
		b, _ := io.ReadAll(req.Body)
		req.Body.Close()
		r.mu.Lock()
		r.bodies = append(r.bodies, string(b))
		r.mu.Unlock()
	}
	select {
	case <-after(c.after):
	case <-req.Context().Done():
		r.mu.Lock()
		r.stopped = append(r.stopped, context.Cause(req.Context()))
		r.mu.Unlock()
		return nil, req.Context().Err()
	}
	if c.panic != nil {
		panic(c.panic)
	}
	if c.err != nil {
		return nil, c.err
	}
	r.mu.Lock()
	r.open++
	r.mu.Unlock()
	body := &tracked{Reader: strings.NewReader(fmt.Sprint(c.after)), close: sync.OnceFunc(func() {
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
	})}
	return &http.Response{StatusCode: c.status, Header: http.Header{}, Body: body, Request: req}, nil
}

func TestHedge(t *testing.T) {
	const hedgeAfter = 100 * time.Millisecond
	broken := errors.New("connection reset")
	rich := func(string) budget.Budget {
		b, _ := budget.NewLocal(budget.Policy{MinPerSecond: 100})
		return b
	}
	for _, tt := range []struct {
		name   string
		method string
		body   io.Reader
		opts   []transport.Option
		copies []copyOf
		took   time.Duration // the answer that wins
		status int
		sent   int
	}{
		{name: "quick enough", copies: []copyOf{{after: 50 * time.Millisecond, status: 200}}, took: 50 * time.Millisecond, status: 200, sent: 1},
		{name: "the second wins", copies: []copyOf{{after: time.Second, status: 200}, {after: 10 * time.Millisecond, status: 200}}, took: 110 * time.Millisecond, status: 200, sent: 2},
		{name: "the first wins", copies: []copyOf{{after: 150 * time.Millisecond, status: 200}, {after: time.Second, status: 200}}, took: 150 * time.Millisecond, status: 200, sent: 2},
		{name: "a quick 503 does not beat a slow 200", copies: []copyOf{{after: 300 * time.Millisecond, status: 200}, {after: 10 * time.Millisecond, status: 503}}, took: 300 * time.Millisecond, status: 200, sent: 2},
		{name: "nor does a quick error", copies: []copyOf{{after: 300 * time.Millisecond, status: 200}, {after: 10 * time.Millisecond, err: broken}}, took: 300 * time.Millisecond, status: 200, sent: 2},
		{name: "the first fails while the second is under way", copies: []copyOf{{after: 200 * time.Millisecond, status: 503}, {after: 400 * time.Millisecond, status: 200}}, took: 500 * time.Millisecond, status: 200, sent: 2},
		{name: "a 404 is an answer", copies: []copyOf{{after: time.Second, status: 200}, {after: 10 * time.Millisecond, status: 404}}, took: 110 * time.Millisecond, status: 404, sent: 2},
		{name: "a body with GetBody", method: "PUT", body: strings.NewReader("hello"), copies: []copyOf{{after: time.Second, status: 200}, {after: 10 * time.Millisecond, status: 200}}, took: 110 * time.Millisecond, status: 200, sent: 2},
		{name: "a body without", method: "PUT", body: io.NopCloser(strings.NewReader("hello")), copies: []copyOf{{after: time.Second, status: 200}}, took: time.Second, status: 200, sent: 1},
		{name: "POST", method: "POST", copies: []copyOf{{after: time.Second, status: 200}}, took: time.Second, status: 200, sent: 1},
		{name: "no attempts to spare", opts: []transport.Option{transport.WithPolicy(transport.Policy{MaxAttempts: 1})}, copies: []copyOf{{after: time.Second, status: 200}}, took: time.Second, status: 200, sent: 1},
		{name: "no budget", opts: []transport.Option{transport.WithBudget(func(string) budget.Budget { return &denied{} })}, copies: []copyOf{{after: time.Second, status: 200}}, took: time.Second, status: 200, sent: 1},
		{name: "dry run", opts: []transport.Option{transport.WithDryRun()}, copies: []copyOf{{after: time.Second, status: 200}}, took: time.Second, status: 200, sent: 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &replicas{copies: tt.copies}
				var events []transport.AttemptEvent
				opts := append([]transport.Option{
					transport.WithBudget(rich),
					transport.WithHedging(transport.Hedge{Delay: hedgeAfter, Ratio: 1}),
					transport.WithObserver(transport.Observer{OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
						base.mu.Lock()
						events = append(events, e)
						base.mu.Unlock()
					}}),
				}, tt.opts...)
				rt := build(t, base, opts...)
				req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://api.test/", tt.body)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				if got := time.Since(start); got != tt.took || resp.StatusCode != tt.status {
					t.Errorf("got %d after %v, want %d after %v", resp.StatusCode, got, tt.status, tt.took)
				}
				if len(base.seen) != tt.sent || len(events) != tt.sent {
					t.Fatalf("%d copies sent and %d observed, want %d", len(base.seen), len(events), tt.sent)
				}
				if call, ok := transport.CallOf(resp); !ok || call.Attempts != tt.sent || call.Stop == "" {
					t.Errorf("CallOf = %+v, want %d attempts", call, tt.sent)
				}
				if base.open != 1 {
					t.Errorf("%d bodies are open before the winner's is read, want 1", base.open)
				}
				if err := resp.Request.Context().Err(); err != nil {
					t.Errorf("the winner's context ended before its body: %v", err)
				}
				text(t, resp)
				resp.Body.Close()
				if base.open != 0 {
					t.Errorf("%d bodies were left open", base.open)
				}
				if tt.sent == 2 {
					if got := base.seen[1].Header.Get("Retry-Attempt"); !strings.HasPrefix(got, "2;max=3") || base.seen[0].Header.Get("Retry-Attempt") != "" {
						t.Errorf("the second copy says Retry-Attempt %q, want 2", got)
					}
					if slices.Contains(base.bodies, "") && tt.body != nil {
						t.Errorf("the copies had the bodies %q", base.bodies)
					}
				}
			})
		})
	}
}

// Both copies may have a good answer at the same time. One of them is returned,
// and its body is whole: only the other is cancelled.
func TestHedgeDeadHeat(t *testing.T) {
	for _, ahead := range []int{1, 2} {
		t.Run(fmt.Sprintf("copy %d is a moment ahead", ahead), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := &replicas{copies: []copyOf{{after: 200 * time.Millisecond, status: 200}, {after: 100 * time.Millisecond, status: 200}}}
				wait := make(chan struct{})
				check := func(ctx context.Context, resp *http.Response, _ error) (bool, error) {
					// Both have an answer now. The one ahead lets the other
					// finish once it is about to be told so itself.
					if transport.Attempt(resp.Request.Context()) != ahead {
						<-wait
						return false, nil
					}
					time.AfterFunc(time.Nanosecond, func() { close(wait) })
					return false, nil
				}
				rt := build(t, base, unlimited(), transport.WithCheckRetry(check), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
				resp, err := rt.RoundTrip(get(t, t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				if n := transport.Attempt(resp.Request.Context()); n != ahead {
					t.Errorf("copy %d is returned, want %d", n, ahead)
				}
				if err := resp.Request.Context().Err(); err != nil {
					t.Errorf("the context of the winner is done: %v", context.Cause(resp.Request.Context()))
				}
				resp.Body.Close()
				if base.open != 0 {
					t.Errorf("%d bodies were left open", base.open)
				}
			})
		})
	}
}

// A CheckRetry that panics while both copies are under way leaves neither.
func TestHedgePanicOfThePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &replicas{copies: []copyOf{{after: 200 * time.Millisecond, status: 200}, {after: time.Hour, status: 200}}}
		check := func(context.Context, *http.Response, error) (bool, error) { panic("policy") }
		rt := build(t, base, unlimited(), transport.WithCheckRetry(check), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
		start := time.Now()
		func() {
			defer func() {
				if got := recover(); got != "policy" {
					t.Errorf("recovered %v, want the panic of the policy", got)
				}
			}()
			rt.RoundTrip(get(t, t.Context()))
		}()
		synctest.Wait()
		if base.open != 0 || len(base.stopped) != 1 || time.Since(start) != 200*time.Millisecond {
			t.Errorf("%d bodies open and %d copies stopped after %v, want 0, 1 and 200ms", base.open, len(base.stopped), time.Since(start))
		}
	})
}

// A panic of the base on the goroutine of the second copy comes up on that of
// the caller, as it does without a hedge.
func TestHedgePanics(t *testing.T) {
	for _, copies := range [][]copyOf{
		{{after: time.Second, status: 200}, {after: 10 * time.Millisecond, panic: "second"}},
		{{after: 200 * time.Millisecond, panic: "first"}, {after: time.Second, status: 200}},
		{{after: 200 * time.Millisecond, panic: "first"}, {after: 150 * time.Millisecond, status: 503}},
	} {
		synctest.Test(t, func(t *testing.T) {
			base := &replicas{copies: copies}
			rt := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
			func() {
				defer func() {
					if got := recover(); got != "first" && got != "second" {
						t.Errorf("recovered %v, want the panic of the base", got)
					}
				}()
				rt.RoundTrip(get(t, t.Context()))
			}()
			if base.open != 0 {
				t.Errorf("%d bodies were left open", base.open)
			}
		})
	}
}

// The caller's cancellation ends both copies; each copy that lost knows why.
func TestHedgeEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &replicas{copies: []copyOf{{after: time.Hour}}}
		rt := build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
		gone := errors.New("the user left")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(gone) })
		_, err := rt.RoundTrip(get(t, ctx))
		if !errors.Is(err, context.Canceled) || len(base.stopped) != 2 || base.stopped[0] != gone || base.stopped[1] != gone {
			t.Errorf("got %v, and copies that ended with %v, want the caller's cause for both", err, base.stopped)
		}

		base = &replicas{copies: []copyOf{{after: time.Hour}, {after: time.Millisecond, status: 200}}}
		rt = build(t, base, unlimited(), transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1}))
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil || len(base.stopped) != 1 || !strings.Contains(base.stopped[0].Error(), "another copy") {
			t.Errorf("got %v, and the loser ended with %v", err, base.stopped)
		}
		resp.Body.Close()
	})
}

// An open breaker or an engaged guard gets no second copies.
func TestHedgeKeepsOffAnEngagedGuardAndAnOpenBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set, err := breaker.New(breaker.WithTripRatio(0.5, 2), breaker.WithOpenFor(time.Hour))
		if err != nil {
			t.Fatal(err)
		}
		// The circuit opens by other calls while the first copy is under way.
		base := &replicas{copies: []copyOf{{after: time.Second, status: 200}, {status: 500}, {status: 500}, {status: 200}}}
		hedging := transport.WithHedging(transport.Hedge{Delay: 100 * time.Millisecond, Ratio: 1})
		rt := build(t, base, unlimited(), hedging, transport.WithBreaker(set.Wrap))
		other := build(t, base, unlimited(), transport.WithBreaker(set.Wrap), transport.WithPolicy(transport.Policy{MaxAttempts: 1}))
		time.AfterFunc(50*time.Millisecond, func() {
			for range 2 {
				if resp, err := other.RoundTrip(get(t, t.Context())); err == nil {
					resp.Body.Close()
				}
			}
		})
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil || len(base.seen) != 3 {
			t.Errorf("got %v and %d requests, want the slow answer and no second copy", err, len(base.seen))
		}
		resp.Body.Close()
	})
}

// The time after which a second copy is sent is that which the quantile of the
// answers stay below, so that few are sent; and those cut the tail.
func TestHedgeFollowsTheQuantile(t *testing.T) {
	run := func(t *testing.T, seed uint64, opts ...transport.Option) (p999 time.Duration, extra float64) {
		synctest.Test(t, func(t *testing.T) {
			var sent atomic.Int64
			var mu sync.Mutex
			random := rand.New(rand.NewPCG(seed, 0))
			latency := func() time.Duration {
				mu.Lock()
				defer mu.Unlock()
				after := time.Duration(random.ExpFloat64() * float64(10*time.Millisecond))
				if random.IntN(100) == 0 {
					after += time.Second
				}
				return after
			}
			base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				sent.Add(1)
				select {
				case <-time.After(latency()):
					return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
				case <-req.Context().Done():
					return nil, req.Context().Err()
				}
			})
			rt := build(t, base, opts...)
			const calls = 20_000
			var took []time.Duration
			for range calls {
				start := time.Now()
				if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			p999, extra = took[calls*999/1000], float64(sent.Load()-calls)/calls
		})
		return p999, extra
	}
	for seed := range uint64(3) {
		none, _ := run(t, seed)
		hedged, extra := run(t, seed, transport.WithHedging(transport.Hedge{}))
		if hedged > none/2 || extra > 0.021 {
			t.Errorf("seed %d: p99.9 is %v with hedging and %v without, for %.2f %% more requests; want at most half for 2 %%", seed, hedged, none, 100*extra)
		}
	}
}

func TestHedgeMistakes(t *testing.T) {
	_, err := transport.New(nil, transport.WithHedging(transport.Hedge{Quantile: 1, Delay: -1, Ratio: 2}))
	for _, want := range []string{"WithHedging", "Hedge.Quantile 1", "Hedge.Delay -1ns", "Hedge.Ratio 2"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
}

// The copy that is due at the moment of the answer is called off, or sent and
// ended; nothing of it is looked at while it is being made.
func TestHedgeDueWithTheAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			select {
			case <-time.After(time.Millisecond):
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		rt := build(t, base, transport.WithBudget(nil), transport.WithHedging(transport.Hedge{Delay: time.Millisecond, Ratio: 1}))
		for range 300 {
			if resp, err := rt.RoundTrip(get(t, t.Context())); err != nil || resp.StatusCode != 200 {
				t.Fatalf("got %v, %v; want 200", resp, err)
			}
		}
	})
}
