package headers

import "net/http"

// The priorities are those of failsafe-go: five classes of a hundred levels.
const (
	MaxPriority    = 499 // refused last
	MediumPriority = 250 // of a request that does not say

	failsafePriority = "X-Failsafe-Priority"
	failsafeLevel    = "X-Failsafe-Level"
)

// PriorityOf returns the priority of a request, from 0 to MaxPriority. It reads
// X-Failsafe-Level, or else X-Failsafe-Priority, a class from 0 to 4, and returns
// the middle of the class. It returns false if the header is absent or malformed.
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
