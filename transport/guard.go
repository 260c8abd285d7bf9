package transport

import (
	"errors"
	"net/http"
	"time"
)

// Guard configures the guard.
type Guard struct{}

type guard struct{}

func (g *guard) wrap(next http.RoundTripper) http.RoundTripper { return next }

// GuardError is the error of a request that the guard held back.
type GuardError struct {
	Service string
	RetryIn time.Duration
}

func (e *GuardError) Error() string             { return "transport: guard" }
func (e *GuardError) RefusedFor() time.Duration { return e.RetryIn }

func isGuard(err error) bool {
	var g *GuardError
	return errors.As(err, &g)
}
