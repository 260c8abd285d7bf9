package redisbudget

import (
	"time"

	"github.com/datapunk/evenkeel/budget/internal/fleet"
)

// An Observer is a set of hooks. Nil fields are skipped. They are called one
// at a time, outside locks, by the goroutine of the [Fleet]: one that blocks
// delays exchanges, but no request.
type Observer struct {
	// OnExchange is called exactly once for each call to Redis.
	OnExchange func(ExchangeEvent)
	// OnConnection is called when a part of the budgets is left to their own
	// ratio, and when it shares again; not for each failed exchange.
	OnConnection func(ConnectionEvent)
	// OnSwitch is called when a budget is seen paused or resumed.
	OnSwitch func(SwitchEvent)
	// OnForeign is called when a key is found to hold something that is not
	// a budget, and again only after it held one. The value is left alone.
	OnForeign func(ForeignEvent)
}

// An ExchangeEvent is one call to Redis.
type ExchangeEvent struct {
	Shard    int
	Budgets  int // that the call carried; a probe carries none
	Duration time.Duration
	Err      error
	// NoScript says that the server had to be sent the script.
	NoScript bool

	Given, Granted, Lost float64 // tokens
}

// A ConnectionEvent is a change between sharing and not.
type ConnectionEvent struct {
	Connected bool // all shards share
	Lost      int  // shards that do not
	Shards    int
	Err       error // why, if a shard was lost
}

// A SwitchEvent is a turn of the kill switch.
type SwitchEvent struct {
	Name   string
	Paused bool
}

// A ForeignEvent is a key that holds something else.
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
