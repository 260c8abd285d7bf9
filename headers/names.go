package headers

// The names are in the canonical form of net/http, so that a lookup by them
// needs no conversion. Names on the wire are case-insensitive (RFC 9110
// section 5.1).
const (
	// Sent by clients.
	RetryAttempt            = "Retry-Attempt"              // attempt, maximum and call: see [Attempt]
	RequestTimeoutMs        = "Request-Timeout-Ms"         // milliseconds left until the caller's deadline: see [FormatTimeout]
	RequestAttemptTimeoutMs = "Request-Attempt-Timeout-Ms" // milliseconds that this attempt waits for its response header
	IdempotencyKey          = "Idempotency-Key"            // draft-ietf-httpapi-idempotency-key-header
	XIdempotencyKey         = "X-Idempotency-Key"          // its older form

	// Sent by servers.
	RetryAfter      = "Retry-After"       // RFC 9110 section 10.2.3
	RetryAfterMs    = "Retry-After-Ms"    // milliseconds; OpenAI, Azure
	XShouldRetry    = "X-Should-Retry"    // true or false; Stainless SDKs
	RequestQueuedMs = "Request-Queued-Ms" // milliseconds that the request waited for room: see [QueuedOf]
	RateLimit       = "Ratelimit"         // draft-ietf-httpapi-ratelimit-headers
	RateLimitPolicy = "Ratelimit-Policy"  // the same
)

// Names of other dialects.
const (
	xMsRetryAfterMs   = "X-Ms-Retry-After-Ms"    // milliseconds; Azure
	xAmzRetryAfter    = "X-Amz-Retry-After"      // milliseconds; AWS
	grpcPushbackMs    = "Grpc-Retry-Pushback-Ms" // milliseconds, negative for never; gRPC A6
	stripeShouldRetry = "Stripe-Should-Retry"    // true or false; Stripe
	xEnvoyRatelimited = "X-Envoy-Ratelimited"    // its presence stops Envoy from retrying

	amzSdkRequest       = "Amz-Sdk-Request"
	amzSdkInvocationID  = "Amz-Sdk-Invocation-Id"
	stainlessRetryCount = "X-Stainless-Retry-Count"
	stainlessTimeout    = "X-Stainless-Timeout"
	opcClientRetries    = "Opc-Client-Retries"
	grpcPrevious        = "Grpc-Previous-Rpc-Attempts"
	grpcTimeout         = "Grpc-Timeout"
	googAPIClient       = "X-Goog-Api-Client"
	envoyAttemptCount   = "X-Envoy-Attempt-Count"
	envoyExpected       = "X-Envoy-Expected-Rq-Timeout-Ms"
	connectTimeoutMs    = "Connect-Timeout-Ms"

	rateLimitRemaining   = "Ratelimit-Remaining" // drafts up to 06
	rateLimitReset       = "Ratelimit-Reset"
	xRateLimitRemaining  = "X-Ratelimit-Remaining"
	xRateLimitReset      = "X-Ratelimit-Reset"
	xRateLimitResetAfter = "X-Ratelimit-Reset-After"
)
