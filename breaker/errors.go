package breaker

import (
	"errors"
	"fmt"
	"time"
)

// ErrOpen is what every refusal is, for errors.Is.
var ErrOpen = errors.New("breaker: circuit open")

// An OpenError is the error of a call that was refused without being sent. It
// is not a timeout.
type OpenError struct {
	Service string
	RetryIn time.Duration // until the circuit lets a call through again
}

func (e *OpenError) Error() string {
	return fmt.Sprintf("breaker: circuit of %s open for %v", e.Service, e.RetryIn.Round(time.Millisecond))
}

// Is reports true for ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RefusedFor is RetryIn. Having it marks an error as a refusal: nothing was
// sent, and nothing should be before that time.
func (e *OpenError) RefusedFor() time.Duration { return e.RetryIn }
