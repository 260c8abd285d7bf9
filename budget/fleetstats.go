package budget

import "time"

// FleetStats is a look at a budget that a fleet shares, from one of its
// processes. Amounts are in tokens; those of the fleet are as of the last
// exchange with it. It is here, and not with the budget that returns it, so
// that who records it need not link a database.
type FleetStats struct {
	Stats // of this process

	Connected bool          // the last exchange succeeded
	Paused    bool          // retries are switched off for the whole fleet
	Interval  time.Duration // until the next exchange

	Given   float64 // handed to the fleet, since the start
	Granted float64 // received from it
	Lost    float64 // sent with an exchange that failed, so that nobody has it

	Exchanges int64 // with the fleet, since the start, the failed ones included
	Failures  int64 // those that failed

	// Learning says that the figures of the fleet below, except the pool, are
	// not known yet: they average over some time, of which this process, or
	// Redis after it lost its memory, has not seen enough.
	Learning bool

	Pool            float64 // what the fleet keeps in common
	PoolCap         float64 // the most that it may keep
	Instances       float64 // how many processes share it
	FleetRequests   float64 // per second, with Evidence those that succeeded at first
	FleetRetries    float64 // per second
	FleetDenied     float64 // withdrawals refused per second
	FleetRetryRatio float64 // retries per request; with Evidence it has no bound where few succeed at first
}
