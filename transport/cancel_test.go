package transport_test

import (
	"context"
	"errors"
	"math"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// The caller may leave at any moment. What came is closed, what was paid is
// paid back, and the error says both why and after what.
func TestCancelledAtEachPoint(t *testing.T) {
	cause := errors.New("user left")
	for _, tt := range []struct {
		name   string
		at     time.Duration
		refuse bool
		stop   transport.StopReason
		sent   int
	}{
		{"before it starts", 0, false, transport.StopCancelled, 1},
		{"in the first attempt", 500 * time.Millisecond, false, transport.StopCancelled, 1},
		{"in the first wait", 1500 * time.Millisecond, false, transport.StopCancelled, 1},
		{"in the second attempt", 2500 * time.Millisecond, false, transport.StopCancelled, 2},
		{"in the second wait", 3500 * time.Millisecond, false, transport.StopCancelled, 2},
		{"in the wait for a budget", 1500 * time.Millisecond, true, transport.StopCancelled, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				timer := time.AfterFunc(tt.at, func() { cancel(cause) })
				defer timer.Stop()
				if tt.at == 0 {
					cancel(cause)
				}
				answers := &bodies{codes: []int{503}}
				sent := 0
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					sent++
					select {
					case <-time.After(time.Second):
						return answers.RoundTrip(req)
					case <-req.Context().Done():
						req.Body.Close()
						return nil, context.Cause(req.Context())
					}
				})
				p := &purse{refuse: tt.refuse}
				req := put(t, nil).WithContext(ctx)
				body := &source{Reader: strings.NewReader("hello")}
				req.Body = body
				var told told
				resp, err := build(t, base, p.option(), told.option(), steady(time.Second)).RoundTrip(req)
				if c := told.calls[0]; resp != nil || !errors.Is(err, cause) || c.Stop != tt.stop || c.Attempts != tt.sent || sent != tt.sent {
					t.Errorf("%v, %v after %d attempts; want %s after %d, for the cause", resp, err, sent, tt.stop, tt.sent)
				}
				passedOn := tt.at < time.Second
				if e := new(transport.Error); errors.As(err, &e) == passedOn || passedOn && err != cause {
					t.Errorf("%#v; want the error of the base itself %v, else an *Error", err, passedOn)
				}
				if waiting := strings.Contains(tt.name, "wait"); waiting && (!errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "user left while waiting after: last answer 503")) {
					t.Errorf("%v does not say what it waited for", err)
				}
				for i, b := range answers.made {
					if b.closes == 0 {
						t.Errorf("answer %d was not closed", i+1)
					}
				}
				if body.closes.Load() != 1 {
					t.Errorf("the caller's body was closed %d times, want once", body.closes.Load())
				}
				if cost := p.withdrawn - p.refunded; cost != tt.sent-1 {
					t.Errorf("paid for %d attempts, want the %d that were repeated", cost, tt.sent-1)
				}
			})
		})
	}
}

// A context that ends without having said when, or why.
type mute struct {
	context.Context
	done chan struct{}
}

func (m mute) Deadline() (time.Time, bool) { return time.Time{}, false }
func (m mute) Done() <-chan struct{}       { return m.done }
func (m mute) Err() error {
	select {
	case <-m.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestContextThatHidesItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		ctx := mute{parent, make(chan struct{})}
		time.AfterFunc(time.Second, func() { close(ctx.done) })
		_, err := build(t, answering(503), steady(2*time.Second)).RoundTrip(get(t, ctx))
		var e *transport.Error
		if !errors.As(err, &e) || e.Stop != transport.StopDeadline || !errors.Is(err, context.DeadlineExceeded) || !e.Timeout() {
			t.Errorf("%v, want a timeout stopped by deadline", err)
		}
		if strings.Contains(err.Error(), "nil") {
			t.Errorf("the error names no cause: %v", err)
		}
	})
}

// http.Client's own Timeout is a deadline like any other: a wait that reaches
// it is not begun.
func TestClientTimeoutIsADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := build(t, answering(503), steady(2*time.Second))
		client := &http.Client{Transport: rt, Timeout: time.Second}
		start := time.Now()
		resp, err := client.Get("http://api.test/")
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		if got := text(t, resp); call.Stop != transport.StopDeadline || got != "a body" || time.Since(start) != 0 {
			t.Errorf("%+v, %q after %v; want the response at once, stopped by deadline", call, got, time.Since(start))
		}
	})
}

// The channel that contexts took the place of: what it ended is not begun
// again.
func TestRequestCancel(t *testing.T) {
	srv := newRawServer(t, func(conn net.Conn, _ int) { untilClosed(conn) })
	defer srv.end()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	cancel := make(chan struct{})
	req, _ := http.NewRequest("GET", "http://"+srv.Addr().String(), nil)
	//lint:ignore SA1019 deprecated, and still in use
	req.Cancel = cancel
	go func() {
		for srv.count.Load() == 0 {
			runtime.Gosched()
		}
		close(cancel)
	}()
	var told told
	_, err := build(t, base, unlimited(), told.option()).RoundTrip(req)
	if c := told.calls[0]; err == nil || c.Attempts != 1 || c.Stop != transport.StopNotRetryable {
		t.Errorf("%v after %+v, want one attempt", err, c)
	}
}

// The longest times there are neither overflow nor panic: they are longer than
// the deadline, as every other long time is.
func TestEndlessTimes(t *testing.T) {
	const endless = time.Duration(math.MaxInt64)
	failing := errors.New("failing")
	for name, tt := range map[string]struct {
		policy transport.Policy
		err    error
	}{
		"backoff":     {transport.Policy{BaseDelay: endless, MaxDelay: endless}, failing},
		"cap":         {transport.Policy{BaseDelay: 1, MaxDelay: endless, MaxAttempts: 100}, failing},
		"retry after": {transport.Policy{MaxRetryAfter: endless}, transport.RetryAfter(failing, endless)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 20 { // the jitter is random
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_, err := transport.Do(ctx, tt.policy, func(context.Context) (int, error) { return 0, tt.err })
					cancel()
					var e *transport.Error
					if !errors.As(err, &e) || e.Stop != transport.StopDeadline {
						t.Fatalf("got %v, want the call to end for its deadline", err)
					}
				}
			})
		})
	}
}
