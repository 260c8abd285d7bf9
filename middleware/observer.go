package middleware

import (
	"context"
	"time"
)

// An Observer is a set of hooks. Nil fields are skipped.
type Observer struct {
	// OnRequest is called exactly once for each request that is not exempt, after its
	// handler returned or panicked, on the same goroutine and outside locks.
	OnRequest func(context.Context, Event)
	// OnNew is called once, by [New]. The func that it is given returns the load at
	// the moment of its call. It may be called at any time, from any goroutine, and
	// takes no lock.
	OnNew func(load func() Load)
}

// Load is how busy the handlers of one [New] are.
type Load struct {
	// InFlight is how many requests are in the handler. It does not count streams from
	// their first flush on, hijacked connections, and requests whose slot is lent while
	// they wait for their client.
	InFlight int
	Limit    int // concurrency limit; 0 means no limit
	Waiting  int // requests in the queue
	// Latency is the usual latency of a request in the handler while that is not
	// loaded, as WithShedding measures it; 0 if it is not known.
	Latency time.Duration
	Reason  string // why the limit of WithShedding last changed, in a few words
}

// An Event describes a request that is over; Result says its outcome in one word.
type Event struct {
	Method   string
	Pattern  string        // of the route, by WithRoute, Routed or the ServeMux; "" if it is not known
	Status   int           // of the response; 0 if the handler panicked before it
	Bytes    int64         // of the body, as far as they passed Write or ReadFrom
	Duration time.Duration // from the arrival of the request
	// Streamed is the part of Duration after the first flush, or after the connection
	// was hijacked; 0 if there was neither. It depends on the client, and so says
	// nothing about the server.
	Streamed time.Duration
	// QueueWait is the part of Duration before the request was admitted or
	// refused.
	QueueWait time.Duration
	InFlight  int        // requests in the handler when this one was admitted or refused, without it
	Limit     int        // concurrency limit at that time; 0 means no limit
	Attempt   int        // as the client says; 0 if it does not
	Shed      ShedReason // why the request was refused, or would have been in a dry run
	DryRun    bool       // Shed is what would have happened
	Hijacked  bool       // the handler took over the connection
	Panicked  bool       // the handler panicked, but not with http.ErrAbortHandler
	Aborted   bool       // the handler panicked with http.ErrAbortHandler
	Gone      bool       // the client left before it had the answer
	Expired   bool       // the deadline passed before the client had the answer
}
