package breaker

import (
	"errors"
	"fmt"
	"time"
)

// ErrOpen matches the error of every call that a circuit refused:
// errors.Is(err, ErrOpen) reports true for an [OpenError].
var ErrOpen = errors.New("breaker: circuit open")

// An OpenError is the error of a call that a circuit refused. The call was not
// sent. The error is not a timeout.
type OpenError struct {
	Service string
	RetryIn time.Duration // until the circuit lets a call through
	Fleet   bool          // other processes saw the service fail; see [WithShared]
}

func (e *OpenError) Error() string {
	if e.Fleet {
		return fmt.Sprintf("breaker: circuit of %s open for the whole fleet for %v", e.Service, e.RetryIn.Round(time.Millisecond))
	}
	return fmt.Sprintf("breaker: circuit of %s open for %v", e.Service, e.RetryIn.Round(time.Millisecond))
}

// Is reports whether target is ErrOpen.
func (e *OpenError) Is(target error) bool { return target == ErrOpen }

// RefusedFor returns RetryIn. Package transport takes an error with this method
// for a refusal: nothing was sent, and a retry is no use before that time.
func (e *OpenError) RefusedFor() time.Duration { return e.RetryIn }
