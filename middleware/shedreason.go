package middleware

// A ShedReason says why a request was refused. The list is closed: see
// [ShedReasons].
type ShedReason string

const (
	ShedNone        ShedReason = ""            // the request was not refused
	ShedExpired     ShedReason = "expired"     // its deadline had passed, or would have before its work was done
	ShedConcurrency ShedReason = "concurrency" // the handler had no room, and there is no queue
	ShedQueue       ShedReason = "queue"       // the queue was full, or the wait was too long, there or for a processor
	ShedRetry       ShedReason = "retry"       // it was a retry while the queue was standing: see WithShedding
	ShedPriority    ShedReason = "priority"    // requests of a higher priority took the room
	ShedRate        ShedReason = "rate"        // its client sends more than its quota
	ShedDrain       ShedReason = "drain"       // the server is shutting down
	ShedMemory      ShedReason = "memory"      // as queue, while little memory lowers the limit
	ShedGone        ShedReason = "gone"        // its client left while it waited
)

// ShedReasons returns all reasons why a request can be refused, for metrics whose
// series should be there from the start.
func ShedReasons() []ShedReason {
	return []ShedReason{
		ShedExpired, ShedConcurrency, ShedQueue, ShedRetry, ShedPriority, ShedRate, ShedDrain, ShedMemory, ShedGone,
	}
}
