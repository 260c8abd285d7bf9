package redisbudget

import (
	"context"
	"log/slog"
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

// report tells what came of a call. The first exchange that works is no news.
func (f *Fleet) report(c *call, o outcome, took time.Duration) {
	if h := f.observer.OnExchange; h != nil {
		h(ExchangeEvent{
			Shard: c.shard, Budgets: len(c.budgets), Duration: took, Err: o.err, NoScript: c.scriptSent,
			Given: o.given, Granted: o.granted, Lost: o.lost,
		})
	}
	if o.changed {
		f.connection(o)
	}
	for _, b := range o.turned {
		f.turned(b)
	}
	for _, b := range o.foreign {
		if h := f.observer.OnForeign; h != nil {
			h(ForeignEvent{Name: b.name, Key: b.key})
		}
		f.logged(slog.LevelError, "retry budget: its key holds something else", "budget", b.name, "key", b.key)
	}
}

func (f *Fleet) connection(o outcome) {
	lost := 0
	for i := range f.sync.shards {
		if f.sync.shards[i].failing {
			lost++
		}
	}
	if h := f.observer.OnConnection; h != nil {
		h(ConnectionEvent{Connected: lost == 0, Lost: lost, Shards: len(f.sync.shards), Err: o.err})
	}
	switch {
	case o.err != nil && lost == 1:
		f.logged(slog.LevelWarn, "retry budget: lost Redis, budgets run on their own ratio", "err", o.err)
	case lost == 0:
		f.logged(slog.LevelInfo, "retry budget: found Redis, budgets are shared again")
	}
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
	paused := b.Stats().Paused
	if h := f.observer.OnSwitch; h != nil {
		h(SwitchEvent{Name: b.name, Paused: paused})
	}
	msg := "retry budget: resumed"
	if paused {
		msg = "retry budget: paused"
	}
	f.logged(slog.LevelWarn, msg, "budget", b.name)
}

func (f *Fleet) logged(level slog.Level, msg string, args ...any) {
	if f.log != nil {
		f.log.Log(context.Background(), level, msg, args...)
	}
}
