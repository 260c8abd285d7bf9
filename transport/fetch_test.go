package transport_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// A fetching budget grants nothing until a time has passed.
type fetching struct {
	from    time.Time
	fetched chan struct{} // closed at that time; nil if nothing is fetched
	asked   int
}

func (*fetching) Deposit() {}

func (f *fetching) Withdraw() bool {
	f.asked++
	return !f.from.IsZero() && !time.Now().Before(f.from)
}

func (f *fetching) Fetching() <-chan struct{} { return f.fetched }

// A budget that fetches credit when it refuses is waited for after the backoff, for
// BaseDelay at most.
func TestWaitsForWhatABudgetFetches(t *testing.T) {
	const base = 100 * time.Millisecond
	for _, tt := range []struct {
		name     string
		comes    time.Duration // 0: never
		fetches  bool
		deadline time.Duration
		attempts int
		stop     transport.StopReason
		asked    int
		took     time.Duration
	}{
		{name: "after the backoff", comes: 60 * time.Millisecond, fetches: true, attempts: 2, stop: transport.StopSucceeded, asked: 3, took: 60 * time.Millisecond},
		{name: "within it", comes: time.Nanosecond, fetches: true, attempts: 2, stop: transport.StopSucceeded, asked: 2, took: 1 * time.Millisecond},
		{name: "later than BaseDelay", comes: time.Second, fetches: true, attempts: 1, stop: transport.StopBudget, asked: 2, took: base + time.Millisecond},
		{name: "never", fetches: true, attempts: 1, stop: transport.StopBudget, asked: 2, took: base + time.Millisecond},
		{name: "nothing is fetched", comes: 60 * time.Millisecond, attempts: 1, stop: transport.StopBudget, asked: 2, took: time.Millisecond},
		{name: "the deadline is sooner", comes: 80 * time.Millisecond, fetches: true, deadline: 50 * time.Millisecond, attempts: 1, stop: transport.StopDeadline, asked: 2, took: 50 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &fetching{}
				if tt.fetches {
					b.fetched = make(chan struct{})
				}
				if tt.comes > 0 {
					b.from = time.Now().Add(tt.comes)
				}
				if tt.comes > 0 && tt.fetches {
					timer := time.AfterFunc(tt.comes, func() { close(b.fetched) })
					defer timer.Stop()
				}
				failed := false
				var call transport.Call
				rt, err := transport.New(transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if !failed {
						failed = true
						return nil, errors.New("broken")
					}
					return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
				}), transport.WithPolicy(transport.Policy{BaseDelay: base}), transport.WithoutGuard(),
					transport.WithBackoff(func(_, _ time.Duration, _ int, _ *http.Response) time.Duration { return time.Millisecond }),
					transport.WithBudget(func(string) budget.Budget { return b }),
					transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) { call = c }}))
				if err != nil {
					t.Fatal(err)
				}
				ctx := t.Context()
				if tt.deadline > 0 {
					var cancel context.CancelFunc
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
					defer cancel()
				}
				req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
				if err != nil {
					t.Fatal(err)
				}
				start := time.Now()
				resp, err := rt.RoundTrip(req)
				if took := time.Since(start); took != tt.took {
					t.Errorf("took %v, want %v", took, tt.took)
				}
				if err == nil {
					resp.Body.Close()
				}
				if call.Attempts != tt.attempts || call.Stop != tt.stop || b.asked != tt.asked {
					t.Errorf("%d attempts, stopped by %s, the budget asked %d times; want %d, %s, %d", call.Attempts, call.Stop, b.asked, tt.attempts, tt.stop, tt.asked)
				}
				if call.Waited > tt.took {
					t.Errorf("waited %v in %v", call.Waited, tt.took)
				}
			})
		})
	}
}
