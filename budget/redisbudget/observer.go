package redisbudget

import (
	"time"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
)

// An Observer is a set of hooks. Nil fields are skipped. They are called one at a
// time, outside locks, on the goroutine of the [Fleet]. A hook that blocks delays
// exchanges, but no request.
type Observer struct {
	// OnExchange is called exactly once for each exchange with Redis.
	OnExchange func(ExchangeEvent)
	// OnConnection is called when the budgets of a shard stop sharing because
	// Redis does not answer, and when they share again. It is not called for each
	// failed exchange.
	OnConnection func(ConnectionEvent)
	// OnSwitch is called when this process learns that a budget was paused or
	// resumed.
	OnSwitch func(SwitchEvent)
	// OnForeign is called when the key of a budget holds another value, and again
	// only after it held a budget. The value is not changed.
	OnForeign func(ForeignEvent)
}

// An ExchangeEvent is one exchange with Redis.
type ExchangeEvent struct {
	Shard    int
	Budgets  int // carried by the exchange; 0 for a probe of a lost Redis
	Duration time.Duration
	Err      error
	// NoScript is set if the script had to be sent to the server first.
	NoScript bool

	Given, Granted, Lost float64 // tokens
}

// A ConnectionEvent says that Redis was lost or found again.
type ConnectionEvent struct {
	Connected bool // all shards share
	Lost      int  // shards that do not share
	Shards    int
	Err       error // of the exchange that failed; nil if a shard was found again
}

// A SwitchEvent says that a budget was paused or resumed.
type SwitchEvent struct {
	Name   string
	Paused bool
}

// A ForeignEvent says that the key of a budget holds another value.
type ForeignEvent struct{ Name, Key string }

// observers are the fleet.Observer that tells them what it is told.
type observers []Observer

func (os observers) Exchanged(x *fleet.Exchange, r fleet.Result) {
	e := ExchangeEvent{
		Shard: x.Shard, Budgets: r.Budgets, Duration: r.Took, Err: r.Err, NoScript: x.Resent,
		Given: r.Given, Granted: r.Granted, Lost: r.Lost,
	}
	for _, o := range os {
		if o.OnExchange != nil {
			o.OnExchange(e)
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

func (os observers) Turned(b *fleet.Budget) {
	e := SwitchEvent{Name: b.Name(), Paused: b.Stats().Paused}
	for _, o := range os {
		if o.OnSwitch != nil {
			o.OnSwitch(e)
		}
	}
}

func (os observers) Foreign(b *fleet.Budget) {
	e := ForeignEvent{Name: b.Name(), Key: b.Key()}
	for _, o := range os {
		if o.OnForeign != nil {
			o.OnForeign(e)
		}
	}
}
