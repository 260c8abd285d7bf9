package breaker

import "time"

// A Shared is what other processes see of the services that this one calls too. A
// process with few calls cannot tell alone that a service fails. Package redisbreaker
// has one; see [WithShared].
type Shared interface {
	// Service returns the part that knows a service, or nil. The circuit of the service
	// keeps it.
	Service(name string) SharedService
}

// A SharedService knows what the processes together see of one service. Its methods are
// called for each request, concurrently. They must not wait.
type SharedService interface {
	// Saw tells how a call ended that is a success or a failure by the rules of this
	// process.
	Saw(ok bool)
	// Verdict reports whether all processes should refuse calls, and for how long.
	Verdict() (open bool, retryIn time.Duration)
	// Ticket reports whether this call may be sent although the verdict is open, as a
	// probe. It is asked once for each call that finds it open.
	Ticket() bool
}

// WithShared has each circuit also ask what other processes see of its service, such as
// the Circuits of a redisbreaker.Fleet. While these refuse calls the circuit does too,
// with an [*OpenError] that has Fleet set, and sends the probes that they hand out. The
// default, and nil, is to judge alone.
func WithShared(s Shared) Option {
	return func(c *config) { c.shared = s }
}

// heard returns the error of a call that the other processes refuse, or nil.
func (c *circuit) heard() *OpenError {
	if c.shared == nil {
		return nil
	}
	open, retryIn := c.shared.Verdict()
	if !open || c.shared.Ticket() {
		return nil
	}
	return &OpenError{Service: c.service, RetryIn: retryIn, Fleet: true}
}

// sharedFor returns for how long the other processes refuse calls, else 0.
func (c *circuit) sharedFor() time.Duration {
	if c.shared == nil {
		return 0
	}
	if open, retryIn := c.shared.Verdict(); open {
		return max(retryIn, 1)
	}
	return 0
}
