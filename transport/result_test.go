package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// resultKey is of a value that a caller puts in its context.
type resultKey struct{}

func TestResultOf(t *testing.T) {
	alive := t.Context()
	cancelled := func(cause error) context.Context {
		ctx, cancel := context.WithCancelCause(context.Background())
		cancel(cause)
		return ctx
	}
	expired := func(cause error) context.Context {
		ctx, cancel := context.WithDeadlineCause(context.Background(), time.Now().Add(-time.Second), cause)
		t.Cleanup(cancel)
		return ctx
	}
	below, cancel := context.WithCancel(context.WithValue(expired(io.EOF), resultKey{}, 1))
	defer cancel()
	broken := errors.New("connection reset")
	tests := []struct {
		name   string
		ctx    context.Context
		status int
		err    error
		want   transport.Result
	}{
		{"an operation of Do", alive, 0, nil, transport.ResultSuccess},
		{"upgraded", alive, 101, nil, transport.ResultSuccess},
		{"redirect", alive, 399, nil, transport.ResultSuccess},
		{"bad request", alive, 400, nil, transport.ResultClientError},
		{"client closed request", alive, 499, nil, transport.ResultClientError},
		{"too many requests", alive, 429, nil, transport.ResultThrottled},
		{"internal server error", alive, 500, nil, transport.ResultServerError},
		{"unavailable", alive, 503, nil, transport.ResultUnavailable},
		{"gateway timeout", alive, 504, nil, transport.ResultServerError},
		{"no status of HTTP", alive, 999, nil, transport.ResultServerError},
		{"an answer that came first", cancelled(nil), 200, nil, transport.ResultSuccess},

		{"broken", alive, 0, broken, transport.ResultError},
		{"dial", alive, 0, &net.OpError{Op: "dial", Err: broken}, transport.ResultError},
		{"dial timeout", alive, 0, &net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, transport.ResultTimeout},
		{"timeout of a layer", alive, 0, fmt.Errorf("signing: %w", context.DeadlineExceeded), transport.ResultTimeout},
		{"cancelled by a layer", alive, 0, fmt.Errorf("signing: %w", context.Canceled), transport.ResultCancelled},
		{"Request.Cancel", alive, 0, errors.New("net/http: request canceled while waiting for connection"), transport.ResultCancelled},

		{"cancelled", cancelled(nil), 0, context.Canceled, transport.ResultCancelled},
		{"cancelled with a cause", cancelled(broken), 0, broken, transport.ResultCancelled},
		{"cancelled since another timed out", cancelled(context.DeadlineExceeded), 0, context.DeadlineExceeded, transport.ResultCancelled},
		{"cancelled, and says so in its own words", cancelled(broken), 0, errors.New("stream closed"), transport.ResultCancelled},
		{"cancelled since a call failed", cancelled(&transport.Error{Err: os.ErrDeadlineExceeded}), 0, broken, transport.ResultCancelled},
		{"deadline", expired(nil), 0, context.DeadlineExceeded, transport.ResultTimeout},
		{"deadline with a cause", expired(broken), 0, broken, transport.ResultTimeout},
		{"deadline with a cancellation for a cause", expired(context.Canceled), 0, context.Canceled, transport.ResultTimeout},
		{"deadline further up", below, 0, broken, transport.ResultTimeout},
	}
	for _, tt := range tests {
		if got := transport.ResultOf(tt.ctx, tt.status, tt.err); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestCalledOffIsNoFailure(t *testing.T) {
	for result, failed := range map[transport.Result]bool{
		transport.ResultSuccess: false, transport.ResultCancelled: false, transport.ResultOutrun: false,
		transport.ResultClientError: true, transport.ResultThrottled: true, transport.ResultUnavailable: true,
		transport.ResultServerError: true, transport.ResultTimeout: true, transport.ResultPanicked: true, transport.ResultError: true,
	} {
		if result.Failed() != failed {
			t.Errorf("%s failed: %v, want %v", result, !failed, failed)
		}
	}
}

// results are those of the attempts of calls, in order.
type results struct {
	mu       sync.Mutex
	got      []transport.Result
	attempts map[int]transport.Result // by their number
}

func (r *results) observer() transport.Observer {
	return transport.Observer{OnAttempt: func(ctx context.Context, e transport.AttemptEvent) {
		r.mu.Lock()
		defer r.mu.Unlock()
		result := transport.ResultOf(ctx, e.Status, e.Err)
		r.got = append(r.got, result)
		if r.attempts == nil {
			r.attempts = make(map[int]transport.Result)
		}
		r.attempts[e.Attempt] = result
	}}
}

// Of two copies the one that is no longer needed was outrun, whichever it is and even
// with an AttemptTimeout. If the caller gives up, both are cancelled.
func TestResultsOfHedgedCopies(t *testing.T) {
	cause := errors.New("sibling failed")
	for _, limit := range []time.Duration{0, time.Minute} {
		for _, tt := range []struct {
			name string
			late [2]time.Duration // when the copies are answered
			want [2]transport.Result
		}{
			{"the first is outrun", [2]time.Duration{time.Hour, time.Second}, [2]transport.Result{transport.ResultOutrun, transport.ResultSuccess}},
			{"the second is outrun", [2]time.Duration{2 * time.Second, time.Hour}, [2]transport.Result{transport.ResultSuccess, transport.ResultOutrun}},
			{"both are cancelled", [2]time.Duration{time.Hour, time.Hour}, [2]transport.Result{transport.ResultCancelled, transport.ResultCancelled}},
		} {
			synctest.Test(t, func(t *testing.T) {
				var sent atomic.Int32
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					select {
					case <-time.After(tt.late[sent.Add(1)-1]):
						return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
					case <-req.Context().Done():
						return nil, context.Cause(req.Context())
					}
				})
				var seen results
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(10*time.Second, func() { cancel(cause) })
				rt := build(t, base, transport.WithHedging(transport.Hedge{Delay: time.Second, Ratio: 1}), transport.WithObserver(seen.observer()),
					transport.WithPolicy(transport.Policy{AttemptTimeout: limit}))
				if resp, err := rt.RoundTrip(get(t, ctx)); err == nil {
					resp.Body.Close()
				}
				synctest.Wait()
				if len(seen.got) != 2 || seen.attempts[1] != tt.want[0] || seen.attempts[2] != tt.want[1] {
					t.Errorf("%s, limit %v: %v, want %v", tt.name, limit, seen.attempts, tt.want)
				}
			})
		}
	}
}

// The causes that end an attempt are told apart, even if all come by the context.
func TestResultsOfAttemptsThatRunOutOfTime(t *testing.T) {
	cause := errors.New("budget of the page is used up")
	var inside transport.Result // as the base sees it, within AttemptTimeout
	hangs := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		<-req.Context().Done()
		err := context.Cause(req.Context())
		inside = transport.ResultOf(req.Context(), 0, err)
		return nil, err
	})
	for name, tt := range map[string]struct {
		limit, deadline, cancel time.Duration
		want                    transport.Result
	}{
		"AttemptTimeout":         {time.Second, time.Hour, time.Hour, transport.ResultTimeout},
		"deadline with a cause":  {time.Hour, time.Second, time.Hour, transport.ResultTimeout},
		"cancelled with a cause": {time.Hour, time.Hour, time.Second, transport.ResultCancelled},
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), tt.deadline, cause)
			defer cancel()
			ctx, give := context.WithCancelCause(ctx)
			defer give(nil)
			time.AfterFunc(tt.cancel, func() { give(cause) })
			var seen results
			rt := build(t, hangs, transport.WithObserver(seen.observer()), transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: tt.limit}))
			if _, err := rt.RoundTrip(get(t, ctx)); err == nil {
				t.Errorf("%s: no error", name)
			}
			if len(seen.got) != 1 || seen.got[0] != tt.want || inside != tt.want {
				t.Errorf("%s: %v, for the base %s; want %s", name, seen.got, inside, tt.want)
			}
			op := func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, context.Cause(ctx) }
			ctx, cancel = context.WithTimeoutCause(t.Context(), tt.deadline, cause)
			defer cancel()
			ctx, give = context.WithCancelCause(ctx)
			defer give(nil)
			time.AfterFunc(tt.cancel, func() { give(cause) })
			transport.Do(ctx, transport.Policy{MaxAttempts: 1, AttemptTimeout: tt.limit}, op, transport.WithObserver(seen.observer()))
			if len(seen.got) != 2 || seen.got[1] != tt.want {
				t.Errorf("%s by Do: %v, want %s", name, seen.got, tt.want)
			}
		})
	}
}

func TestResultOfAPanic(t *testing.T) {
	var seen results
	rt := build(t, transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { panic("bug") }), transport.WithObserver(seen.observer()))
	func() {
		defer func() { recover() }()
		rt.RoundTrip(get(t, t.Context()))
	}()
	if len(seen.got) != 1 || seen.got[0] != transport.ResultPanicked {
		t.Errorf("%v, want panicked", seen.got)
	}
}
