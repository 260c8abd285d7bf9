package redisbreaker

import (
	"time"

	"github.com/datapunk/evenkeel/breaker/internal/health"
)

// An Observer is a set of hooks. Nil fields are skipped. They are called one at a time,
// outside locks, on the goroutine of the [Fleet]. A hook that blocks delays reports, but
// no request.
type Observer struct {
	// OnVerdict is called when this process learns that a verdict of the fleet on a
	// service has begun or ended.
	OnVerdict func(VerdictEvent)
	// OnConnection is called when Redis does not answer for a shard, and when it answers
	// again. It is not called for each failed report.
	OnConnection func(ConnectionEvent)
	// OnForeign is called when the key of a service holds another value, and again only
	// after it held one of ours. The value is not changed.
	OnForeign func(ForeignEvent)
}

// A VerdictEvent says what the fleet sees of a service.
type VerdictEvent struct {
	Service    string
	Overloaded bool          // the guard sends a share of first attempts, and no retries
	Failing    bool          // circuits let a share of requests pass
	Isolated   time.Duration // for how long it is isolated by hand; 0: it is not
	DryRun     bool          // the first two do not apply in this process
}

// A ConnectionEvent says that Redis was lost or found again.
type ConnectionEvent struct {
	Connected bool // for all shards
	Lost      int  // shards
	Shards    int
	Err       error // of the report that failed; nil if a shard was found again
}

// A ForeignEvent says that the key of a service holds another value.
type ForeignEvent struct{ Service, Key string }

// observers are the health.Observer that tells them what it is told.
type observers []Observer

// reporter adds whether this process applies what it hears.
type reporter struct {
	observers
	dryRun bool
}

func (r reporter) Changed(name string, reply health.Reply) {
	e := VerdictEvent{
		Service: name, Overloaded: reply.Share < 1, Failing: reply.Circuit < 1,
		Isolated: time.Duration(reply.Left * float64(time.Second)), DryRun: r.dryRun,
	}
	for _, o := range r.observers {
		if o.OnVerdict != nil {
			o.OnVerdict(e)
		}
	}
}

func (os observers) Connected(lost, shards int, err error) {
	e := ConnectionEvent{Connected: lost == 0, Lost: lost, Shards: shards, Err: err}
	for _, o := range os {
		if o.OnConnection != nil {
			o.OnConnection(e)
		}
	}
}

func (os observers) Foreign(name, key string) {
	for _, o := range os {
		if o.OnForeign != nil {
			o.OnForeign(ForeignEvent{Service: name, Key: key})
		}
	}
}
