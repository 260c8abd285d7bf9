package transport_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/transport"
)

// told collects what observers are told.
type told struct {
	mu       sync.Mutex
	calls    []transport.Call
	attempts []transport.AttemptEvent
}

func (o *told) option() transport.Option {
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

func layer(f func(next http.RoundTripper, req *http.Request) (*http.Response, error)) transport.Middleware {
	return func(next http.RoundTripper) http.RoundTripper {
		return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) { return f(next, req) })
	}
}

// A call layer may call on, twice, or not at all, and return what it likes:
// there is one call, and it ended with what the caller got.
func TestCallLayers(t *testing.T) {
	stale := errors.New("nothing in the cache")
	for _, tt := range []struct {
		name     string
		layer    func(next http.RoundTripper, req *http.Request) (*http.Response, error)
		answers  []answer
		attempts int
		stop     transport.StopReason
		status   int
		err      error
	}{
		{name: "on", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) { return next.RoundTrip(req) },
			answers: statuses(503, 200), attempts: 2, stop: transport.StopSucceeded, status: 200},
		{name: "twice", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return next.RoundTrip(req)
		}, answers: statuses(503, 401, 503, 503, 200), attempts: 5, stop: transport.StopSucceeded, status: 200},
		{name: "never, with a response", layer: func(_ http.RoundTripper, req *http.Request) (*http.Response, error) {
			return answering(203)(req)
		}, attempts: 0, stop: transport.StopSucceeded, status: 203},
		{name: "never, with an error", layer: func(http.RoundTripper, *http.Request) (*http.Response, error) { return nil, stale },
			attempts: 0, stop: transport.StopNotRetryable, err: stale},
		{name: "an answer for an error", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if resp, err := next.RoundTrip(req); err == nil {
				return resp, nil
			}
			return answering(203)(req)
		}, answers: []answer{{err: io.ErrUnexpectedEOF}}, attempts: 3, stop: transport.StopAttempts, status: 203},
		{name: "an error for an answer", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			resp, err := next.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
				err = stale
			}
			return nil, err
		}, answers: statuses(503), attempts: 3, stop: transport.StopAttempts, err: stale},
		{name: "a context of its own", layer: func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			return next.RoundTrip(req.WithContext(context.Background()))
		}, answers: statuses(503, 200), attempts: 0, stop: transport.StopSucceeded, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var told told
				rt := build(t, &script{answers: tt.answers}, unlimited(), told.option(), transport.WithCallLayer(layer(tt.layer)))
				resp, err := rt.RoundTrip(get(t, t.Context()))
				status := 0
				if resp != nil {
					status = resp.StatusCode
				}
				if status != tt.status || tt.err != nil && !errors.Is(err, tt.err) {
					t.Errorf("got %d, %v; want %d, %v", status, err, tt.status, tt.err)
				}
				if len(told.calls) != 1 {
					t.Fatalf("OnCall %d times, want once", len(told.calls))
				}
				c := told.calls[0]
				if c.Attempts != tt.attempts || c.Stop != tt.stop || c.Status != tt.status || (c.Err == nil) != (tt.err == nil) || c.Err != nil && !errors.Is(c.Err, tt.err) {
					t.Errorf("OnCall saw %+v; want %d attempts, %s, %d, %v", c, tt.attempts, tt.stop, tt.status, tt.err)
				}
			})
		})
	}
}

// Layers are placed as documented, in their order.
func TestOrderOfLayers(t *testing.T) {
	var log []string
	named := func(name string) transport.Middleware {
		return layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			log = append(log, fmt.Sprint(name, transport.Attempt(req.Context()), headers.Service(req.Context()), req.Header.Get("Retry-Attempt")[:min(1, len(req.Header.Get("Retry-Attempt")))]))
			return next.RoundTrip(req)
		})
	}
	rt := build(t, answering(503, 200), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}),
		transport.WithAttemptLayer(named("attempt A "), nil, named("attempt B ")), transport.WithBreaker(named("breaker ")),
		transport.WithCallLayer(named("call A ")), transport.WithCallLayer(named("call B ")),
		transport.WithObserver(transport.Observer{
			OnAttempt: func(_ context.Context, e transport.AttemptEvent) {
				log = append(log, fmt.Sprint("told of attempt ", e.Attempt))
			},
			OnCall: func(context.Context, transport.Call) { log = append(log, "told of the call") },
		}))
	if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	want := `call A 0api.test, call B 0api.test, breaker 1api.test, attempt A 1api.test, attempt B 1api.test, told of attempt 1, ` +
		`breaker 2api.test, attempt A 2api.test2, attempt B 2api.test2, told of attempt 2, told of the call`
	if got := strings.Join(log, ", "); got != want {
		t.Errorf("order:\n%s\nwant:\n%s", got, want)
	}
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
		answers []answer
		refuse  bool
		stop    transport.StopReason
		would   bool
		cost    int
	}{
		{"success", statuses(200), false, transport.StopSucceeded, false, 0},
		{"a retry", statuses(503), false, transport.StopDisabled, true, 1},
		{"a retry of an error", []answer{{err: io.ErrUnexpectedEOF}}, false, transport.StopDisabled, true, 1},
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

// Policies change while calls are under way; each call has one from start to
// end.
func TestSetPolicyLive(t *testing.T) {
	rt := build(t, answeringAlways(503), unlimited())
	set := func(n int) {
		for _, service := range []string{"", "b"} {
			if err := rt.SetPolicy(service, transport.Policy{MaxAttempts: n, BaseDelay: 1, MaxDelay: 1}); err != nil {
				t.Error(err)
			}
		}
	}
	set(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := 1; ; n = n%4 + 1 {
				select {
				case <-stop:
					return
				default:
					set(n)
				}
			}
		})
	}
	var callers sync.WaitGroup
	for _, host := range []string{"a", "b"} {
		callers.Go(func() {
			for range 1000 {
				req, _ := http.NewRequest("GET", "http://"+host+"/", nil)
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				call, _ := transport.CallOf(resp)
				want := transport.StopAttempts
				if call.Attempts == 1 {
					want = transport.StopDisabled
				}
				if call.Attempts < 1 || call.Attempts > 4 || call.Stop != want {
					t.Errorf("%+v is of no policy that was ever set", call)
					return
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	wg.Wait()
}

// answeringAlways is a base for several goroutines.
func answeringAlways(code int) http.RoundTripper {
	return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
}

func TestSetPolicyOfOneService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := build(t, answering(503), unlimited(), transport.WithServicePolicy("a", transport.Policy{MaxAttempts: 2}))
		attempts := func(host string) int {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			call, _ := transport.CallOf(resp)
			return call.Attempts
		}
		if a, b := attempts("a"), attempts("b"); a != 2 || b != 3 {
			t.Errorf("a %d, b %d; want 2 and the default 3", a, b)
		}
		rt.SetPolicy("", transport.Policy{MaxAttempts: 5})
		if a, b := attempts("A"), attempts("b"); a != 2 || b != 5 {
			t.Errorf("a %d, b %d; want 2 of its own and 5", a, b)
		}
		rt.SetPolicy("b", transport.Policy{MaxAttempts: 1})
		if err := rt.SetPolicy("b", transport.Policy{BaseDelay: -1}); err == nil {
			t.Error("a policy that is not valid was taken")
		}
		if b := attempts("b"); b != 1 {
			t.Errorf("b %d, want 1", b)
		}
	})
}

// The name of a service is all that budgets and events go by, so that a name
// for many hosts makes one of them.
func TestServiceName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		var told told
		rt := build(t, answering(200), told.option(),
			transport.WithBudget(func(service string) budget.Budget { asked = append(asked, service); return nil }),
			transport.WithServiceName(func(req *http.Request) string {
				if strings.HasSuffix(req.URL.Hostname(), ".cdn.test") {
					return "cdn"
				}
				return ""
			}))
		for i := range 100 {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://n%d.cdn.test/%d", i, i), nil)
			if _, err := rt.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://API.test:8080/", nil)
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		slices.Sort(asked)
		if got := slices.Compact(asked); !slices.Equal(got, []string{"api.test:8080", "cdn"}) {
			t.Errorf("services %q, want cdn and the one with the default name", got)
		}
		if told.calls[0].Service != "cdn" || told.attempts[100].Service != "api.test:8080" {
			t.Errorf("events carry %q and %q", told.calls[0].Service, told.attempts[100].Service)
		}
	})
}

// A dial may go on in the background after its call is over, and asks its
// context for the service then.
func TestServiceIsReadAfterTheCall(t *testing.T) {
	ask := make(chan struct{})
	done := make(chan string)
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if transport.Attempt(req.Context()) == 1 {
			go func() {
				<-ask
				done <- headers.Service(req.Context())
			}()
			close(ask)
		}
		return answering(503)(req)
	})
	pass := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) { return next.RoundTrip(req) })
	rt := build(t, base, unlimited(), transport.WithCallLayer(pass), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
	if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != "api.test" {
		t.Errorf("service %q, want api.test", got)
	}
}

// What is wrong with a request is for the base to say, and one call to tell.
func TestMalformedRequests(t *testing.T) {
	for name, req := range map[string]*http.Request{
		"no URL": {Header: http.Header{}},
		"no header": func() *http.Request {
			r := httptest.NewRequest("GET", "http://api.test/", nil)
			r.Header, r.RequestURI = nil, ""
			return r
		}(),
		"nothing": {},
	} {
		var told told
		body := &source{Reader: strings.NewReader("hello")}
		req.Body = body
		resp, err := build(t, &http.Transport{}, told.option(), transport.WithServiceName(func(r *http.Request) string { return r.URL.Host })).RoundTrip(req)
		if resp != nil || err == nil || len(told.calls) != 1 || told.calls[0].Err == nil || told.calls[0].Attempts != 0 || body.closes.Load() != 1 {
			t.Errorf("%s: %v, %v, told %+v, %d closes; want the error of net/http, told once, one close", name, resp, err, told.calls, body.closes.Load())
		}
	}
}

// With an AttemptTimeout too an upgraded connection can be written, and its
// sending half be closed on its own.
func TestUpgradeUnderAttemptTimeout(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
		b, _ := io.ReadAll(rw) // to the end of the client's half
		conn.Write(bytes.ToUpper(b))
	}))
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	rt := build(t, base, transport.WithPolicy(transport.Policy{AttemptTimeout: time.Minute}))
	req, _ := http.NewRequest("GET", srv.URL, nil)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "echo")
	resp, err := rt.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	conn, ok := resp.Body.(interface {
		io.ReadWriteCloser
		CloseWrite() error
	})
	if !ok {
		t.Fatalf("the body is a %T, which cannot be written or half-closed", resp.Body)
	}
	if _, err := io.WriteString(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(conn); string(got) != "HELLO" || err != nil {
		t.Errorf("got %q, %v; want HELLO", got, err)
	}

	a, b := net.Pipe() // a connection that has no halves
	defer b.Close()
	rt = build(t, transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 101, Header: http.Header{}, Body: a}, nil
	}), transport.WithPolicy(transport.Policy{AttemptTimeout: time.Minute}))
	resp, err = rt.RoundTrip(get(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := resp.Body.(interface{ CloseWrite() error }).CloseWrite(); !errors.Is(err, http.ErrNotSupported) {
		t.Errorf("CloseWrite = %v, want http.ErrNotSupported", err)
	}
}

// Layers and hooks of users may panic. It passes through, and nothing is left
// open or untold.
func TestPanicsLeakNothing(t *testing.T) {
	for _, tt := range []struct {
		name     string
		opts     []transport.Option
		base     http.RoundTripper
		answered int
	}{
		{name: "the base", base: transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { panic("boom") })},
		{name: "the service name", opts: []transport.Option{transport.WithServiceName(func(*http.Request) string { panic("boom") })}},
		{name: "the budget's func", opts: []transport.Option{transport.WithBudget(func(string) budget.Budget { panic("boom") })}},
		{name: "a withdrawal", opts: []transport.Option{(&purse{onWithdraw: func() { panic("boom") }}).option()}, answered: 1},
		{name: "CheckRetry", opts: []transport.Option{transport.WithCheckRetry(func(context.Context, *http.Response, error) (bool, error) { panic("boom") })}, answered: 1},
		{name: "the backoff", opts: []transport.Option{transport.WithBackoff(func(time.Duration, time.Duration, int, *http.Response) time.Duration { panic("boom") })}, answered: 1},
		{name: "OnAttempt", opts: []transport.Option{transport.WithObserver(transport.Observer{OnAttempt: func(context.Context, transport.AttemptEvent) { panic("boom") }})}, answered: 1},
		{name: "an attempt layer", opts: []transport.Option{transport.WithAttemptLayer(layer(func(http.RoundTripper, *http.Request) (*http.Response, error) { panic("boom") }))}},
		{name: "the second attempt", opts: []transport.Option{transport.WithAttemptLayer(layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if transport.Attempt(req.Context()) == 2 {
				panic("boom")
			}
			return next.RoundTrip(req)
		}))}, answered: 1},
	} {
		for _, rewindable := range []bool{false, true} {
			t.Run(fmt.Sprint(tt.name, ", GetBody ", rewindable), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					var told told
					answers := &bodies{codes: []int{503}}
					base := tt.base
					if base == nil {
						base = answers
					}
					var made []*source
					req := put(t, nil)
					fresh := func() (io.ReadCloser, error) {
						made = append(made, &source{Reader: strings.NewReader("hello")})
						return made[len(made)-1], nil
					}
					req.Body, _ = fresh()
					if rewindable {
						req.GetBody = fresh
					}
					p := &purse{}
					rt := build(t, base, append([]transport.Option{p.option(), told.option()}, tt.opts...)...)
					func() {
						defer func() {
							if p := recover(); p != "boom" {
								t.Errorf("recovered %v, want boom", p)
							}
						}()
						rt.RoundTrip(req)
					}()
					if len(answers.made) != tt.answered {
						t.Errorf("%d answers, want %d", len(answers.made), tt.answered)
					}
					for i, b := range answers.made {
						if b.closes == 0 {
							t.Errorf("answer %d is left open", i+1)
						}
					}
					for i, b := range made {
						if b.closes.Load() == 0 {
							t.Errorf("request body %d is left open", i+1)
						}
					}
					if len(told.calls) != 1 || told.calls[0].Err == nil || told.calls[0].Stop != transport.StopNotRetryable {
						t.Errorf("OnCall saw %+v, want one failure", told.calls)
					}
				})
			})
		}
	}
}

// Ten thousand calls whose every step is drawn by lot: an attempt is told once
// if it was sent and never if it was not, and a call once.
func TestExactlyOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent, told, inCalls, calls, deposits atomic.Int64
		var mu sync.Mutex
		lot := newLot()
		draw := func(n int) int { mu.Lock(); defer mu.Unlock(); return lot.IntN(n) }
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent.Add(1)
			if req.Body != nil {
				io.CopyN(io.Discard, req.Body, int64(draw(8)))
				req.Body.Close()
			}
			select {
			case <-time.After(time.Duration(draw(3)) * time.Millisecond):
			case <-req.Context().Done():
				return nil, context.Cause(req.Context())
			}
			switch draw(8) {
			case 0:
				panic("boom")
			case 1:
				return nil, io.ErrUnexpectedEOF
			case 2, 3, 4:
				return answering(503)(req)
			case 5:
				return answering(404)(req)
			}
			return answering(200)(req)
		})
		breaker := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) {
			if draw(8) == 0 {
				if req.Body != nil {
					req.Body.Close()
				}
				return nil, refusedFor(draw(20)) * refusedFor(time.Millisecond)
			}
			return next.RoundTrip(req)
		})
		b := &tally{draw: draw, deposits: &deposits}
		rt := build(t, base, transport.WithBreaker(breaker), transport.WithBudget(func(string) budget.Budget { return b }),
			transport.WithPolicy(transport.Policy{MaxAttempts: 4, BaseDelay: 8 * time.Millisecond, AttemptTimeout: 2 * time.Millisecond}),
			transport.WithObserver(transport.Observer{
				OnAttempt: func(context.Context, transport.AttemptEvent) { told.Add(1) },
				OnCall: func(_ context.Context, c transport.Call) {
					calls.Add(1)
					inCalls.Add(int64(c.Attempts))
					if c.Stop == "" {
						t.Errorf("a call without a reason: %+v", c)
					}
				},
			}))
		const each, workers = 1250, 8
		var answered, panicked atomic.Int64
		var wg sync.WaitGroup
		for range workers {
			wg.Go(func() {
				for range each {
					func() {
						ctx, cancel := context.WithCancel(t.Context())
						defer cancel()
						if draw(3) == 0 {
							defer time.AfterFunc(time.Duration(draw(20))*time.Millisecond, cancel).Stop()
						}
						req, _ := http.NewRequestWithContext(ctx, "PUT", "http://api.test/", nil)
						body := &source{Reader: strings.NewReader("hello")}
						if draw(2) == 0 {
							req.Body = body
						}
						defer func() {
							if p := recover(); p != nil {
								panicked.Add(1)
							}
							if req.Body != nil && body.closes.Load() != 1 {
								t.Errorf("a body was closed %d times", body.closes.Load())
							}
						}()
						resp, err := rt.RoundTrip(req)
						if (resp == nil) == (err == nil) {
							t.Errorf("got %v and %v", resp, err)
						}
						if err == nil {
							resp.Body.Close()
							answered.Add(1)
						}
					}()
				}
			})
		}
		wg.Wait()
		if s := sent.Load(); told.Load() != s || inCalls.Load() != s || calls.Load() != each*workers {
			t.Errorf("%d attempts: OnAttempt told of %d, the calls add up to %d, and OnCall of %d calls, want %d", s, told.Load(), inCalls.Load(), calls.Load(), each*workers)
		}
		if paid := b.withdrawn.Load() - b.refunded.Load(); paid != sent.Load()-deposits.Load() {
			t.Errorf("paid for %d attempts, want the %d that were not the first", paid, sent.Load()-deposits.Load())
		}
		if answered.Load() < 1000 || panicked.Load() < 1000 {
			t.Errorf("only %d answers and %d panics: the lots are no test", answered.Load(), panicked.Load())
		}
	})
}

// tally is a budget that draws lots and keeps count.
type tally struct {
	draw                func(int) int
	deposits            *atomic.Int64
	withdrawn, refunded atomic.Int64
}

func (b *tally) Deposit() { b.deposits.Add(1) }
func (b *tally) Refund()  { b.refunded.Add(1) }
func (b *tally) Withdraw() bool {
	if b.draw(4) == 0 {
		return false
	}
	b.withdrawn.Add(1)
	return true
}

func newLot() *rand.Rand { return rand.New(rand.NewPCG(rand.Uint64(), 0)) }
