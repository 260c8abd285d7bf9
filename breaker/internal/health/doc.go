// Package health is what a fleet knows of its services, whatever keeps it: that is a
// [Store]. Package redisbreaker has one in Redis and documents the whole.
//
// Each process counts what its attempts show and reports the counts about once a second,
// off the request path. The store adds them to the [State] of the service, and the reply
// has the verdicts of the fleet. [State.Merge] is the rule, in Go; a store that computes
// it elsewhere must come to the same numbers.
package health

import "context"

// A Store keeps what the processes of a fleet have in common. It is safe for concurrent
// use.
type Store interface {
	// Place returns under which key a service is kept, and in which of the shards,
	// counted from 0. Different names have different keys.
	Place(name string) (key string, shard int)
	// Exchange adds a report to each of the keys, which are of one shard, and returns a
	// reply for each, or an error. It stops waiting when ctx is done. A report that is
	// added twice does no harm.
	Exchange(ctx context.Context, keys []string, reports []Report) ([]Reply, error)
}

// A Report is what one process saw of one service since its last report. Times are in
// microseconds, except for Present.
type Report struct {
	ID      float64 // of the process, a whole number below 2^32
	Present float64 // seconds since its last report

	Calls      float64 // first attempts, refused ones too
	Fast, Slow float64 // successes
	Passed     float64 // age of the newest attempt known to have succeeded; -1: none
	Late       float64 // attempts that timed out and that were sent after it
	LateAge    float64 // age of the newest of them

	Asked      float64 // requests to a circuit, refused ones too
	OK, Failed float64 // how they ended

	IsolatedAt, IsolatedUntil float64 // of the newest isolation that the process knows
	Isolate                   float64 // seconds to isolate the service for; -1 releases it, 0 does neither
}

// A Reply is what the fleet says about one service. Rates are per second.
type Reply struct {
	Share     float64 // of first attempts that may be sent; 1 while no overload is proved
	Circuit   float64 // share of requests that may pass; 1 while the circuit is closed
	Passed    float64 // age of the newest attempt known to have succeeded; -1: none
	Instances float64 // processes that report
	Calls     float64
	Run       float64 // timeouts in a row
	Witnesses float64 // processes that reported them
	Failures  float64 // in a row, of which those of one process are bounded

	IsolatedAt, IsolatedUntil float64 // as in Report
	Left                      float64 // seconds that the isolation lasts
	Foreign                   bool    // the value under the key is not ours, and was left alone
}
