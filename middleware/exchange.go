package middleware

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// exchange is a request and its response: the ResponseWriter, the context's
// value and what the event says, in one allocation.
type exchange struct {
	http.ResponseWriter
	machine *machine
	request *http.Request   // as the handler sees it
	client  context.Context // of the request as it came, which ends when its client goes
	ctx     infoCtx
	info    Info
	hop     headers.Hop

	started  time.Duration // these three since the epoch of the machine
	entered  time.Duration // the handler
	expires  time.Duration // its deadline; 0: none
	held     atomic.Bool   // it has a slot
	probe    int           // it belongs to; 0: none
	before   int           // requests in the handler before this one
	limit    int
	rateWait time.Duration // until its quota allows another request

	status   int // 0 until the header is written
	bytes    int64
	shed     ShedReason
	bounded  bool // writes have a deadline
	hijacked bool
	done     bool // the handler returned instead of panicking
}

// infoCtx is the context of the handler.
type infoCtx struct {
	context.Context
	x *exchange
}

func (c *infoCtx) Value(key any) any {
	switch key.(type) {
	case infoKey:
		return &c.x.info
	case headers.HopKey:
		return &c.x.hop
	}
	return c.Context.Value(key)
}

func (x *exchange) context(parent context.Context, left time.Duration, bounded bool) (context.Context, context.CancelFunc) {
	cancel := context.CancelFunc(func() {})
	if bounded {
		parent, cancel = context.WithTimeout(parent, left)
	}
	if d, ok := parent.Deadline(); ok {
		x.info.Deadline = d
	}
	x.ctx = infoCtx{Context: parent, x: x}
	return &x.ctx, cancel
}

// returned is called when the handler has.
func (x *exchange) returned(w http.ResponseWriter) {
	x.done = true
	if x.status != 0 || x.hijacked {
		return
	}
	if x.request.Context().Err() == context.DeadlineExceeded {
		// Left alone, net/http would answer 200 for work that was given up.
		w.Header().Set("Cache-Control", "no-store")
		http.Error(w, "The deadline of the request has passed.", http.StatusGatewayTimeout)
		return
	}
	x.begin(http.StatusOK) // what net/http sends for a handler that wrote nothing
}

// hold notes that the request has a slot.
func (x *exchange) hold(now time.Duration) {
	x.entered = now
	x.held.Store(true)
}

// leave gives the slot back, once, whoever comes first: the end of the handler,
// a flush or a hijack.
func (x *exchange) leave(counted bool) {
	if !x.held.CompareAndSwap(true, false) {
		return
	}
	g := x.machine.gate
	now := g.now()
	gone := x.client.Err() != nil || x.expires > 0 && now >= x.expires
	g.leave(completion{
		at: now, took: now - x.entered, dropped: gone, probe: x.probe, pattern: x.request.Pattern,
	}, counted || gone)
}

// end gives the slot back and tells the observers, also of a handler that
// panicked.
func (x *exchange) end() {
	// How soon a bug strikes says nothing about load.
	x.leave(x.done)
	x.unboundWrites()
	if len(x.machine.observers) == 0 {
		return
	}
	panicked := !x.done && (x.shed == ShedNone || x.machine.dryRun)
	e := Event{
		Method: x.request.Method, Pattern: x.request.Pattern, Status: x.status, Bytes: x.bytes,
		Duration: x.machine.now() - x.started, QueueWait: x.info.QueueWait, InFlight: x.before, Limit: x.limit,
		Attempt: x.info.Attempt, Shed: x.shed,
		DryRun: x.shed != ShedNone && x.machine.dryRun, Hijacked: x.hijacked, Panicked: panicked,
	}
	for _, o := range x.machine.observers {
		if o.OnRequest != nil {
			o.OnRequest(x.request.Context(), e)
		}
	}
}

// begin is called before anything that sends the header.
func (x *exchange) begin(status int) {
	if x.status != 0 {
		return
	}
	x.status = status
	h := x.Header()
	if x.info.Attempt > 0 {
		if _, own := h[headers.RetryAttempt]; !own {
			h[headers.RetryAttempt] = []string{headers.Attempt{N: x.info.Attempt}.String()}
		}
	}
	x.complete(h, status)
}

// WriteHeader passes on every call, so that net/http logs a superfluous one
// with the right line. Informational responses are not the answer, but for 101.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 || status == http.StatusSwitchingProtocols {
		x.begin(status)
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(p []byte) (int, error) {
	x.begin(http.StatusOK)
	x.boundWrites(int64(len(p)))
	n, err := x.ResponseWriter.Write(p)
	x.bytes += int64(n)
	return n, err
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// FlushError is for http.ResponseController too, which finds it before Unwrap.
func (x *exchange) FlushError() error {
	before := x.status
	x.begin(http.StatusOK)
	x.boundWrites(buffered + 1)
	err := http.NewResponseController(x.ResponseWriter).Flush()
	if err == nil {
		x.leave(true) // the work is done, or goes on for as long as the client likes
	}
	if errors.Is(err, http.ErrNotSupported) {
		x.status = before // nothing was sent
	}
	return err
}

func (x *exchange) writeString(s string) (int, error) {
	x.begin(http.StatusOK)
	x.boundWrites(int64(len(s)))
	n, err := io.WriteString(x.ResponseWriter, s)
	x.bytes += int64(n)
	return n, err
}
