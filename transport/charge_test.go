package transport_test

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

// What happens between two attempts: paying and waiting.

func (p *purse) option() transport.DoOption {
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
		base := &script{answers: []reply{{status: 503, header: head("Retry-After", "20")}}}
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
		answers  []reply
		attempts int
		cost     int
		stop     transport.StopReason
		status   int
		is       error
	}{
		{name: "open after the first answer", refuse: map[int]time.Duration{2: time.Hour}, answers: statuses(503), attempts: 1, cost: 0, stop: transport.StopBreakerOpen, status: 503},
		{name: "and asked before", openFor: time.Hour, answers: statuses(503), attempts: 1, cost: 0, stop: transport.StopBreakerOpen, status: 503},
		{name: "open after the first error", openFor: time.Hour, answers: []reply{{err: io.ErrUnexpectedEOF}}, attempts: 1, cost: 0, stop: transport.StopBreakerOpen, is: io.ErrUnexpectedEOF},
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

// Where retries help, the budget lets every call have them; where they do not,
// it soon lets nobody.
func TestEvidence(t *testing.T) {
	for _, tt := range []struct {
		name    string
		fail    float64
		hang    float64
		success float64 // of the calls, at least
		extra   float64 // attempts per call beyond the first, at most
	}{
		{name: "no errors", success: 1, extra: 0.001},
		{name: "5 % errors", fail: 0.05, success: 0.9995, extra: 0.07},
		{name: "20 % errors", fail: 0.2, success: 0.997, extra: 0.27},
		{name: "5 % hangs", hang: 0.05, success: 0.9995, extra: 0.07},
		{name: "nothing works", fail: 1, extra: 0.1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFarm(50, exponential(20*time.Millisecond))
				defer f.close()
				var sent atomic.Int64
				base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					sent.Add(1)
					switch x := rand.Float64(); {
					case x < tt.fail:
						return nil, errors.New("connection reset")
					case x < tt.fail+tt.hang:
						<-req.Context().Done()
						return nil, req.Context().Err()
					}
					return f.RoundTrip(req)
				})
				evidence, err := budget.PerService(budget.Policy{Ratio: 0.05, MinPerSecond: 1, Evidence: true}, 10)
				if err != nil {
					t.Fatal(err)
				}
				clients := guarded(t, base, 5, transport.WithBudget(evidence))
				began, succeeded := drive(t, clients, 150, 200) // so that chance moves the shares by less than 0.0003
				calls, good := 0, 0
				for i := range began {
					calls += began[i]
					good += succeeded[i]
				}
				success, extra := float64(good)/float64(calls), float64(sent.Load())/float64(calls)-1
				t.Logf("success %.4f, extra %.4f", success, extra)
				if success < tt.success || extra > tt.extra {
					t.Errorf("success %.4f with %.3f more attempts, want at least %v with at most %v", success, extra, tt.success, tt.extra)
				}
			})
		})
	}
}
