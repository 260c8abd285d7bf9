package transport_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/transport"
)

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
			case <-after(time.Duration(draw(3)) * time.Millisecond):
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
		rt := build(t, base, transport.WithoutGuard(), // or it would hold most of them back
			transport.WithBreaker(breaker), transport.WithBudget(func(string) budget.Budget { return b }),
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
		// The guard may throttle some, since so many attempts time out.
		if answered.Load() < 300 || panicked.Load() < 300 {
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
