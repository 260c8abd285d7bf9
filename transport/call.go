package transport

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers/service"
)

// A Call describes one RoundTrip, or one [Do].
type Call struct {
	Service  string
	Method   string        // "" for Do
	Attempts int           // how many attempts were sent; more while a body is continued, see WithResume
	Waited   time.Duration // the time spent waiting, between attempts or for the first
	Paused   time.Duration // of that, since the server had told another call to wait; see WithPacing
	Elapsed  time.Duration // from the start to the response header; 0 without observers
	Stop     StopReason    // why there was no further attempt
	Status   int           // of the response returned; 0 with an error
	Err      error         // the last error; nil with a response

	// What the chain would have done, in a dry run.
	WouldRefuse  StopReason    // refuse the first attempt: guard, breaker_open, retry_after or in_flight, else ""
	WouldRetry   bool          // make another attempt
	WouldHedge   bool          // send a second copy
	WouldTimeOut bool          // end the attempt at AttemptTimeout
	WouldWait    time.Duration // wait before the first attempt; see WithPacing
}

// Attempt returns the number of the attempt that ctx belongs to. It is 1 for the first
// and 0 outside a chain. Layers below the retry loop find it in the context of the
// request, and the operation of [Do] in its own.
func Attempt(ctx context.Context) int {
	if a, ok := attemptIn(ctx); ok {
		return int(a.number)
	}
	return 0
}

// CallOf returns what happened before this response was returned. It reports false for
// a response that did not come through a chain.
//
// An [http.Transport] below the chain may send a request again by itself, if a kept
// connection breaks before the response begins: a GET, HEAD, OPTIONS or TRACE, one with
// an idempotency key, or one of which nothing was written. That counts as one attempt.
// Only the server and httptrace see it.
func CallOf(resp *http.Response) (Call, bool) {
	if resp == nil || resp.Request == nil {
		return Call{}, false
	}
	a, ok := attemptIn(resp.Request.Context())
	if !ok {
		return Call{}, false
	}
	return a.round.call.snapshot(), true
}

// CallIn returns what has happened so far in the call that ctx belongs to. The context
// is that of a request within a chain. After the layers below have returned, a call
// layer learns from it what the chain did about an error. It reports false outside a
// chain.
func CallIn(ctx context.Context) (Call, bool) {
	if c, ok := ctx.Value(callKey{}).(*call); ok {
		return c.snapshot(), true
	}
	if a, ok := attemptIn(ctx); ok {
		return a.round.call.snapshot(), true
	}
	return Call{}, false
}

// call is the state of one RoundTrip. A call layer may run the loop several times, even
// concurrently, so the record has a mutex.
type call struct {
	known  *known // nil for Do
	policy *Policy
	born   *time.Time    // what clock counts from; nil without observers
	start  time.Duration // by clock
	header atomic.Int64  // by clock, when the newest response came; 0 after it was set aside

	returned bool            // from RoundTrip, which alone writes and reads it
	mu       sync.Mutex      // guards what follows
	ctx      context.Context // as call layers passed it on; nil without any
	record   Call
}

// newCall sets what is decided once per call.
func (t *Transport) newCall(c *call, req *http.Request) {
	c.record.Method = methodOf(req)
	if len(t.observers) > 0 {
		c.born = &t.born
		c.start = c.clock()
	}
	c.record.Service = t.serviceOf(req)
	c.known, c.policy = t.services.find(c.record.Service)
}

// clock is monotonic and costs half of time.Now.
func (c *call) clock() time.Duration { return time.Since(*c.born) }

// answered records and returns the time of a response, which is now.
func (c *call) answered() time.Duration {
	now := c.clock()
	c.header.Store(int64(now))
	return now
}

// elapsed is the time up to the response in hand, or up to now without a response.
func (c *call) elapsed() time.Duration {
	if at := time.Duration(c.header.Load()); at > 0 {
		return at - c.start
	}
	return c.clock() - c.start
}

// passed records the context that the call layers passed on.
func (c *call) passed(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = ctx
}

// settle records what RoundTrip returns. Call layers may return something else than the
// loop did, or never run it.
func (c *call) settle(resp *http.Response, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned = true
	stop := StopNotRetryable
	switch {
	case err != nil:
		c.record.Status = 0
		if c.record.Err == nil || !errors.Is(err, c.record.Err) {
			c.record.Err = err
		}
	case resp != nil:
		c.record.Status, c.record.Err = resp.StatusCode, nil
		if resp.StatusCode < 400 {
			stop = StopSucceeded
		}
	}
	if c.record.Stop == "" {
		c.record.Stop = stop
	}
}

// end tells the observers, also after a panic.
func (c *call) end(ctx context.Context, of *url.URL, os observers) {
	if len(os) == 0 {
		return
	}
	c.mu.Lock()
	record := c.record
	if c.ctx != nil {
		ctx = c.ctx
	}
	c.mu.Unlock()
	if record.Elapsed == 0 { // the loop did not run
		record.Elapsed = c.elapsed()
	}
	if !c.returned {
		record.Stop, record.Status, record.Err = StopNotRetryable, 0, errPanic
	}
	if record.Err != nil && of != nil { // whose text may name it
		ctx = &urlCtx{ctx, of}
	}
	os.call(ctx, record)
}

// report adds the result of a round. Service and Method stay unchanged, because contexts
// give them out, where they are read without the lock, at times by a goroutine of the base
// that outlives the call.
func (c *call) report(r *round, stop StopReason, status int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.record.Attempts += int(r.sent.Load() - r.before)
	c.record.Waited += r.waited
	c.record.Paused += r.paused
	if r.before > 0 { // the call is over, and its body is continued
		return
	}
	c.record.Stop, c.record.Status, c.record.Err = stop, status, err
	if w := r.would; w != nil {
		c.record.WouldWait += w.wait
		c.record.WouldRetry = c.record.WouldRetry || w.retry
		c.record.WouldHedge = c.record.WouldHedge || w.hedge
		c.record.WouldTimeOut = c.record.WouldTimeOut || w.timeOut
		if w.refuse != "" {
			c.record.WouldRefuse = w.refuse
		}
	}
	if c.born != nil {
		c.record.Elapsed = c.elapsed()
	}
}

func (c *call) snapshot() Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record
}

// The contexts of the chain are also the state that their keys find, so that one
// allocation serves for both.
type (
	callKey    struct{}
	attemptKey struct{}
)

// callCtx is the context that call layers see.
type callCtx struct {
	context.Context
	call *call
}

func (c *callCtx) Value(key any) any {
	switch key.(type) {
	case callKey:
		return c.call
	case service.Key:
		return &c.call.record.Service
	}
	return c.Context.Value(key)
}

// attemptCtx is the context of an attempt.
type attemptCtx struct {
	context.Context
	round  *round
	number int32
	hedge  bool
	own    bool                    // its Header is no other attempt's, nor the caller's
	slow   bool                    // the guard saw it succeed, but late
	resp   *http.Response          // to close, should a layer above panic
	cancel context.CancelCauseFunc // ends it; nil without an AttemptTimeout
}

// attemptIn returns the attempt that ctx belongs to.
func attemptIn(ctx context.Context) (*attemptCtx, bool) {
	if a, ok := ctx.(*attemptCtx); ok { // as in the layers above the limit
		return a, true
	}
	a, ok := ctx.Value(attemptKey{}).(*attemptCtx)
	return a, ok
}

func (c *attemptCtx) Value(key any) any {
	switch key.(type) {
	case attemptKey:
		return c
	case service.Key:
		return &c.round.call.record.Service
	}
	return c.Context.Value(key)
}
