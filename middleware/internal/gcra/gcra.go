// Package gcra counts requests by the generic cell rate algorithm of ITU-T
// I.371: what is known of a key is one time, at which its quota would be whole
// again. Times are what passed since an epoch of the caller's.
package gcra

import "time"

// A Rate is one request per Interval, of which as many may come at once as
// Burst is worth. Burst is at least Interval.
type Rate struct{ Interval, Burst time.Duration }

// Take takes one request at the time now from a quota that is whole again at
// full. It returns when it is whole after that, and whether the request is
// granted; if it is not, nothing was taken.
func (r Rate) Take(now, full time.Duration) (time.Duration, bool) {
	full = max(full, now)
	after := full + r.Interval
	if after-now > r.Burst {
		return full, false
	}
	return after, true
}

// Left is how many more requests would be granted at once.
func (r Rate) Left(now, full time.Duration) int {
	return int(max(r.Burst-max(full-now, 0), 0) / r.Interval)
}

// RetryIn is how long until the next request would be granted.
func (r Rate) RetryIn(now, full time.Duration) time.Duration {
	return max(full+r.Interval-now-r.Burst, 0)
}
