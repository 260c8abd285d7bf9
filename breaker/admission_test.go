package breaker_test

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
)

// openFor asks how long a request would be refused now.
func openFor(t *testing.T, rt http.RoundTripper) time.Duration {
	t.Helper()
	return rt.(interface {
		OpenFor(*http.Request) time.Duration
	}).OpenFor(request(t, t.Context()))
}

// OpenFor, State and a call agree at each moment in the life of a circuit.
func TestOpenForInEachState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer := make(chan struct{})
		var hanging atomic.Bool
		b := &backend{}
		b.set(500)
		set := newSet(t, breaker.WithTripRatio(0.5, 2), breaker.WithOpenFor(time.Second))
		rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if hanging.Load() {
				<-answer
			}
			return b.RoundTrip(req)
		}))
		is := func(when string, state breaker.State, want time.Duration) {
			t.Helper()
			if got := set.State("api.test"); got != state {
				t.Errorf("%s: %v, want %v", when, got, state)
			}
			if got := openFor(t, rt); got != want {
				t.Errorf("%s: OpenFor = %v, want %v", when, got, want)
			}
		}
		is("before the first call", breaker.StateClosed, 0)
		send(t, rt, 1)
		is("closed", breaker.StateClosed, 0)
		send(t, rt, 1)
		is("opened", breaker.StateOpen, time.Second)
		time.Sleep(time.Second - 1)
		is("a nanosecond before its time is over", breaker.StateOpen, 1)
		time.Sleep(time.Nanosecond)
		is("its time is over", breaker.StateHalfOpen, 0)
		hanging.Store(true)
		var probe sync.WaitGroup
		probe.Go(func() { send(t, rt, 1) })
		synctest.Wait()
		is("a probe is out", breaker.StateHalfOpen, time.Second)
		time.Sleep(time.Second - 1)
		is("it is nearly overdue", breaker.StateHalfOpen, 1)
		if send(t, rt, 1) != 1 {
			t.Error("a second probe passed before the first was overdue")
		}
		time.Sleep(time.Nanosecond)
		is("it is overdue", breaker.StateHalfOpen, 0)
		close(answer)
		probe.Wait()
		is("it has failed", breaker.StateOpen, time.Second)
		b.set(200)
		time.Sleep(time.Second)
		send(t, rt, 1)
		is("the next has succeeded", breaker.StateClosed, 0)
	})
}

// A probe that is cancelled gives its place back and shows nothing.
func TestCancelledProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hanging atomic.Bool
		set := newSet(t, breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Minute))
		rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if hanging.Load() {
				<-req.Context().Done()
				return nil, req.Context().Err()
			}
			return &http.Response{StatusCode: 500, Body: http.NoBody}, nil
		}))
		send(t, rt, 1)
		time.Sleep(time.Minute)
		hanging.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		go rt.RoundTrip(request(t, ctx))
		synctest.Wait()
		if got := openFor(t, rt); got != time.Minute {
			t.Errorf("OpenFor = %v with a probe out, want 1m", got)
		}
		cancel()
		synctest.Wait()
		if got := openFor(t, rt); got != 0 || set.State("api.test") != breaker.StateHalfOpen {
			t.Errorf("OpenFor = %v and %v after it was cancelled, want 0 and half-open", got, set.State("api.test"))
		}
	})
}

// The time that counts for a slow call is its own.
func TestFastCallsAreNotSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{delay: time.Second}
		b.set(200)
		set := newSet(t, breaker.WithTripRatio(1, 2), breaker.WithSlowCall(time.Second, 1), breaker.WithWindow(time.Hour))
		rt := set.Wrap(b)
		time.Sleep(time.Minute)
		send(t, rt, 5)
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Errorf("%v after calls of exactly the time allowed, want closed", got)
		}
	})
}

// A circuit that is being probed is in use: it makes no room for another service
// before a window has passed.
func TestProbedCircuitIsInUse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hanging atomic.Bool
		set := newSet(t, breaker.WithMaxServices(1), breaker.WithTripRatio(0.5, 1), breaker.WithWindow(10*time.Second))
		rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if hanging.Load() {
				<-req.Context().Done()
			}
			return &http.Response{StatusCode: 500, Body: http.NoBody}, nil
		}))
		call(t, rt, "down")
		time.Sleep(time.Minute)
		hanging.Store(true)
		go rt.RoundTrip(request(t, named(t, "down")))
		synctest.Wait()
		hanging.Store(false)
		keeps := func(when string, want bool) {
			t.Helper()
			time.Sleep(2 * time.Second) // since a set looks for room once a second
			call(t, rt, "other")
			if got := services(set)[0] == "down"; got != want {
				t.Errorf("%s: the circuit is kept: %v, want %v", when, got, want)
			}
		}
		keeps("2s after the probe", true)
		time.Sleep(6 * time.Second)
		keeps("a window after the probe", true)
		keeps("later", false)
	})
}
