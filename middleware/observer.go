package middleware

import (
	"context"
	"time"
)

// An Observer is told what became of requests. Nil fields are skipped.
type Observer struct {
	// OnRequest is called exactly once per request that is not exempt, after
	// its handler returned or panicked, on the same goroutine and without
	// locks.
	OnRequest func(context.Context, Event)
	// OnNew is called once, by [New]. The func that it is given returns how
	// busy the handlers are at the moment that it is called. That may be at any
	// time, from any goroutine; it takes no lock.
	OnNew func(load func() Load)
}

// Load is how busy the handlers of one [New] are.
type Load struct {
	// InFlight is how many requests are in the handler. As for
	// [WithConcurrency], a request is not any more once it flushes, from when
	// on it is a stream, or has hijacked its connection.
	InFlight int
	Limit    int // how many there is room for; 0 if nothing limits them
}

// An Event says what became of a request; Result says it in one word.
type Event struct {
	Method   string
	Pattern  string // of the route, by WithRoute, Routed or the ServeMux; "" if it is not known
	Status   int    // of the response; 0 if the handler panicked before it
	Bytes    int64  // of the body written, as far as it passed Write
	Duration time.Duration
	// Streamed is the part of Duration after the first flush, or after the
	// connection was hijacked; 0 if it was neither. It is as long as the client
	// likes, and so tells nothing of the server.
	Streamed time.Duration
	// QueueWait is the part of Duration before the request was admitted or
	// refused.
	QueueWait time.Duration
	InFlight  int        // requests in the handler when this one was admitted or refused, itself not counted
	Limit     int        // how many there was room for then; 0 if nothing limits them
	Attempt   int        // as its client says; 0 if unknown
	Shed      ShedReason // why it was refused, or would have been in a dry run
	DryRun    bool       // it was not refused in spite of Shed
	Hijacked  bool
	Panicked  bool // other than to abort
	Aborted   bool // the handler panicked with http.ErrAbortHandler
	Gone      bool // the client went away before it had the answer
	Expired   bool // its deadline passed before that
}
