package budget

import "time"

// FleetStats is a snapshot of a budget that a fleet shares, taken in one of its
// processes. Amounts are in tokens. Those of the fleet are as of the last exchange
// with it. The type is here so that code which records it need not link a database.
type FleetStats struct {
	Stats // of this process

	Connected bool          // the last exchange succeeded
	Paused    bool          // retries are switched off for the whole fleet
	Interval  time.Duration // until the next exchange

	Given   float64 // handed to the fleet since the start
	Granted float64 // received from it
	Lost    float64 // sent with an exchange that failed

	Exchanges int64 // with the fleet since the start, including those that failed
	Failures  int64 // exchanges that failed

	// Learning is set while the figures below, except those of the pool, are not
	// known yet. They are averages over time, of which this process, or a store
	// that lost its memory, has not seen enough.
	Learning bool

	Pool            float64 // kept in common by the fleet
	PoolCap         float64 // the most that it may keep
	Instances       float64 // processes that share the budget
	FleetRequests   float64 // per second, with Evidence those whose first attempt succeeded
	FleetRetries    float64 // per second
	FleetDenied     float64 // withdrawals refused per second
	FleetRetryRatio float64 // FleetRetries per FleetRequests
}
