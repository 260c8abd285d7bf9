package limiter

import "time"

// A Decision is what became of a request that wanted room.
type Decision struct {
	Reason   Reason        // why it was refused; ReasonNone: it has a slot
	At       time.Duration // when a request that waited was admitted or refused
	InFlight int32         // requests in the handler before it, unless it waited
	Limit    int32         // at that time; 0: none
	Weight   uint8         // for how many requests it is measured; 0: it is not
	Probe    int32         // the probe that it belongs to; 0: none
}

// A Reason says why a request was refused. The words are those of
// middleware.ShedReason.
type Reason string

const (
	ReasonNone        Reason = ""            // it was admitted, or is in the queue
	ReasonConcurrency Reason = "concurrency" // no slot was free
	ReasonExpired     Reason = "expired"     // its deadline would pass before the work is done
	ReasonQueue       Reason = "queue"       // the queue was full, or its wait was too long
	ReasonRetry       Reason = "retry"       // it is a retry, and the queue stands
	ReasonPriority    Reason = "priority"    // requests of a higher priority took the room
	ReasonGone        Reason = "gone"        // its client left while it waited
)
