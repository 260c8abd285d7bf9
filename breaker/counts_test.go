package breaker_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers"
)

// The ratio is of finished calls: neither those in flight nor those that their
// callers cancelled dilute it. In a plain gobreaker both are Requests.
func TestCancelledAndPendingCallsDoNotCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, breaker.WithTripRatio(0.5, 10))
		rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if req.Header.Get("Hang") != "" {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return nil, errors.New("down")
		}))
		hang := func(ctx context.Context) {
			req := request(t, ctx)
			req.Header.Set("Hang", "yes")
			rt.RoundTrip(req)
		}
		ctx, cancel := context.WithCancel(t.Context())
		for range 100 {
			go hang(ctx)
		}
		synctest.Wait()
		cancel()
		synctest.Wait()
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Fatalf("100 cancelled calls: %v, want closed", got)
		}
		pending, cancel := context.WithCancel(t.Context())
		defer cancel()
		for range 100 {
			go hang(pending)
		}
		synctest.Wait()
		send(t, rt, 9)
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Errorf("after 9 failures of at least 10: %v", got)
		}
		send(t, rt, 1)
		if got := set.State("api.test"); got != breaker.StateOpen {
			t.Errorf("after 10 failures beside 200 others: %v, want open", got)
		}
	})
}

// A deadline that passes is the service's doing, and so is a timeout that
// somebody made out of a cancellation.
func TestTimeoutsCount(t *testing.T) {
	for name, with := range map[string]func(context.Context) (context.Context, context.CancelFunc){
		"deadline": func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		},
		"cause": func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancelCause(ctx)
			timer := time.AfterFunc(time.Second, func() { cancel(context.DeadlineExceeded) })
			return ctx, func() { timer.Stop(); cancel(nil) }
		},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithWindow(time.Minute))
			rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
				<-req.Context().Done()
				return nil, context.Cause(req.Context())
			}))
			for range 10 {
				ctx, cancel := with(t.Context())
				rt.RoundTrip(request(t, ctx))
				cancel()
			}
			if got := set.State("api.test"); got != breaker.StateOpen {
				t.Errorf("%s: %v, want open", name, got)
			}
		})
	}
}

// Timeouts as long as a fixed window are forgotten before they are counted.
func TestSlowFailuresAreNotForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: 4 * time.Second}
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithWindow(10*time.Second), breaker.WithOpenFor(5*time.Second))
		rt := set.Wrap(b)
		var wg sync.WaitGroup
		for range 20 { // one each 500 ms, each failing after 4 s
			wg.Go(func() { send(t, rt, 1) })
			time.Sleep(500 * time.Millisecond)
		}
		wg.Wait()
		if got := set.State("api.test"); got != breaker.StateOpen {
			t.Errorf("%v, want open", got)
		}
	})
}

type brokenBody struct{ err error }

func (b *brokenBody) Read(p []byte) (int, error) { return copy(p, "x"), b.err }
func (b *brokenBody) Close() error               { return nil }

func TestBrokenStreamsAreFailures(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want breaker.State
	}{{io.ErrUnexpectedEOF, breaker.StateOpen}, {io.EOF, breaker.StateClosed}} {
		set := newSet(t, breaker.WithTripRatio(0.5, 10))
		rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			return &http.Response{StatusCode: 200, Body: &brokenBody{tt.err}}, nil
		}))
		for range 10 {
			resp, err := rt.RoundTrip(request(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		if got := set.State("api.test"); got != tt.want {
			t.Errorf("10 streams ended with %v: %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestSlowCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: 2 * time.Second}
		b.set(200)
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithSlowCall(time.Second, 0.8), breaker.WithWindow(time.Minute), breaker.WithOpenFor(5*time.Second))
		rt := set.Wrap(b)
		send(t, rt, 9)
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Fatalf("after 9 slow calls of at least 10: %v", got)
		}
		send(t, rt, 1)
		if got := set.State("api.test"); got != breaker.StateOpen {
			t.Fatalf("after 10 slow calls: %v, want open", got)
		}
		time.Sleep(5 * time.Second)
		send(t, rt, 1) // a slow probe
		if got := set.State("api.test"); got != breaker.StateOpen {
			t.Errorf("after a slow probe: %v, want open", got)
		}
		b.delay = 0
		time.Sleep(time.Minute)
		send(t, rt, 1)
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Errorf("after a quick probe: %v, want closed", got)
		}
	})
}

// What a server refuses that sheds is limited already: it neither opens a
// circuit nor closes one.
func TestShedAnswersCountNeitherWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			status  int
			verdict string
			want    breaker.State
		}{
			{503, "true", breaker.StateClosed},
			{503, "false", breaker.StateClosed},
			{500, "false", breaker.StateOpen},
			{504, "false", breaker.StateOpen},
		} {
			set := newSet(t)
			b := &backend{header: http.Header{headers.XShouldRetry: {tt.verdict}}}
			b.set(tt.status)
			if send(t, set.Wrap(b), 100); set.State("api.test") != tt.want {
				t.Errorf("the circuit is %v after %d that say %s, want %v", set.State("api.test"), tt.status, tt.verdict, tt.want)
			}
		}
		set := newSet(t, breaker.WithOpenFor(time.Second))
		shedding := &backend{header: http.Header{headers.XShouldRetry: {"true"}, headers.RetryAfter: {"1"}}}
		shedding.set(503)
		rt := set.Wrap(shedding)
		if refused := send(t, rt, 100); refused != 0 || set.State("api.test") != breaker.StateClosed {
			t.Errorf("%d of 100 refused and the circuit %v, want none and closed", refused, set.State("api.test"))
		}
		shedding.header = nil
		if send(t, rt, 100); set.State("api.test") != breaker.StateOpen {
			t.Errorf("the circuit is %v after 503s that say nothing, want open", set.State("api.test"))
		}
		time.Sleep(time.Second)
		shedding.header = http.Header{headers.XShouldRetry: {"true"}}
		if refused := send(t, rt, 3); refused != 0 || set.State("api.test") != breaker.StateHalfOpen {
			t.Errorf("%d of 3 probes refused and the circuit %v, want none and half-open", refused, set.State("api.test"))
		}
		shedding.set(200)
		if send(t, rt, 1); set.State("api.test") != breaker.StateClosed {
			t.Errorf("the circuit is %v after a success, want closed", set.State("api.test"))
		}
	})
}
