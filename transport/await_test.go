package transport_test

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// What happens between two attempts: paying, waiting, and leaving.

func (p *purse) option() transport.Option {
	return transport.WithBudget(func(string) budget.Budget { return p })
}

// answerBody tells when it was closed.
type answerBody struct {
	io.Reader
	closes int
}

func (b *answerBody) Close() error { b.closes++; return nil }

// bodies is a base that keeps the bodies of its answers.
type bodies struct {
	codes []int
	made  []*answerBody
}

func (b *bodies) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		io.Copy(io.Discard, req.Body)
		req.Body.Close()
	}
	body := &answerBody{Reader: strings.NewReader("answer")}
	b.made = append(b.made, body)
	return &http.Response{StatusCode: b.codes[min(len(b.made), len(b.codes))-1], Header: http.Header{}, Body: body, ContentLength: 6, Request: req}, nil
}

// A budget that refuses is asked once more after the wait, and until it grants
// the response stays open.
func TestSecondWithdrawAfterTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &bodies{codes: []int{503}}
		p := &purse{refuseFirst: true}
		start := time.Now()
		var asked []time.Duration
		p.onWithdraw = func() {
			asked = append(asked, time.Since(start))
			if last := base.made[len(base.made)-1]; last.closes != 0 {
				t.Errorf("the answer was given up before the budget granted another attempt")
			}
		}
		resp, err := build(t, base, p.option(), steady(time.Second)).RoundTrip(get(t, t.Context()))
		if err != nil || text(t, resp) != "answer" {
			t.Fatal(resp, err)
		}
		call, _ := transport.CallOf(resp)
		if call.Attempts != 3 || p.deposits != 1 || p.withdrawn != 2 || p.refunded != 0 {
			t.Errorf("%d attempts for %d withdrawals and %d deposits, want 3, 2 and 1", call.Attempts, p.withdrawn, p.deposits)
		}
		want := []time.Duration{0, time.Second, time.Second, 2 * time.Second}
		if len(asked) != 4 || asked[0] != want[0] || asked[1] != want[1] || asked[2] != want[2] || asked[3] != want[3] {
			t.Errorf("asked at %v, want %v", asked, want)
		}
		for i, b := range base.made {
			if b.closes != 1 {
				t.Errorf("body %d was closed %d times, want once", i+1, b.closes)
			}
		}
	})
}

// A refusal is not slept on for as long as a server may ask for.
func TestNoLongWaitForARefusedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &purse{refuse: true}
		base := &script{answers: []answer{{status: 503, header: head("Retry-After", "20")}}}
		start := time.Now()
		resp, err := build(t, base, p.option()).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); call.Stop != transport.StopBudget || time.Since(start) != 0 || p.asked != 1 {
			t.Errorf("stop %q after %v and %d questions, want budget at once", call.Stop, time.Since(start), p.asked)
		}
	})
}

func TestWithoutABudget(t *testing.T) {
	for name, opt := range map[string]transport.Option{
		"a nil func":            transport.WithBudget(nil),
		"a func returning nil":  transport.WithBudget(func(string) budget.Budget { return nil }),
		"the last option wins":  func() transport.Option { return transport.WithBudget(nil) }(),
		"one that always gives": (&purse{}).option(),
	} {
		synctest.Test(t, func(t *testing.T) {
			rt := build(t, answering(503), (&purse{refuse: true}).option(), opt)
			for range 100 {
				resp, err := rt.RoundTrip(get(t, t.Context()))
				if err != nil {
					t.Fatal(err)
				}
				if call, _ := transport.CallOf(resp); call.Attempts != 3 {
					t.Fatalf("%s: %d attempts, want 3", name, call.Attempts)
				}
			}
		})
	}
}

// The default budget lets a first call be retried and ends a storm.
func TestDefaultBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		rt := build(t, transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			return answering(503)(req)
		}), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
		stops := map[transport.StopReason]int{}
		for range 1000 {
			resp, err := rt.RoundTrip(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			call, _ := transport.CallOf(resp)
			stops[call.Stop]++
		}
		if sent < 1003 || sent > 1010 {
			t.Errorf("%d requests for 1000 calls that all fail, want 1000 and the stock: %v", sent, stops)
		}
	})
}

// refuser is a breaker that refuses the given tries, counted from 1.
type refuser struct {
	next    http.RoundTripper
	tries   int
	refuse  map[int]time.Duration
	openFor time.Duration
}

func (r *refuser) wrap(next http.RoundTripper) http.RoundTripper { r.next = next; return r }

func (r *refuser) RoundTrip(req *http.Request) (*http.Response, error) {
	r.tries++
	if d, ok := r.refuse[r.tries]; ok {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, refusedFor(d)
	}
	return r.next.RoundTrip(req)
}

func (r *refuser) OpenFor(*http.Request) time.Duration { return r.openFor }

type refusedFor time.Duration

func (r refusedFor) Error() string             { return "refused for " + time.Duration(r).String() }
func (r refusedFor) RefusedFor() time.Duration { return time.Duration(r) }

// What is paid for but not sent is paid back, and not paid for twice.
func TestBudgetOfRefusedAttempts(t *testing.T) {
	for _, tt := range []struct {
		name     string
		refuse   map[int]time.Duration
		openFor  time.Duration
		answers  []answer
		attempts int
		cost     int
		stop     transport.StopReason
		status   int
		is       error
	}{
		{name: "open after the first answer", refuse: map[int]time.Duration{2: time.Hour}, answers: statuses(503), attempts: 1, cost: 0, stop: transport.StopBreakerOpen, status: 503},
		{name: "and asked before", openFor: time.Hour, answers: statuses(503), attempts: 1, cost: 0, stop: transport.StopBreakerOpen, status: 503},
		{name: "open after the first error", openFor: time.Hour, answers: []answer{{err: io.ErrUnexpectedEOF}}, attempts: 1, cost: 0, stop: transport.StopBreakerOpen, is: io.ErrUnexpectedEOF},
		{name: "closing within the wait", refuse: map[int]time.Duration{2: time.Second}, answers: statuses(503, 200), attempts: 2, cost: 1, stop: transport.StopSucceeded, status: 200},
		{name: "closing at last", refuse: map[int]time.Duration{2: 1, 3: 1, 4: 1}, answers: statuses(503, 200), attempts: 2, cost: 1, stop: transport.StopSucceeded, status: 200},
		{name: "refused up to the last try", refuse: map[int]time.Duration{2: 1, 3: 1, 4: 1, 5: 1}, answers: statuses(503, 200), attempts: 1, cost: 0, stop: transport.StopBreakerOpen, status: 503},
		{name: "refused at once", refuse: map[int]time.Duration{1: time.Hour}, answers: statuses(200), attempts: 0, cost: 0, stop: transport.StopBreakerOpen, is: refusedFor(time.Hour)},
		{name: "refused first, then sent", refuse: map[int]time.Duration{1: time.Second}, answers: statuses(200), attempts: 1, cost: 0, stop: transport.StopSucceeded, status: 200},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := &purse{}
				var calls []transport.Call
				breaker := &refuser{refuse: tt.refuse, openFor: tt.openFor}
				rt := build(t, &script{answers: tt.answers}, p.option(), steady(time.Second), transport.WithBreaker(breaker.wrap),
					transport.WithPolicy(transport.Policy{MaxAttempts: 5}),
					transport.WithObserver(transport.Observer{OnCall: func(_ context.Context, c transport.Call) { calls = append(calls, c) }}))
				body := &source{Reader: strings.NewReader("hello")}
				resp, err := rt.RoundTrip(put(t, body))
				switch {
				case tt.is != nil:
					if !errors.Is(err, tt.is) {
						t.Errorf("%v, want %v", err, tt.is)
					}
				case err != nil || resp.StatusCode != tt.status || text(t, resp) != http.StatusText(tt.status):
					t.Errorf("%v, %v; want a %d with its body", resp, err, tt.status)
				}
				if len(calls) != 1 || calls[0].Attempts != tt.attempts || calls[0].Stop != tt.stop {
					t.Errorf("OnCall saw %+v, want %d attempts and %s", calls, tt.attempts, tt.stop)
				}
				if cost := p.withdrawn - p.refunded; cost != tt.cost {
					t.Errorf("%d withdrawn and %d refunded, want a cost of %d", p.withdrawn, p.refunded, tt.cost)
				}
				if want := min(tt.attempts, 1); p.deposits != want {
					t.Errorf("%d deposits, want %d", p.deposits, want)
				}
				if n := body.closes.Load(); n != 1 {
					t.Errorf("the caller's body was closed %d times, want once", n)
				}
			})
		})
	}
}

// The caller may leave at any moment. What came is closed, what was paid is
// paid back, and the error says both why and after what.
func TestCancelledAtEachPoint(t *testing.T) {
	cause := errors.New("user left")
	for _, tt := range []struct {
		name   string
		at     time.Duration
		refuse bool
		stop   transport.StopReason
		sent   int
	}{
		{"before it starts", 0, false, transport.StopCancelled, 1},
		{"in the first attempt", 500 * time.Millisecond, false, transport.StopCancelled, 1},
		{"in the first wait", 1500 * time.Millisecond, false, transport.StopCancelled, 1},
		{"in the second attempt", 2500 * time.Millisecond, false, transport.StopCancelled, 2},
		{"in the second wait", 3500 * time.Millisecond, false, transport.StopCancelled, 2},
		{"in the wait for a budget", 1500 * time.Millisecond, true, transport.StopCancelled, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				timer := time.AfterFunc(tt.at, func() { cancel(cause) })
				defer timer.Stop()
				if tt.at == 0 {
					cancel(cause)
				}
				answers := &bodies{codes: []int{503}}
				sent := 0
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					sent++
					select {
					case <-time.After(time.Second):
						return answers.RoundTrip(req)
					case <-req.Context().Done():
						req.Body.Close()
						return nil, context.Cause(req.Context())
					}
				})
				p := &purse{refuse: tt.refuse}
				req := put(t, nil).WithContext(ctx)
				body := &source{Reader: strings.NewReader("hello")}
				req.Body = body
				var told told
				resp, err := build(t, base, p.option(), told.option(), steady(time.Second)).RoundTrip(req)
				if c := told.calls[0]; resp != nil || !errors.Is(err, cause) || c.Stop != tt.stop || c.Attempts != tt.sent || sent != tt.sent {
					t.Errorf("%v, %v after %d attempts; want %s after %d, for the cause", resp, err, sent, tt.stop, tt.sent)
				}
				passedOn := tt.at < time.Second
				if e := new(transport.Error); errors.As(err, &e) == passedOn || passedOn && err != cause {
					t.Errorf("%#v; want the error of the base itself %v, else an *Error", err, passedOn)
				}
				if waiting := strings.Contains(tt.name, "wait"); waiting && (!errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "user left while waiting after: last answer 503")) {
					t.Errorf("%v does not say what it waited for", err)
				}
				for i, b := range answers.made {
					if b.closes == 0 {
						t.Errorf("answer %d was not closed", i+1)
					}
				}
				if body.closes.Load() != 1 {
					t.Errorf("the caller's body was closed %d times, want once", body.closes.Load())
				}
				if cost := p.withdrawn - p.refunded; cost != tt.sent-1 {
					t.Errorf("paid for %d attempts, want the %d that were repeated", cost, tt.sent-1)
				}
			})
		})
	}
}

// A context that ends without having said when, or why.
type mute struct {
	context.Context
	done chan struct{}
}

func (m mute) Deadline() (time.Time, bool) { return time.Time{}, false }
func (m mute) Done() <-chan struct{}       { return m.done }
func (m mute) Err() error {
	select {
	case <-m.done:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

func TestContextThatHidesItsDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		ctx := mute{parent, make(chan struct{})}
		time.AfterFunc(time.Second, func() { close(ctx.done) })
		_, err := build(t, answering(503), steady(2*time.Second)).RoundTrip(get(t, ctx))
		var e *transport.Error
		if !errors.As(err, &e) || e.Stop != transport.StopDeadline || !errors.Is(err, context.DeadlineExceeded) || !e.Timeout() {
			t.Errorf("%v, want a timeout stopped by deadline", err)
		}
		if strings.Contains(err.Error(), "nil") {
			t.Errorf("the error names no cause: %v", err)
		}
	})
}

// http.Client's own Timeout is a deadline like any other: a wait that reaches
// it is not begun.
func TestClientTimeoutIsADeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := build(t, answering(503), steady(2*time.Second))
		client := &http.Client{Transport: rt, Timeout: time.Second}
		start := time.Now()
		resp, err := client.Get("http://api.test/")
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		if got := text(t, resp); call.Stop != transport.StopDeadline || got != "a body" || time.Since(start) != 0 {
			t.Errorf("%+v, %q after %v; want the response at once, stopped by deadline", call, got, time.Since(start))
		}
	})
}

// While a refused budget is waited for, the base may go on sending the body
// that the answer is to: that answer may be all that there will be.
func TestUploadGoesOnUnderARefusedBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "hello, ")
			time.Sleep(time.Second)
			io.WriteString(w, "world")
			w.Close()
		}()
		got := make(chan string, 1)
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			go func() {
				b, err := io.ReadAll(req.Body)
				req.Body.Close()
				if err != nil {
					b = append(b, err.Error()...)
				}
				got <- string(b)
			}()
			synctest.Wait()
			return answering(503)(req)
		})
		p := &purse{refuse: true}
		resp, err := build(t, base, p.option(), steady(500*time.Millisecond)).RoundTrip(put(t, r))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); call.Stop != transport.StopBudget {
			t.Errorf("stopped by %s, want budget", call.Stop)
		}
		if body := <-got; body != "hello, world" {
			t.Errorf("the base sent %q, want all of it", body)
		}
	})
}

// And if by then it has sent more than is kept, there is no other attempt.
func TestUploadThatOutgrowsReplayInTheWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := io.Pipe()
		go func() {
			io.WriteString(w, "hell")
			time.Sleep(time.Second)
			io.WriteString(w, "o, world")
			w.Close()
		}()
		sent := 0
		base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			go func() {
				io.Copy(io.Discard, req.Body)
				req.Body.Close()
			}()
			synctest.Wait()
			return answering(503)(req)
		})
		p := &purse{refuseFirst: true}
		resp, err := build(t, base, p.option(), steady(2*time.Second), transport.WithPolicy(transport.Policy{MaxReplayBytes: 6})).RoundTrip(put(t, r))
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		if got := text(t, resp); call.Stop != transport.StopBody || got != "a body" || sent != 1 || p.withdrawn != p.refunded {
			t.Errorf("%+v, %q after %d attempts, %d paid and %d paid back; want the response, stopped by body", call, got, sent, p.withdrawn, p.refunded)
		}
	})
}

func TestGetBodyWithoutABody(t *testing.T) {
	req := put(t, strings.NewReader("hello"))
	req.GetBody = func() (io.ReadCloser, error) { return nil, nil }
	base := &script{answers: statuses(503)}
	resp, err := build(t, base, unlimited()).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	if call, _ := transport.CallOf(resp); call.Stop != transport.StopBody || len(base.seen) != 1 {
		t.Errorf("%+v, want one attempt, stopped by body", call)
	}
}

func TestNoStatusesMeansErrorsOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		base := &script{answers: []answer{{err: io.ErrUnexpectedEOF}, {status: 503}, {status: 200}}}
		resp, err := build(t, base, transport.WithPolicy(transport.Policy{Statuses: []int{}})).RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		if call, _ := transport.CallOf(resp); resp.StatusCode != 503 || call.Attempts != 2 || call.Stop != transport.StopNotRetryable {
			t.Errorf("%d after %+v, want the 503 of the second attempt", resp.StatusCode, call)
		}
	})
}

// The channel that contexts took the place of: what it ended is not begun
// again.
func TestRequestCancel(t *testing.T) {
	srv := newRawServer(t, func(conn net.Conn, _ int) { untilClosed(conn) })
	defer srv.end()
	base := &http.Transport{}
	defer base.CloseIdleConnections()
	cancel := make(chan struct{})
	req, _ := http.NewRequest("GET", "http://"+srv.Addr().String(), nil)
	//lint:ignore SA1019 deprecated, and still in use
	req.Cancel = cancel
	go func() {
		for srv.count.Load() == 0 {
			runtime.Gosched()
		}
		close(cancel)
	}()
	var told told
	_, err := build(t, base, unlimited(), told.option()).RoundTrip(req)
	if c := told.calls[0]; err == nil || c.Attempts != 1 || c.Stop != transport.StopNotRetryable {
		t.Errorf("%v after %+v, want one attempt", err, c)
	}
}

// The longest times there are neither overflow nor panic: they are longer than
// the deadline, as every other long time is.
func TestEndlessTimes(t *testing.T) {
	const endless = time.Duration(math.MaxInt64)
	failing := errors.New("failing")
	for name, tt := range map[string]struct {
		policy transport.Policy
		err    error
	}{
		"backoff":     {transport.Policy{BaseDelay: endless, MaxDelay: endless}, failing},
		"cap":         {transport.Policy{BaseDelay: 1, MaxDelay: endless, MaxAttempts: 100}, failing},
		"retry after": {transport.Policy{MaxRetryAfter: endless}, transport.RetryAfter(failing, endless)},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for range 20 { // the jitter is random
					ctx, cancel := context.WithTimeout(t.Context(), time.Second)
					_, err := transport.Do(ctx, tt.policy, func(context.Context) (int, error) { return 0, tt.err })
					cancel()
					var e *transport.Error
					if !errors.As(err, &e) || e.Stop != transport.StopDeadline {
						t.Fatalf("got %v, want the call to end for its deadline", err)
					}
				}
			})
		})
	}
}
