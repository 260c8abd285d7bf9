package transport_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
	"go.uber.org/goleak"
)

// crowd counts the attempts that are in flight, bodies included.
type crowd struct {
	latency time.Duration
	status  func(n int64) int
	body    func() io.Reader // nil: none

	now, most, sent atomic.Int64
}

func (c *crowd) RoundTrip(req *http.Request) (*http.Response, error) {
	n := c.sent.Add(1)
	for now := c.now.Add(1); ; {
		most := c.most.Load()
		if now <= most || c.most.CompareAndSwap(most, now) {
			break
		}
	}
	select {
	case <-time.After(c.latency):
	case <-req.Context().Done():
		c.now.Add(-1)
		return nil, req.Context().Err()
	}
	resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
	if c.status != nil {
		resp.StatusCode = c.status(n)
	}
	if c.body == nil {
		c.now.Add(-1)
		return resp, nil
	}
	resp.Body = &departing{Reader: c.body(), leave: sync.OnceFunc(func() { c.now.Add(-1) })}
	return resp, nil
}

type departing struct {
	io.Reader
	leave func()
}

func (l *departing) Read(p []byte) (int, error) {
	n, err := l.Reader.Read(p)
	if err != nil {
		l.leave()
	}
	return n, err
}
func (l *departing) Close() error { l.leave(); return nil }

// However calls end, no more than 5 are in flight, all get their turn in the order in
// which they came, and no place is lost.
func TestInFlight(t *testing.T) {
	failing := errors.New("no answer")
	for _, tt := range []struct {
		name string
		base *crowd
		opts []transport.Option
		call func(*http.Response, error)
	}{
		{"no body", &crowd{}, nil, nil},
		{"bodies that are read", &crowd{body: func() io.Reader { return strings.NewReader("x") }}, nil, func(resp *http.Response, _ error) {
			time.Sleep(time.Second)
			io.Copy(io.Discard, resp.Body)
		}},
		{"bodies that are closed", &crowd{body: func() io.Reader { return strings.NewReader("x") }}, nil, func(resp *http.Response, _ error) {
			time.Sleep(time.Second)
			resp.Body.Close()
			resp.Body.Close()
		}},
		{"retries", &crowd{status: func(n int64) int { return 200 + 303*int(n%2) }, body: func() io.Reader { return strings.NewReader("x") }},
			[]transport.Option{transport.WithBudget(nil)}, func(resp *http.Response, _ error) { resp.Body.Close() }},
		{"second copies", &crowd{body: func() io.Reader { return strings.NewReader("x") }},
			[]transport.Option{transport.WithBudget(nil), transport.WithHedging(transport.Hedge{Delay: 50 * time.Millisecond, Ratio: 1})},
			func(resp *http.Response, _ error) { io.Copy(io.Discard, resp.Body); resp.Body.Close() }},
		{"errors", &crowd{}, []transport.Option{transport.WithAttemptLayer(func(next http.RoundTripper) http.RoundTripper {
			return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
				next.RoundTrip(req)
				return nil, transport.Permanent(failing)
			})
		})}, func(_ *http.Response, err error) {
			if !errors.Is(err, failing) {
				panic(err)
			}
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				base := tt.base
				base.latency = 100 * time.Millisecond
				rt := build(t, base, append(tt.opts, transport.WithInFlight(5), transport.WithoutGuard())...)
				for range 3 {
					var wg sync.WaitGroup
					for range 50 {
						wg.Go(func() {
							resp, err := rt.RoundTrip(get(t, t.Context()))
							if tt.call != nil {
								tt.call(resp, err)
							}
						})
					}
					wg.Wait()
				}
				if most := base.most.Load(); most != 5 || base.now.Load() != 0 || base.sent.Load() < 150 {
					t.Errorf("%d in flight at a time, %d at the end, %d in all, want 5, none and at least 150", most, base.now.Load(), base.sent.Load())
				}
			})
		})
	}
}

// First come, first served; who has left is passed over; what waits past its time ends
// with in_flight and takes no place.
func TestInFlightIsALine(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	synctest.Test(t, func(t *testing.T) {
		base := &crowd{latency: time.Second}
		rt := build(t, base, transport.WithInFlight(1), transport.WithServicePolicy("short.test", transport.Policy{MaxThrottle: 1500 * time.Millisecond}))
		start := time.Now()
		var wg sync.WaitGroup
		for i, tt := range []struct {
			host     string
			deadline time.Duration
			cancel   time.Duration
			ends     time.Duration
			stop     transport.StopReason
		}{
			{"api.test", 0, 0, time.Second, ""},
			{"api.test", 500 * time.Millisecond, 0, 500 * time.Millisecond, transport.StopInFlight},
			{"api.test", 0, 700 * time.Millisecond, 700 * time.Millisecond, transport.StopCancelled},
			{"api.test", 0, 0, 2 * time.Second, ""},
			{"short.test", 0, 0, time.Second, ""}, // has a line of its own
			{"short.test", 0, 0, 2 * time.Second, ""},
			{"short.test", 0, 0, 1500 * time.Millisecond, transport.StopInFlight},
			{"api.test", 0, 0, 3 * time.Second, ""},
		} {
			time.Sleep(time.Microsecond)
			wg.Go(func() {
				ctx, cancel := context.WithCancel(t.Context())
				if tt.deadline > 0 {
					ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				}
				defer cancel()
				if tt.cancel > 0 {
					time.AfterFunc(tt.cancel, cancel)
				}
				body := &source{Reader: strings.NewReader("x")}
				req, err := http.NewRequestWithContext(ctx, "PUT", "http://"+tt.host+"/", body)
				if err != nil {
					t.Error(err)
				}
				resp, err := rt.RoundTrip(req)
				if got := time.Since(start).Round(time.Millisecond); got != tt.ends {
					t.Errorf("call %d: after %v, want %v", i, got, tt.ends)
				}
				if tt.stop == "" {
					if call, _ := transport.CallOf(resp); err != nil || call.Waited.Round(time.Second) != tt.ends-time.Second {
						t.Errorf("call %d: waited %v, %v, want %v", i, call.Waited, err, tt.ends-time.Second)
					}
					return
				}
				var failed *transport.Error
				if !errors.As(err, &failed) || failed.Stop != tt.stop || failed.Attempts != 0 {
					t.Errorf("call %d: %v, want stop %s", i, err, tt.stop)
				}
				if late := tt.deadline > 0; errors.Is(err, context.DeadlineExceeded) != late || failed.Timeout() != late {
					t.Errorf("call %d: %v, a timeout %v, want %v", i, err, failed.Timeout(), late)
				}
				if body.closes.Load() != 1 {
					t.Errorf("call %d: the body was closed %d times, want once", i, body.closes.Load())
				}
			})
		}
		wg.Wait()
		if sent := base.sent.Load(); sent != 5 {
			t.Errorf("%d attempts, want 5", sent)
		}
	})
}

// A retry that finds no place until its time is over leaves its call with the response
// before. A panic gives its place back.
func TestInFlightKeepsTheResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hold := make(chan bool)
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			resp := &http.Response{StatusCode: 200, Header: http.Header{}, Body: http.NoBody, Request: req}
			switch req.URL.Path {
			case "/panic":
				panic("bug")
			case "/hold":
				<-hold
			case "/fails":
				resp.StatusCode = 503
			}
			return resp, nil
		})
		rt := build(t, base, transport.WithInFlight(1), transport.WithPolicy(transport.Policy{MaxThrottle: time.Second, BaseDelay: 100 * time.Millisecond}))
		send := func(path string) (*http.Response, error) {
			req, err := http.NewRequest("GET", "http://api.test"+path, nil)
			if err != nil {
				t.Error(err)
			}
			return rt.RoundTrip(req)
		}
		func() {
			defer func() { recover() }()
			send("/panic")
		}()
		done := make(chan transport.Call)
		go func() {
			resp, err := send("/fails")
			if err != nil || resp.StatusCode != 503 {
				t.Errorf("got %v, %v, want the 503", resp, err)
			}
			call, _ := transport.CallOf(resp)
			done <- call
		}()
		synctest.Wait() // it waits for its retry
		go send("/hold")
		if call := <-done; call.Stop != transport.StopInFlight || call.Attempts != 1 {
			t.Errorf("got %+v, want one attempt and stop in_flight", call)
		}
		close(hold)
		synctest.Wait()
		if resp, err := send("/"); err != nil || resp.StatusCode != 200 {
			t.Errorf("got %v, %v, want a place", resp, err)
		}
	})
}

// In a dry run nothing waits, and what found no place says so.
func TestInFlightInADryRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &crowd{latency: time.Second}
		rt := build(t, base, transport.WithInFlight(2), transport.WithDryRun())
		for range 2 {
			var wg sync.WaitGroup
			var would atomic.Int64
			start := time.Now()
			for range 5 {
				wg.Go(func() {
					resp, err := rt.RoundTrip(get(t, t.Context()))
					if err != nil {
						t.Error(err)
					}
					if call, _ := transport.CallOf(resp); call.WouldRefuse == transport.StopInFlight {
						would.Add(1)
					}
				})
			}
			wg.Wait()
			if would.Load() != 3 || time.Since(start) != time.Second {
				t.Errorf("%d would have been refused, after %v, want 3 after 1 s", would.Load(), time.Since(start))
			}
		}
	})
}

// A place is kept until the body of a real response has ended, also that of an upgrade,
// and a download that nobody reads holds up no other service.
func TestInFlightUntilTheBodyEnds(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") != "" {
			w.Header().Set("Connection", "Upgrade")
			w.Header().Set("Upgrade", "echo")
			w.WriteHeader(http.StatusSwitchingProtocols)
			return
		}
		w.Write(make([]byte, 1<<20))
	}))
	defer srv.Close()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	rt := build(t, base, transport.WithInFlight(1), transport.WithPolicy(transport.Policy{MaxThrottle: 20 * time.Millisecond}))
	send := func(upgrade string) (*http.Response, error) {
		req, err := http.NewRequest("GET", srv.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		if upgrade != "" {
			req.Header.Set("Connection", "Upgrade")
			req.Header.Set("Upgrade", upgrade)
		}
		return rt.RoundTrip(req)
	}
	for _, upgrade := range []string{"", "echo", ""} {
		held, err := send(upgrade)
		if err != nil {
			t.Fatalf("%q: %v", upgrade, err)
		}
		var failed *transport.Error
		if _, err := send(""); !errors.As(err, &failed) || failed.Stop != transport.StopInFlight {
			t.Errorf("%q: got %v, want no place while the body is open", upgrade, err)
		}
		held.Body.Close()
	}
}

func TestInFlightInvalid(t *testing.T) {
	for _, n := range []int{0, -1} {
		if _, err := transport.New(nil, transport.WithInFlight(n)); err == nil || !strings.Contains(err.Error(), "WithInFlight(") {
			t.Errorf("WithInFlight(%d): got %v, want an error that names it", n, err)
		}
	}
	if _, err := transport.New(nil, transport.WithPacing(transport.Pacing{MaxWaiters: -1}), transport.WithInFlight(0)); err == nil ||
		!strings.Contains(err.Error(), "WithPacing: Pacing.MaxWaiters -1") || !strings.Contains(err.Error(), "WithInFlight(0)") {
		t.Errorf("got %v, want both options named", err)
	}
}
