package fleet

import "time"

// An Observer is told what happens, one thing at a time, outside locks, by the
// goroutine of the [Fleet].
type Observer interface {
	// Exchanged is called exactly once for each exchange.
	Exchanged(x *Exchange, r Result)
	// Connected is called when shards were lost or found again; lost is how many
	// are lost now, and err is nil when one was found.
	Connected(lost, shards int, err error)
	// Turned is called when a budget was paused or resumed.
	Turned(b *Budget)
	// Foreign is called when the store has something else under the key of a
	// budget, and again only after it had one.
	Foreign(b *Budget)
}

// A Result is what came of an exchange. Credit is in tokens.
type Result struct {
	Budgets int // that the exchange carried
	Took    time.Duration
	Err     error

	Given, Granted, Lost float64
}

// report tells what came of a call. The first exchange that works is no news.
func (f *Fleet) report(c *call, o outcome, took time.Duration) {
	f.observer.Exchanged(&c.Exchange, Result{
		Budgets: len(c.budgets), Took: took, Err: o.err,
		Given: o.given, Granted: o.granted, Lost: o.lost,
	})
	if o.changed {
		f.observer.Connected(f.sync.lost(), len(f.sync.shards), o.err)
	}
	for _, b := range o.turned {
		f.observer.Turned(b)
	}
	for _, b := range o.foreign {
		f.observer.Foreign(b)
	}
}

// reportTurns tells of what Turn did here.
func (f *Fleet) reportTurns() {
	f.mu.Lock()
	turns := f.turns
	f.turns = nil
	f.mu.Unlock()
	for _, b := range turns {
		f.observer.Turned(b)
	}
}
