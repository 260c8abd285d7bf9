package transport_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// outage is a service that answers nothing for a while and is well then.
type outage struct {
	from, until time.Time // of the outage
	sent        atomic.Int64
	after       func(n int64, req *http.Request) (*http.Response, error) // nil: 200
}

func (o *outage) RoundTrip(req *http.Request) (*http.Response, error) {
	if now := time.Now(); now.After(o.from) && now.Before(o.until) {
		<-req.Context().Done()
		return nil, req.Context().Err()
	}
	n := o.sent.Add(1)
	if o.after != nil {
		return o.after(n, req)
	}
	return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
}

// A call waits for the guard as long as its attempts could have taken, or as long
// as its policy says, and so outlasts an overload that ends within that time.
func TestThrottledOutlastsAShortOverload(t *testing.T) {
	for _, test := range []struct {
		name     string
		max      int
		throttle time.Duration
		most     time.Duration // that a call may wait
		spare    bool          // there is time for the calls of the outage's last second
	}{
		{name: "time for four attempts", max: 4, most: 4700 * time.Millisecond, spare: true},
		{name: "time for one", max: 1, most: time.Second},
		{name: "as long as the policy says", max: 4, throttle: 300 * time.Millisecond, most: 300 * time.Millisecond},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var longest atomic.Int64 // wait of a call of which nothing was sent
				seen := transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
					if c.Stop == transport.StopGuard && c.Attempts == 0 && int64(c.Elapsed) > longest.Load() {
						longest.Store(int64(c.Elapsed))
					}
				}}
				start := time.Now()
				service := &outage{from: start.Add(3 * time.Second), until: start.Add(9 * time.Second)}
				clients := guarded(t, service, 2, transport.WithObserver(seen),
					transport.WithPolicy(transport.Policy{MaxAttempts: test.max, AttemptTimeout: time.Second, MaxThrottle: test.throttle}))
				began, succeeded := drive(t, clients, 100, 12)
				share := float64(succeeded[8]) / float64(began[8])
				if test.spare && share < 0.8 || !test.spare && share > 0.7 {
					t.Errorf("%.0f %% of the calls of the last second succeeded: %v of %v", 100*share, succeeded, began)
				}
				if got := time.Duration(longest.Load()); got > test.most || got < test.most/2 {
					t.Errorf("the longest wait was %v, want nearly %v", got, test.most)
				}
			})
		})
	}
}

// MaxAttempts counts what was sent. A call that was throttled many times still
// has all of its attempts.
func TestThrottledIsNoAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var helped atomic.Int64
		seen := transport.Observer{OnCall: func(_ context.Context, c transport.Call) {
			if c.Attempts > 1 && c.Stop == transport.StopSucceeded {
				helped.Add(1)
			}
			if c.Attempts > 2 {
				t.Errorf("%d attempts, want at most 2", c.Attempts)
			}
		}}
		start := time.Now()
		service := &outage{from: start.Add(3 * time.Second), until: start.Add(6 * time.Second), after: func(n int64, req *http.Request) (*http.Response, error) {
			if n%4 == 0 {
				return nil, errors.New("connection reset")
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}}
		clients := guarded(t, service, 1, transport.WithObserver(seen), transport.WithBudget(nil),
			transport.WithPolicy(transport.Policy{MaxAttempts: 2, AttemptTimeout: 4 * time.Second, BaseDelay: time.Millisecond}))
		began, succeeded := drive(t, clients, 100, 9)
		// Of those that were throttled in the last second a fourth fails at
		// first, and a fourth of those again.
		if share := float64(succeeded[5]) / float64(began[5]); share < 0.85 {
			t.Errorf("%.0f %% succeeded, want all that had one of two attempts answered", 100*share)
		}
		if helped.Load() == 0 {
			t.Error("no call was helped by its second attempt")
		}
	})
}

// Who calls seldom is not turned away for good: where no new call comes, the
// one that waits shows whether the service is back.
func TestSeldomCallerFindsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		service := &outage{from: start.Add(-1), until: start.Add(time.Hour)}
		client := guarded(t, service, 1, transport.WithPolicy(transport.Policy{MaxAttempts: 3, AttemptTimeout: 3 * time.Second}))[0]
		for n := 0; !client.GuardState("api.test").Engaged; n++ {
			if n == 20 {
				t.Fatal("the guard is not engaged")
			}
			if _, err := client.RoundTrip(get(t, t.Context())); err == nil {
				t.Fatal("the outage answers")
			}
		}
		service.until = time.Now()
		for range 20 {
			if _, err := client.RoundTrip(get(t, t.Context())); err != nil {
				t.Fatalf("%v, want an answer: the service is back", err)
			}
		}
		if s := client.GuardState("api.test"); s.Engaged {
			t.Errorf("%+v, want an open guard after 20 answers", s)
		}
	})
}

// One of two replicas hangs. To a client that calls once a second it may look
// like an overload for a moment, but no more than that.
func TestSeldomCallerAndAHungReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			if rand.IntN(2) == 0 {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		})
		share := func(opts ...transport.Option) float64 {
			began, succeeded := drive(t, guarded(t, half, 200, opts...), 200, 30)
			calls, good := 0, 0
			for i := range began {
				calls += began[i]
				good += succeeded[i]
			}
			return float64(good) / float64(calls)
		}
		with, without := share(), share(transport.WithoutGuard())
		t.Logf("%.3f succeeded with a guard, %.3f without", with, without)
		if with < without-0.05 {
			t.Errorf("the guard lets %.3f succeed, want no less than without it, %.3f", with, without)
		}
	})
}

// A batch that meets a guard which was shut gets through as soon as the first of
// it is answered, without anybody else who calls.
func TestBatchAfterTheOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		service := &outage{from: start.Add(-1), until: start.Add(time.Hour), after: func(_ int64, req *http.Request) (*http.Response, error) {
			time.Sleep(50 * time.Millisecond)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
		}}
		client := guarded(t, service, 1, transport.WithPolicy(transport.Policy{MaxAttempts: 3, AttemptTimeout: 3 * time.Second}))[0]
		untilGuard(t, client, func(s transport.GuardState) bool { return s.Window <= 0.5 }, func() {
			client.RoundTrip(get(t, t.Context()))
		})
		service.until = time.Now()
		time.Sleep(time.Minute)
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if _, err := client.RoundTrip(get(t, t.Context())); err != nil {
					t.Errorf("%v, want an answer: the service is back", err)
				}
			})
		}
		wg.Wait()
	})
}

// Where nobody else calls, the retry of a call shows whether the service is
// back.
func TestLoneRetryFindsBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		service := &outage{from: start.Add(-1), until: start.Add(time.Hour)}
		policy := transport.Policy{MaxAttempts: 3, AttemptTimeout: 10 * time.Second}
		client := guarded(t, service, 1, transport.WithPolicy(policy))[0]
		untilGuard(t, client, func(s transport.GuardState) bool { return s.Engaged }, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second+1)
			client.RoundTrip(get(t, ctx))
			cancel()
		})
		service.until = time.Now().Add(11 * time.Second) // after the first attempt
		if _, err := client.RoundTrip(get(t, t.Context())); err != nil {
			t.Errorf("%v, want an answer: the service is back", err)
		}
	})
}
