package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// told collects what observers are told.
type told struct {
	mu       sync.Mutex
	calls    []transport.Call
	attempts []transport.AttemptEvent
}

func (o *told) option() transport.DoOption {
	return transport.WithObserver(transport.Observer{
		OnCall: func(_ context.Context, c transport.Call) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.calls = append(o.calls, c)
		},
		OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
			o.mu.Lock()
			defer o.mu.Unlock()
			o.attempts = append(o.attempts, e)
		},
	})
}

func TestObserversInOrder(t *testing.T) {
	var log []string
	var opts []transport.Option
	for _, name := range []string{"a", "b", "c"} {
		opts = append(opts, transport.WithObserver(transport.Observer{
			OnAttempt: func(context.Context, transport.AttemptEvent) { log = append(log, name) },
			OnCall:    func(context.Context, transport.Call) { log = append(log, strings.ToUpper(name)) },
		}), transport.WithObserver(transport.Observer{}))
	}
	if _, err := build(t, answering(204), opts...).RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log, ""); got != "abcABC" {
		t.Errorf("told in the order %s, want abcABC", got)
	}
}

// OnAttempt gives what the attempt was like.
func TestAttemptEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told told
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			n := transport.Attempt(req.Context())
			time.Sleep(time.Duration(n) * time.Second)
			if n == 1 {
				return nil, io.ErrUnexpectedEOF
			}
			return answering(503, 200)(req)
		})
		rt := build(t, base, unlimited(), told.option(), steady(time.Minute), transport.WithPolicy(transport.Policy{MaxDelay: time.Minute}))
		start := time.Now()
		if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
			t.Fatal(err)
		}
		want := []transport.AttemptEvent{
			{Service: "api.test", Method: "GET", Attempt: 1, Duration: time.Second, Err: io.ErrUnexpectedEOF},
			{Service: "api.test", Method: "GET", Attempt: 2, Waited: time.Minute, Duration: 2 * time.Second, Status: 503, AfterErr: io.ErrUnexpectedEOF},
			{Service: "api.test", Method: "GET", Attempt: 3, Waited: time.Minute, Duration: 3 * time.Second, Status: 503, AfterStatus: 503},
		}
		if !slices.Equal(told.attempts, want) {
			t.Errorf("attempts:\n%+v\nwant:\n%+v", told.attempts, want)
		}
		if c := told.calls[0]; c.Elapsed != time.Since(start) || c.Waited != 2*time.Minute {
			t.Errorf("OnCall saw %+v, want %v in all and 2m waited", c, time.Since(start))
		}
	})
}

func TestDryRun(t *testing.T) {
	for _, tt := range []struct {
		name    string
		answers []reply
		refuse  bool
		stop    transport.StopReason
		would   bool
		cost    int
	}{
		{"success", statuses(200), false, transport.StopSucceeded, false, 0},
		{"a retry", statuses(503), false, transport.StopDisabled, true, 1},
		{"a retry of an error", []reply{{err: io.ErrUnexpectedEOF}}, false, transport.StopDisabled, true, 1},
		{"no budget", statuses(503), true, transport.StopBudget, false, 0},
		{"nothing to retry", statuses(404), false, transport.StopNotRetryable, false, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			var told told
			p := &purse{refuse: tt.refuse}
			base := &script{answers: tt.answers}
			start := time.Now()
			resp, err := build(t, base, p.option(), told.option(), transport.WithDryRun()).RoundTrip(get(t, t.Context()))
			if err == nil && text(t, resp) != http.StatusText(tt.answers[0].status) {
				t.Errorf("%s: the response was touched", tt.name)
			}
			c := told.calls[0]
			if len(base.seen) != 1 || c.Attempts != 1 || c.Stop != tt.stop || c.WouldRetry != tt.would || time.Since(start) != 0 {
				t.Errorf("%s: %d attempts in %v, %+v; want one at once, %s, would retry %v", tt.name, len(base.seen), time.Since(start), c, tt.stop, tt.would)
			}
			if p.withdrawn-p.refunded != tt.cost {
				t.Errorf("%s: cost %d, want %d as if it had been sent", tt.name, p.withdrawn-p.refunded, tt.cost)
			}
		})
	}
}

func TestAttemptEventSaysWhatItReplaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("connection reset")
		var got []string
		rt := build(t, &script{answers: []reply{{status: 503}, {err: broken}, {status: 200}}}, unlimited(),
			transport.WithObserver(transport.Observer{OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
				got = append(got, fmt.Sprint(e.Attempt, e.AfterStatus, e.AfterErr))
			}}))
		if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
			t.Fatal(err)
		}
		if got, want := strings.Join(got, ", "), "1 0 <nil>, 2 503 <nil>, 3 0 connection reset"; got != want {
			t.Errorf("attempts %s, want %s", got, want)
		}
	})
}

func TestOnCallSeesWhatCallLayersPutIntoTheContext(t *testing.T) {
	type key struct{}
	var got any
	rt := build(t, &script{answers: statuses(200)},
		transport.WithCallLayer(func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				return next.RoundTrip(req.WithContext(context.WithValue(req.Context(), key{}, "span")))
			})
		}),
		transport.WithObserver(transport.Observer{OnCall: func(ctx context.Context, _ transport.Call) { got = ctx.Value(key{}) }}))
	if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	if got != "span" {
		t.Errorf("value in OnCall %v, want span", got)
	}
}

func TestElapsed(t *testing.T) {
	const work = 30 * time.Millisecond
	tests := []struct {
		name    string
		answers []reply
		ctx     time.Duration // until the caller's deadline; 0: none
		want    func(c transport.Call) time.Duration
	}{
		{"one attempt", statuses(200), 0, func(transport.Call) time.Duration { return work }},
		{"two attempts", statuses(503, 200), 0, func(c transport.Call) time.Duration { return 2*work + c.Waited }},
		{"deadline in the first", statuses(200), 10 * time.Millisecond, func(transport.Call) time.Duration { return 10 * time.Millisecond }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				slow := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					select {
					case <-time.After(work):
						return s.RoundTrip(req)
					case <-req.Context().Done():
						return nil, req.Context().Err()
					}
				})
				var call transport.Call
				rt := build(t, slow, unlimited(), transport.WithObserver(transport.Observer{
					OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
						if e.Attempt == len(tt.answers) {
							time.Sleep(time.Second) // which is no time of the call
						}
					},
					OnCall: func(_ context.Context, c transport.Call) { call = c },
				}))
				time.Sleep(time.Hour) // the transport is older than the call
				ctx := t.Context()
				if tt.ctx > 0 {
					c, cancel := context.WithTimeout(ctx, tt.ctx)
					defer cancel()
					ctx = c
				}
				resp, err := rt.RoundTrip(get(t, ctx))
				if err == nil {
					resp.Body.Close()
				}
				if got, want := call.Elapsed, tt.want(call); got != want {
					t.Errorf("Elapsed %v, want %v", got, want)
				}
			})
		})
	}
}

// A call that waits in vain has taken the wait too.
func TestElapsedOfACallCancelledWhileItWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var call transport.Call
		rt := build(t, &script{answers: []reply{{status: 503, header: http.Header{"Retry-After": {"20"}}}}}, unlimited(),
			transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) { call = c }}))
		time.Sleep(time.Hour) // the transport is older than the call
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(5*time.Second, cancel)
		if _, err := rt.RoundTrip(get(t, ctx)); !errors.Is(err, context.Canceled) {
			t.Fatalf("error %v, want the cancellation", err)
		}
		if got, want := call.Elapsed, 5*time.Second; got != want {
			t.Errorf("Elapsed %v, want %v", got, want)
		}
	})
}
