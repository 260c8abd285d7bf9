package budget

import "github.com/datapunk/evenkeel/budget/internal/account"

// An Outcome is the outcome of an attempt: of a retry that a budget granted, or of
// a first attempt that succeeded.
type Outcome = account.Outcome

const (
	// Wasted is a retry that failed too, or whose response came late. It is no
	// evidence that the service can bear more retries.
	Wasted Outcome = account.Wasted
	// Admitted is a retry that succeeded soon after the server had refused the
	// attempt before it: with a 429, or with a 503 that says when or whether to
	// come back.
	Admitted Outcome = account.Admitted
	// Helped is a retry that succeeded soon after an error or a timeout.
	Helped Outcome = account.Helped
	// Unaided is a first attempt that succeeded soon. It deposits the Ratio, so
	// that a service where everything fails earns no retries.
	Unaided Outcome = account.Unaided
)
