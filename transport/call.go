package transport

import (
	"context"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// A Call says what happened in one RoundTrip, or one [Do].
type Call struct {
	Service    string
	Method     string        // "" for Do
	Attempts   int           // how many attempts were sent
	Waited     time.Duration // the time spent waiting between attempts
	Elapsed    time.Duration // from the start to the response header; 0 without observers
	Stop       StopReason    // why there was no further attempt
	Status     int           // of the response returned; 0 with an error
	Err        error         // the last error; nil with a response
	WouldRetry bool          // in a dry run: another attempt would have been sent
}

// Attempt returns the number of the attempt that ctx belongs to: 1 on the
// first, 0 outside a chain. Layers below the retry loop find it in the context
// of the request, and the operation of [Do] in its own.
func Attempt(ctx context.Context) int {
	if a, ok := ctx.Value(attemptKey{}).(*attemptCtx); ok {
		return a.number
	}
	return 0
}

// CallOf returns what happened before this response was returned. It reports
// false for a response that did not come through a chain.
func CallOf(resp *http.Response) (Call, bool) {
	if resp == nil || resp.Request == nil {
		return Call{}, false
	}
	a, ok := resp.Request.Context().Value(attemptKey{}).(*attemptCtx)
	if !ok {
		return Call{}, false
	}
	return a.run.call.snapshot(), true
}

// call is the state of one RoundTrip. A call layer may run the loop more than
// once, even at the same time, so that what the runs report is guarded.
type call struct {
	policy *Policy
	timed  bool
	born   time.Time     // what clock counts from
	start  time.Duration // by clock
	header atomic.Int64  // by clock, when the newest answer came; 0 if it was given up

	mu       sync.Mutex // guards what follows
	ctx      context.Context
	record   Call
	returned bool
}

// newCall fills in what is settled once per call.
func (t *Transport) newCall(c *call, req *http.Request) {
	service := t.serviceOf(req)
	c.policy = t.policies.Load().of(service)
	c.ctx = req.Context()
	c.record.Service, c.record.Method = service, methodOf(req)
	if c.timed = len(t.observers) > 0; c.timed {
		c.born = t.born
		c.start = c.clock()
	}
}

// clock is monotonic. It costs half of time.Now, which reads two clocks.
func (c *call) clock() time.Duration { return time.Since(c.born) }

// answered returns the time at which an answer came, which is now.
func (c *call) answered() time.Duration {
	now := c.clock()
	c.header.Store(int64(now))
	return now
}

// elapsed is up to the answer in hand, or up to now where there is none.
func (c *call) elapsed() time.Duration {
	if at := time.Duration(c.header.Load()); at > 0 {
		return at - c.start
	}
	return c.clock() - c.start
}

// entered notes the context that the call layers passed on.
func (c *call) entered(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx = ctx
}

// settle records what RoundTrip returns where the loop did not run, and says
// that it returned at all.
func (c *call) settle(resp *http.Response, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.returned = true
	if c.record.Stop != "" {
		return
	}
	switch {
	case err != nil:
		c.record.Stop, c.record.Err = StopNotRetryable, err
	case resp != nil:
		c.record.Stop, c.record.Status = StopNotRetryable, resp.StatusCode
		if resp.StatusCode < 400 {
			c.record.Stop = StopSucceeded
		}
	}
}

// end tells the observers, also of a call that panicked.
func (c *call) end(os observers) {
	if len(os) == 0 {
		return
	}
	c.mu.Lock()
	ctx, record := c.ctx, c.record
	c.mu.Unlock()
	if record.Elapsed == 0 { // the loop did not run
		record.Elapsed = c.elapsed()
	}
	if !c.returned {
		record.Stop, record.Status, record.Err = StopNotRetryable, 0, errPanic
	}
	os.call(ctx, record)
}

// report adds what a run of the loop came to.
func (c *call) report(r Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r.Service, r.Method = c.record.Service, c.record.Method
	r.Attempts += c.record.Attempts
	r.Waited += c.record.Waited
	if c.timed {
		r.Elapsed = c.elapsed()
	}
	c.record = r
}

func (c *call) snapshot() Call {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.record
}

// The contexts of the chain answer for their own keys and carry no other
// state, so that one allocation serves context and call alike.
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
	case headers.ServiceKey:
		return &c.call.record.Service
	}
	return c.Context.Value(key)
}

// attemptCtx is the context of an attempt.
type attemptCtx struct {
	context.Context
	run    *run
	number int
}

func (c *attemptCtx) Value(key any) any {
	switch key.(type) {
	case attemptKey:
		return c
	case headers.ServiceKey:
		return &c.run.call.record.Service
	}
	return c.Context.Value(key)
}
