package budget

import "github.com/datapunk/evenkeel/budget/internal/account"

// An Outcome says what came of an attempt: of a retry that a budget granted, or
// of a first attempt that succeeded.
type Outcome = account.Outcome

const (
	// Wasted is a retry that failed too, or whose answer came late: there is
	// no telling that the service can bear more of them.
	Wasted Outcome = account.Wasted
	// Admitted is a retry that succeeded soon where the server had refused
	// the attempt before it, with a 429, or a 503 that said when or whether to
	// come back.
	Admitted Outcome = account.Admitted
	// Helped is a retry that succeeded soon after an error or a timeout.
	Helped Outcome = account.Helped
	// Unaided is a first attempt that succeeded soon. It deposits what Ratio
	// says, so that a service that fails altogether earns no retries.
	Unaided Outcome = account.Unaided
)
