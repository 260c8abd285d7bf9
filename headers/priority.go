package headers

import "net/http"

// The priorities are those of failsafe-go: five classes of a hundred levels.
const (
	MaxPriority    = 499 // the last to be refused
	MediumPriority = 250 // of a request that does not say

	failsafePriority = "X-Failsafe-Priority"
	failsafeLevel    = "X-Failsafe-Level"
)

// PriorityOf returns how important a request is to its client, from 0 to
// MaxPriority, by X-Failsafe-Level or else the class in X-Failsafe-Priority,
// from 0 to 4, of which it is the middle. It reports false if the header does
// not say, or says anything else.
func PriorityOf(h http.Header) (int, bool) {
	if v, ok := only(h, failsafeLevel); ok {
		n, ok := digits(v, MaxPriority+1)
		if !ok || n > MaxPriority {
			return 0, false
		}
		return int(n), true
	}
	if v, ok := only(h, failsafePriority); ok {
		if n, ok := digits(v, 5); ok && n < 5 {
			return int(n)*100 + 50, true
		}
	}
	return 0, false
}
