package redisbudget

import (
	"time"
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

type observers []Observer

func (os observers) exchange(e ExchangeEvent) {
	for _, o := range os {
		if o.OnExchange != nil {
			o.OnExchange(e)
		}
	}
}

func (os observers) connection(e ConnectionEvent) {
	for _, o := range os {
		if o.OnConnection != nil {
			o.OnConnection(e)
		}
	}
}

func (os observers) turned(e SwitchEvent) {
	for _, o := range os {
		if o.OnSwitch != nil {
			o.OnSwitch(e)
		}
	}
}

func (os observers) foreign(e ForeignEvent) {
	for _, o := range os {
		if o.OnForeign != nil {
			o.OnForeign(e)
		}
	}
}

// report tells what came of a call. The first exchange that works is no news.
func (f *Fleet) report(c *call, o outcome, took time.Duration) {
	f.observers.exchange(ExchangeEvent{
		Shard: c.shard, Budgets: len(c.budgets), Duration: took, Err: o.err, NoScript: c.scriptSent,
		Given: o.given, Granted: o.granted, Lost: o.lost,
	})
	if o.changed {
		f.connection(o)
	}
	for _, b := range o.turned {
		f.turned(b)
	}
	for _, b := range o.foreign {
		f.observers.foreign(ForeignEvent{Name: b.name, Key: b.key})
	}
}

func (f *Fleet) connection(o outcome) {
	lost := 0
	for i := range f.sync.shards {
		if f.sync.shards[i].failing {
			lost++
		}
	}
	f.observers.connection(ConnectionEvent{Connected: lost == 0, Lost: lost, Shards: len(f.sync.shards), Err: o.err})
}

// reportTurns tells of what Pause and Resume did here.
func (f *Fleet) reportTurns() {
	f.mu.Lock()
	turns := f.turns
	f.turns = nil
	f.mu.Unlock()
	for _, b := range turns {
		f.turned(b)
	}
}

func (f *Fleet) turned(b *Shared) {
	f.observers.turned(SwitchEvent{Name: b.name, Paused: b.Stats().Paused})
}
