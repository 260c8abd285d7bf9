package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
)

// A plan says how the service answers one call.
type plan struct {
	after  time.Duration // until the header, or for a stream until its end
	status int           // 0 is an error
	header http.Header
	stream error // how the body ends; nil is no stream
}

type planKey struct{}

// planned answers each call as the plan in its context says.
var planned = roundTripper(func(req *http.Request) (*http.Response, error) {
	p := req.Context().Value(planKey{}).(plan)
	resp := &http.Response{StatusCode: p.status, Header: p.header, Body: http.NoBody, Request: req}
	if p.stream != nil {
		resp.Body = &endsLate{at: time.Now().Add(p.after), err: p.stream}
		return resp, nil
	}
	time.Sleep(p.after)
	if p.status == 0 {
		return nil, errors.New("connection reset")
	}
	return resp, nil
})

// endsLate is a body that has nothing until it ends.
type endsLate struct {
	at  time.Time
	err error
}

func (b *endsLate) Read([]byte) (int, error) {
	time.Sleep(time.Until(b.at))
	return 0, b.err
}

func (b *endsLate) Close() error { return nil }

func (p plan) send(t *testing.T, rt http.RoundTripper, n int) {
	t.Helper()
	for range n {
		resp, err := rt.RoundTrip(request(t, context.WithValue(t.Context(), planKey{}, p)))
		if err == nil {
			io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
	}
}

// A call that began before the state last changed teaches the new state
// nothing, however it ends and whenever: while the circuit is open, once that
// time is over, during a probe, or after the circuit has closed.
func TestLateResultsTeachNothing(t *testing.T) {
	for name, late := range map[string]plan{
		"slow success":              {status: 200},
		"success":                   {status: 200, stream: io.EOF},
		"broken stream":             {status: 200, stream: io.ErrUnexpectedEOF},
		"error":                     {status: 0},
		"failure that asks to wait": {status: 500, header: http.Header{"Retry-After": {"60"}}},
	} {
		for during, end := range map[string]time.Duration{
			"open": 3 * time.Second, "over": 6500 * time.Millisecond, "probing": 8 * time.Second, "closed": 12 * time.Second,
		} {
			t.Run(name+"/"+during, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					var changes []string
					set := newSet(t, breaker.WithSlowCall(2*time.Second, 0.5), breaker.WithTripRatio(0.5, 10), breaker.WithOpenFor(5*time.Second),
						breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
							changes = append(changes, fmt.Sprintf("%v %v>%v %v", time.Since(start), c.From, c.To, c.OpenFor))
						}}))
					rt := set.Wrap(planned)
					var calls sync.WaitGroup
					late.after = end
					for range 30 {
						calls.Go(func() { late.send(t, rt, 1) })
					}
					time.Sleep(time.Second)
					plan{status: 0}.send(t, rt, 10) // trips it for 5s
					time.Sleep(6 * time.Second)
					plan{status: 200, after: 2 * time.Second}.send(t, rt, 1) // the probe
					calls.Wait()
					synctest.Wait()

					plan{status: 0}.send(t, rt, 1)
					if got := set.State("api.test"); got != breaker.StateClosed {
						t.Errorf("one failure, and the circuit is %v, want closed", got)
					}
					plan{status: 0}.send(t, rt, 9)
					want := "1s closed>open 5s, 7s open>half-open 0s, 9s half-open>closed 0s, " +
						fmt.Sprint(max(end, 9*time.Second)) + " closed>open 5s"
					if got := strings.Join(changes, ", "); got != want {
						t.Errorf("changes:\n%s\nwant:\n%s", got, want)
					}
				})
			})
		}
	}
}

// Of two probes the first fails. What comes of the other belongs to a state that
// is over: it neither closes the circuit nor opens it for longer.
func TestLateProbesTeachNothing(t *testing.T) {
	for name, other := range map[string]plan{
		"success": {status: 200}, "failure that asks to wait": {status: 500, header: http.Header{"Retry-After": {"60"}}}, "error": {},
	} {
		for during, end := range map[string]time.Duration{"open": time.Second, "half-open": 11 * time.Second, "closed": 20 * time.Second} {
			t.Run(name+"/"+during, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					set := newSet(t, breaker.WithProbes(2), breaker.WithTripRatio(0.5, 2), breaker.WithOpenFor(5*time.Second))
					rt := set.Wrap(planned)
					plan{}.send(t, rt, 2)
					time.Sleep(5 * time.Second)
					var calls sync.WaitGroup
					other.after = end
					calls.Go(func() { other.send(t, rt, 1) })
					synctest.Wait()
					plan{}.send(t, rt, 1) // the probe that fails
					time.Sleep(5*time.Second - time.Nanosecond)
					if got := set.State("api.test"); got != breaker.StateOpen {
						t.Errorf("%v before its time is over, want open", got)
					}
					time.Sleep(time.Nanosecond)
					plan{status: 200, after: 2 * time.Second}.send(t, rt, 1)
					if got := set.State("api.test"); got != breaker.StateHalfOpen {
						t.Errorf("%v after one of two probes, want half-open", got)
					}
					plan{status: 200}.send(t, rt, 1)
					calls.Wait()
					plan{}.send(t, rt, 1)
					if got := set.State("api.test"); got != breaker.StateClosed {
						t.Errorf("%v after two good probes and one failure, want closed", got)
					}
				})
			})
		}
	}
}
