package middleware

import (
	"context"
	"time"
)

// A ShedReason says why a request was refused. The list is closed.
type ShedReason string

const (
	ShedNone        ShedReason = ""            // it was not
	ShedExpired     ShedReason = "expired"     // its deadline had passed, or would before the work was done
	ShedConcurrency ShedReason = "concurrency" // the handler had no room, and there is no queue
	ShedQueue       ShedReason = "queue"       // the queue was full, or it waited for as long as is of use
	ShedRetry       ShedReason = "retry"       // it is a retry, and the queue stands
	ShedPriority    ShedReason = "priority"    // others with a higher priority took the room
	ShedRate        ShedReason = "rate"        // its client sends more than its quota
	ShedDrain       ShedReason = "drain"       // the server is shutting down
	ShedGone        ShedReason = "gone"        // its client went away while it waited
)

// An Observer is told what became of requests. Nil fields are skipped.
type Observer struct {
	// OnRequest is called exactly once per request that is not exempt, after
	// its handler returned or panicked, on the same goroutine and without
	// locks.
	OnRequest func(context.Context, Event)
}

// An Event says what became of a request.
type Event struct {
	Method   string
	Pattern  string // of the ServeMux that matched it; "" if none did
	Status   int    // of the response; 0 if the handler panicked before it
	Bytes    int64  // of the body written, as far as it passed Write
	Duration time.Duration
	// QueueWait is the part of Duration before the request was admitted or
	// refused.
	QueueWait time.Duration
	InFlight  int        // requests in the handler when this one was admitted or refused, itself not counted
	Limit     int        // how many there was room for then; 0 if nothing limits them
	Attempt   int        // as its client says; 0 if unknown
	Shed      ShedReason // why it was refused, or would have been in a dry run
	DryRun    bool       // it was not refused in spite of Shed
	Hijacked  bool
	Panicked  bool
}
