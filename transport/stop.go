package transport

// A StopReason says why a call made no further attempt. The list is closed:
// the same words are the metric label, the span attribute, the log field and
// the text of [Error].
type StopReason string

const (
	StopSucceeded    StopReason = "succeeded"      // the answer is a success
	StopNotRetryable StopReason = "not_retryable"  // another attempt would not help
	StopMethod       StopReason = "method"         // the method is not safe to repeat
	StopBody         StopReason = "body"           // the request body cannot be sent again
	StopAttempts     StopReason = "attempts"       // MaxAttempts is reached
	StopBudget       StopReason = "budget"         // the retry budget refused
	StopBreakerOpen  StopReason = "breaker_open"   // the circuit of the service is open
	StopDeadline     StopReason = "deadline"       // the wait would outlast the deadline
	StopRetryAfter   StopReason = "retry_after"    // the server asks for more than MaxRetryAfter
	StopServerSaidNo StopReason = "server_said_no" // the server asked for no retry
	StopGuard        StopReason = "guard"          // the guard holds calls back
	StopCancelled    StopReason = "cancelled"      // the caller gave up
	StopDisabled     StopReason = "disabled"       // MaxAttempts is 1, a dry run, or the hop above retries
)
