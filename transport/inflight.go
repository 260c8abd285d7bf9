package transport

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"time"
)

// WithInFlight limits how many attempts of a service are in flight at a time, so that one
// slow service cannot take all memory and connections. What is beyond that waits in a
// line, first come, first served, until its deadline or for as long as
// [Policy].MaxThrottle allows. Then the call ends with stop reason in_flight, and the last
// response if it has one. The default is no limit. An n below 1 is an error of [New].
//
// An attempt is in flight until the body of its response is read to its end or closed,
// as a connection is. A long download keeps its place, and a body that is never closed
// keeps it for ever. Between two attempts a call has no place. A second copy of a hedged
// request is sent only if there is a place for it at once. In a dry run nothing waits, and
// [Call].WouldRefuse is in_flight for a call that found no place.
func WithInFlight(n int) Option {
	return option(func(c *config) { c.inFlight = &n })
}

// A bulkhead limits how many attempts of one service are in flight.
type bulkhead struct {
	line
	places
	size int
}

// places is the rule of a bulkhead. There are less than none in a dry run.
type places struct{ free int }

func newBulkhead(n int, clock func() time.Duration) *bulkhead {
	b := &bulkhead{places: places{n}, size: n}
	b.clock, b.rule = clock, &b.places
	return b
}

func (p *places) next(now time.Duration) (time.Duration, bool) { return now, p.free > 0 }
func (p *places) take(time.Duration)                           { p.free-- }

// try takes a place if there is one at once.
func (b *bulkhead) try() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.free <= 0 || b.turns.Len() > 0 {
		return false
	}
	b.free--
	return true
}

// force takes a place even if no place is free.
func (b *bulkhead) force() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free--
}

func (b *bulkhead) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.free++
	b.serve(b.clock())
}

func (b *bulkhead) idle() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.free == b.size && b.turns.Len() == 0
}

// inPlace sends an attempt when there is a place for it.
func (r *round) inPlace(req *http.Request) (resp *http.Response, err error) {
	k := r.call.known
	if k == nil || k.bulkhead == nil {
		return r.loop.next.RoundTrip(req)
	}
	b := k.bulkhead
	if err := r.enter(b, req); err != nil {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	var left atomic.Bool
	leave := func() {
		if !left.Swap(true) {
			b.leave()
		}
	}
	kept := false
	defer func() {
		if !kept { // also if the layers below panic
			leave()
		}
	}()
	resp, err = r.loop.next.RoundTrip(req)
	if err == nil && resp != nil && resp.Body != nil && resp.Body != http.NoBody {
		kept = true
		resp.Body = new(boundedBody).around(resp.Body, func(error) { leave() })
	}
	return resp, err
}

// enter takes a place, and waits for it.
func (r *round) enter(b *bulkhead, req *http.Request) error {
	if r.loop.dryRun {
		if !b.try() {
			b.force()
			r.would.refuse = StopInFlight
		}
		return nil
	}
	if b.try() {
		return nil
	}
	_, ok := r.stand(req, &b.line, r.mayThrottle(), -1)
	err := r.leftLine(req)
	switch {
	case err == nil && ok:
		return nil
	case ok:
		b.leave()
	}
	if r.interrupted {
		return err
	}
	return &heldError{stop: StopInFlight, text: fmt.Sprintf("WithInFlight(%d): no room for a call to %s: an attempt is in flight until its body is read or closed",
		b.size, r.call.record.Service), err: err}
}
