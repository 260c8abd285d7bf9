package headers

// The names are in the canonical form of net/http, so that a lookup by them
// needs no conversion. Names on the wire are case-insensitive (RFC 9110
// section 5.1).
const (
	// Sent by clients.
	RetryAttempt     = "Retry-Attempt"
	RequestTimeoutMs = "Request-Timeout-Ms"
	IdempotencyKey   = "Idempotency-Key"
	XIdempotencyKey  = "X-Idempotency-Key"

	// Sent by servers.
	RetryAfter          = "Retry-After"
	RetryAfterMs        = "Retry-After-Ms"
	XMsRetryAfterMs     = "X-Ms-Retry-After-Ms"
	XAmzRetryAfter      = "X-Amz-Retry-After"
	GrpcRetryPushbackMs = "Grpc-Retry-Pushback-Ms"
	XShouldRetry        = "X-Should-Retry"
	StripeShouldRetry   = "Stripe-Should-Retry"
	XEnvoyRatelimited   = "X-Envoy-Ratelimited"
	RateLimit           = "Ratelimit"
	RateLimitPolicy     = "Ratelimit-Policy"
)
