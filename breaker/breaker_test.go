package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers"
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
		set = newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOnStateChange(func(c breaker.StateChange) {
			// A plain gobreaker deadlocks when its hook asks for the state.
			log = append(log, fmt.Sprintf("%s %v>%v %v (%v)", c.Service, c.From, c.To, c.OpenFor, set.State(c.Service)))
		}))
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
		time.Sleep(10*time.Second - 1)
		if send(t, rt, 1) != 1 {
			t.Error("after a failed probe it must stay open for 10s")
		}
		time.Sleep(time.Nanosecond)
		b.set(200)
		if refused := send(t, rt, 5); refused != 0 || set.State("api.test") != breaker.StateClosed {
			t.Errorf("%d refused after a good probe, state %v", refused, set.State("api.test"))
		}
		b.set(503)
		send(t, rt, 10)
		want := []string{
			"api.test closed>open 5s (open)", "api.test open>half-open 0s (half-open)", "api.test half-open>open 10s (open)",
			"api.test open>half-open 0s (half-open)", "api.test half-open>closed 0s (closed)", "api.test closed>open 5s (open)",
		}
		if strings.Join(log, "\n") != strings.Join(want, "\n") {
			t.Errorf("changes:\n%s\nwant:\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
		}
	})
}

func TestRetryAfterKeepsItOpen(t *testing.T) {
	for asked, want := range map[string]time.Duration{"30": 30 * time.Second, "1": 5 * time.Second, "86400": time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			b := &backend{header: http.Header{"Retry-After": {asked}}}
			b.set(503)
			var change breaker.StateChange
			set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithOnStateChange(func(c breaker.StateChange) { change = c }))
			rt := set.Wrap(b)
			send(t, rt, 10)
			_, err := rt.RoundTrip(request(t, t.Context()))
			var open *breaker.OpenError
			if !errors.As(err, &open) || open.RetryIn != want || change.OpenFor != want {
				t.Errorf("Retry-After: %s: %v, told %v, want %v", asked, err, change.OpenFor, want)
			}
		})
	}
}

// A probe whose result never comes blocks a plain gobreaker for ever.
func TestLostProbeExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hang := make(chan struct{})
		var hanging atomic.Bool
		rt := newSet(t, breaker.WithTripRatio(0.5, 10)).Wrap(roundTripper(func(req *http.Request) (*http.Response, error) {
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

func TestProbesAreLimitedExactly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var probing atomic.Bool
		var out atomic.Int32
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithProbes(3))
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
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithWindow(10*time.Second))
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
		set := newSet(t, breaker.WithTripRatio(0.5, 10), breaker.WithSlowCall(time.Second, 0.8), breaker.WithWindow(time.Minute))
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

func TestPanicsSettleTheCall(t *testing.T) {
	for name, opts := range map[string][]breaker.Option{
		"next":      {},
		"predicate": {breaker.WithFailureIf(func(*http.Response, error) bool { panic("predicate") })},
	} {
		synctest.Test(t, func(t *testing.T) {
			set := newSet(t, append(opts, breaker.WithTripRatio(0.5, 10))...)
			rt := set.Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
				if name == "next" {
					panic(http.ErrAbortHandler)
				}
				return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
			}))
			for range 10 {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("%s: the panic did not pass", name)
						}
					}()
					rt.RoundTrip(request(t, t.Context()))
				}()
			}
			if got := set.State("api.test"); got != breaker.StateOpen {
				t.Errorf("%s: %v after 10 panics, want open", name, got)
			}
		})
	}
}

func TestRefusalClosesTheBody(t *testing.T) {
	b := &backend{}
	rt := newSet(t, breaker.WithTripRatio(0.5, 1)).Wrap(b)
	send(t, rt, 1)
	req := request(t, t.Context())
	closed := 0
	req.Body = closer(func() { closed++ })
	if _, err := rt.RoundTrip(req); !errors.Is(err, breaker.ErrOpen) || closed != 1 {
		t.Errorf("%v with %d closes, want ErrOpen and one", err, closed)
	}
	var timeout interface{ Timeout() bool }
	_, err := rt.RoundTrip(request(t, t.Context()))
	if errors.As(err, &timeout) {
		t.Error("a refusal is no timeout")
	}
}

type closer func()

func (c closer) Read([]byte) (int, error) { return 0, io.EOF }
func (c closer) Close() error             { c(); return nil }

type upgraded struct{ io.Reader }

func (upgraded) Write(p []byte) (int, error) { return len(p), nil }
func (upgraded) Close() error                { return nil }

func TestUpgradedBodyStaysWritable(t *testing.T) {
	rt := newSet(t).Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Body: upgraded{strings.NewReader("")}}, nil
	}))
	resp, err := rt.RoundTrip(request(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := resp.Body.(io.ReadWriteCloser); !ok {
		t.Errorf("%T is not writable", resp.Body)
	}
}

// The changes of a service arrive in order and without a gap, however many
// goroutines cause them.
func TestChangesArriveInOrder(t *testing.T) {
	var mu sync.Mutex
	last := breaker.StateClosed
	set := newSet(t, breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Microsecond), breaker.WithOnStateChange(func(c breaker.StateChange) {
		mu.Lock()
		defer mu.Unlock()
		if c.From != last {
			t.Errorf("a change from %v after one to %v", c.From, last)
		}
		last = c.To
	}))
	var n atomic.Int64
	rt := set.Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
		if n.Add(1)%3 == 0 {
			return nil, errors.New("down")
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { send(t, rt, 500) })
	}
	wg.Wait()
}

func TestServiceNames(t *testing.T) {
	for _, tt := range []struct {
		url, service string
		opts         []breaker.Option
		want         string
	}{
		{url: "http://API.test:80/x", want: "api.test"},
		{url: "https://api.test:443/x", want: "api.test"},
		{url: "https://api.test:8443/x", want: "api.test:8443"},
		{url: "http://api.test/", service: "users", want: "users"},
		{url: "http://api.test/", service: "users", opts: []breaker.Option{breaker.WithServiceName(func(*http.Request) string { return "own" })}, want: "own"},
		{url: "http://api.test/", opts: []breaker.Option{breaker.WithServiceName(func(*http.Request) string { return "" })}, want: "api.test"},
	} {
		set := newSet(t, tt.opts...)
		ctx := t.Context()
		if tt.service != "" {
			ctx = headers.WithService(ctx, tt.service)
		}
		req, _ := http.NewRequestWithContext(ctx, "GET", tt.url, nil)
		b := &backend{}
		set.Wrap(b).RoundTrip(req)
		for name := range set.All() {
			if name != tt.want {
				t.Errorf("%s: %q, want %q", tt.url, name, tt.want)
			}
		}
	}
}

// A circuit is asked for by any spelling of the host it is for, unless the
// names are the user's own.
func TestSpellingOfServices(t *testing.T) {
	own := breaker.WithServiceName(func(req *http.Request) string { return req.URL.Host })
	for _, tt := range []struct {
		asked string
		opts  []breaker.Option
		want  breaker.State
	}{
		{"api.test", nil, breaker.StateOpen},
		{"API.test", nil, breaker.StateOpen},
		{"Api.Test:443", nil, breaker.StateOpen},
		{"api.test:8080", nil, breaker.StateClosed},
		{"API.test", []breaker.Option{own}, breaker.StateOpen},
		{"api.test", []breaker.Option{own}, breaker.StateClosed},
	} {
		set := newSet(t, append(tt.opts, breaker.WithTripRatio(1, 1))...)
		b := &backend{}
		b.status.Store(500)
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://API.test/", nil)
		set.Wrap(b).RoundTrip(req)
		if got := set.State(tt.asked); got != tt.want {
			t.Errorf("with %d options the circuit of %s is %v, want %v", len(tt.opts), tt.asked, got, tt.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	_, err := breaker.New(breaker.WithTripRatio(50, 0), breaker.WithWindow(-1), breaker.WithOpenFor(0), breaker.WithProbes(0),
		breaker.WithSlowCall(time.Second, 2), breaker.WithMaxServices(0), nil)
	for _, want := range []string{"WithTripRatio(50, 0)", "WithWindow(-1ns)", "WithOpenFor(0s)", "WithProbes(0)", "WithSlowCall(1s, 2)", "WithMaxServices(0)"} {
		if err == nil || !strings.Contains(err.Error(), "breaker: "+want+": want") {
			t.Errorf("error %v lacks %s", err, want)
		}
	}
}

func BenchmarkRoundTrip(b *testing.B) {
	ok := roundTripper(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
	down := roundTripper(func(*http.Request) (*http.Response, error) { return nil, errors.New("down") })
	open := newSet(b, breaker.WithTripRatio(0.5, 1)).Wrap(down)
	send(b, open, 1)
	plain := gobreaker.NewCircuitBreaker[*http.Response](gobreaker.Settings{})
	for _, bm := range []struct {
		name string
		rt   http.RoundTripper
	}{
		{"bare", ok},
		{"closed", newSet(b).Wrap(ok)},
		{"open", open},
		{"plain gobreaker", roundTripper(func(req *http.Request) (*http.Response, error) {
			return plain.Execute(func() (*http.Response, error) { return ok(req) })
		})},
	} {
		b.Run(bm.name, func(b *testing.B) {
			req := request(b, context.Background())
			b.ReportAllocs()
			for b.Loop() {
				bm.rt.RoundTrip(req)
			}
		})
	}
}

// What a server refuses that sheds is held back already: it neither opens a
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

// A set that New did not make would let everything through, or panic at its
// first call: it says so where it is used for the first time.
func TestSetThatNewDidNotMake(t *testing.T) {
	for name, set := range map[string]*breaker.Set{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, want := recover(), "breaker: Wrap of a Set that New did not make"; got != want {
					t.Errorf("panic %v, want %q", got, want)
				}
			}()
			set.Wrap(&backend{})
		})
	}
}
