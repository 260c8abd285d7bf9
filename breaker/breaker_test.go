package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/sony/gobreaker/v2"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

func newSet(t testing.TB, opts ...breaker.Option) *breaker.Set {
	t.Helper()
	set, err := breaker.New(opts...)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func request(t testing.TB, ctx context.Context) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, "GET", "http://api.test/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return req
}

// backend answers with what it is set to.
type backend struct {
	status atomic.Int32
	header http.Header
	calls  atomic.Int32
	delay  time.Duration
}

func (b *backend) RoundTrip(req *http.Request) (*http.Response, error) {
	b.calls.Add(1)
	if b.delay > 0 {
		time.Sleep(b.delay)
	}
	code := int(b.status.Load())
	if code == 0 {
		return nil, errors.New("connection reset")
	}
	h := b.header
	if h == nil {
		h = http.Header{}
	}
	return &http.Response{StatusCode: code, Header: h, Body: http.NoBody, Request: req}, nil
}

func (b *backend) set(code int) { b.status.Store(int32(code)) }

// send makes n calls and returns how many were refused.
func send(t testing.TB, rt http.RoundTripper, n int) (refused int) {
	t.Helper()
	for range n {
		resp, err := rt.RoundTrip(request(t, context.Background()))
		if errors.Is(err, breaker.ErrOpen) {
			refused++
		}
		if err == nil {
			resp.Body.Close()
		}
	}
	return refused
}

func TestTripsProbesAndCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log []string
		b := &backend{}
		var set *breaker.Set
		set = newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOpenFor(5*time.Second), breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			// A plain gobreaker deadlocks when its hook asks for the state.
			log = append(log, fmt.Sprintf("%s %v>%v %v (%v)", c.Service, c.From, c.To, c.OpenFor, set.State(c.Service)))
		}}))
		rt := set.Wrap(b)
		b.set(503)
		if refused := send(t, rt, 15); refused != 5 || b.calls.Load() != 10 {
			t.Fatalf("%d refused and %d sent, want 5 and 10", refused, b.calls.Load())
		}
		_, err := rt.RoundTrip(request(t, t.Context()))
		var open *breaker.OpenError
		if !errors.As(err, &open) || open.Service != "api.test" || open.RetryIn != 5*time.Second || open.RefusedFor() != 5*time.Second {
			t.Fatalf("err = %#v, want *OpenError of api.test for 5s", err)
		}
		time.Sleep(5*time.Second - 1)
		if send(t, rt, 1) != 1 {
			t.Error("open for less than 5s")
		}
		time.Sleep(time.Nanosecond)
		if got := set.State("api.test"); got != breaker.StateHalfOpen {
			t.Errorf("after 5s: %v, want half-open", got)
		}
		send(t, rt, 1) // the probe fails
		time.Sleep(5*time.Second - 1)
		if send(t, rt, 1) != 1 {
			t.Error("open for less than 5s after a failed probe")
		}
		time.Sleep(time.Nanosecond)
		b.set(200)
		if refused := send(t, rt, 5); refused != 0 || set.State("api.test") != breaker.StateClosed {
			t.Errorf("%d refused after a good probe, state %v", refused, set.State("api.test"))
		}
		b.set(503)
		send(t, rt, 10)
		want := []string{
			"api.test closed>open 5s (open)", "api.test open>half-open 0s (half-open)", "api.test half-open>open 5s (open)",
			"api.test open>half-open 0s (half-open)", "api.test half-open>closed 0s (closed)", "api.test closed>open 5s (open)",
		}
		if strings.Join(log, "\n") != strings.Join(want, "\n") {
			t.Errorf("changes:\n%s\nwant:\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
		}
	})
}

// What a server asks for in Retry-After is often a constant. The open time does
// not follow it, or calls would be refused long after the service is back.
func TestRetryAfterDoesNotKeepItOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{header: http.Header{"Retry-After": {"30"}}}
		b.set(503)
		rt := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOpenFor(5*time.Second)).Wrap(b)
		send(t, rt, 10)
		_, err := rt.RoundTrip(request(t, t.Context()))
		if open, ok := errors.AsType[*breaker.OpenError](err); !ok || open.RetryIn != 5*time.Second {
			t.Errorf("got %v, want a refusal for 5s", err)
		}
	})
}

// The open time grows with the outage.
func TestOpenTimeGrows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var openFor time.Duration
		b := &backend{}
		b.set(500)
		rt := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
			if c.To == breaker.StateOpen {
				openFor = c.OpenFor
			}
		}})).Wrap(b)
		outage := func(after, want time.Duration) {
			t.Helper()
			time.Sleep(after)
			send(t, rt, 10)
			if openFor != want {
				t.Errorf("open for %v, want %v", openFor, want)
			}
		}
		outage(0, 100*time.Millisecond)
		outage(10*time.Second, 100*time.Millisecond)
		outage(90*time.Second, time.Second) // after 100 s in all
		outage(time.Hour, 4*time.Second)
		time.Sleep(4 * time.Second)
		b.set(200)
		send(t, rt, 1) // closes it
		b.set(500)
		outage(0, 100*time.Millisecond)
	})
}

// A probe whose result never comes blocks a plain gobreaker for ever.
func TestLostProbeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var hanging atomic.Bool
		rt := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOpenFor(5*time.Second)).Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if hanging.Load() {
				<-hang
			}
			return &http.Response{StatusCode: 503, Body: http.NoBody}, nil
		}))
		send(t, rt, 10)
		time.Sleep(5 * time.Second)
		hanging.Store(true)
		go func() { rt.RoundTrip(request(t, context.Background())) }()
		synctest.Wait()
		hanging.Store(false)
		if send(t, rt, 1) != 1 {
			t.Error("a second probe passed while the first is out")
		}
		time.Sleep(5 * time.Second)
		if send(t, rt, 1) != 0 {
			t.Error("a lost probe still keeps the circuit half-open")
		}
		close(hang)

		plain := gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{Timeout: time.Second})
		for range 6 {
			done, _ := plain.Allow()
			done(errors.New("failed"))
		}
		time.Sleep(2 * time.Second)
		plain.Allow() // the probe that is lost
		time.Sleep(time.Hour)
		if _, err := plain.Allow(); err == nil {
			t.Error("a plain gobreaker does expire lost probes: this test proves nothing any more")
		}
	})
}

// A service whose answers take longer than the open time closes its circuit,
// although its probes are overdue by then.
func TestSlowProbeCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		b.set(500)
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOpenFor(time.Second))
		rt := set.Wrap(b)
		send(t, rt, 10)
		b.set(200)
		b.delay = 2500 * time.Millisecond
		var calls sync.WaitGroup
		for range 34 { // for 3.4 s, of which the circuit is open for one
			time.Sleep(100 * time.Millisecond)
			calls.Go(func() { send(t, rt, 1) })
		}
		synctest.Wait()
		if got, want := b.calls.Load(), int32(10+3); got != want {
			t.Errorf("%d calls sent, want %d: a probe each second", got, want)
		}
		if got := set.State("api.test"); got != breaker.StateHalfOpen {
			t.Errorf("%v before a probe is answered, want half-open", got)
		}
		time.Sleep(101 * time.Millisecond)
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Errorf("%v once a probe is answered, want closed", got)
		}
		calls.Wait()
	})
}

func TestProbesAreLimitedExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var probing atomic.Bool
		var out atomic.Int32
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOpenFor(5*time.Second), breaker.WithProbes(3))
		rt := set.Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
			if !probing.Load() {
				return nil, errors.New("down")
			}
			out.Add(1)
			<-release
			return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
		}))
		send(t, rt, 10)
		time.Sleep(5 * time.Second)
		probing.Store(true)
		for range 20 {
			go func() { rt.RoundTrip(request(t, context.Background())) }()
		}
		synctest.Wait()
		if out.Load() != 3 {
			t.Errorf("%d probes are out, want 3", out.Load())
		}
		if d := rt.(interface {
			OpenFor(*http.Request) time.Duration
		}).OpenFor(request(t, t.Context())); d != 5*time.Second {
			t.Errorf("OpenFor = %v while all probes are out, want the 5s after which they are lost", d)
		}
		close(release)
		synctest.Wait()
		if got := set.State("api.test"); got != breaker.StateClosed {
			t.Errorf("state %v after 3 good probes, want closed", got)
		}
	})
}
