package limiter

import "time"

// A Slot is the place of an admitted request in the handler, and says whether the
// request is measured. The compiler keeps a struct of up to four fields in registers.
type Slot struct {
	Generation uint32 // in which it was admitted
	Beyond     int16  // number of its route, if it was let in beyond the limit
	First      bool   // it is one of the first, which met an empty handler
	Weight     uint8  // for how many requests it is measured; 0: it is not
}

// An Arrival is what a request met when it came.
type Arrival struct {
	InFlight int32 // requests in the handler before it
	Limit    int32 // at that time; 0: none
}

// A Decision is what became of a request that waited.
type Decision struct {
	Reason Reason        // why it was refused; ReasonNone: it has the slot
	At     time.Duration // when that was decided
	Slot   Slot
}

// A Reason says why a request was refused. The words are those of
// middleware.ShedReason.
type Reason string

const (
	ReasonNone     Reason = ""         // it was admitted, or is in the queue
	ReasonExpired  Reason = "expired"  // its deadline would pass before the work is done
	ReasonQueue    Reason = "queue"    // the queue was full, or its wait was too long
	ReasonRetry    Reason = "retry"    // it is a retry, the queue stands, and it may not wait there: see Join
	ReasonPriority Reason = "priority" // requests of a higher priority took the room
	ReasonMemory   Reason = "memory"   // there was no room, because there is little memory
	ReasonGone     Reason = "gone"     // its client left while it waited
)
