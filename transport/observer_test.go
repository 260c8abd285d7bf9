package transport_test

import (
	"context"
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
