package breaker

import (
	"context"
	"log/slog"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// An Observer is told what happens in a [Set]. A nil func is skipped.
type Observer struct {
	// OnStateChange is called exactly once for each change of a circuit's state,
	// in order for each service, outside locks, on the goroutine of a call. It
	// may use the set. [Set.Isolate] and [Set.Release] call it too, for what is done by
	// hand.
	OnStateChange func(StateChange)
}

// A StateChange is the change of a circuit from one state to another.
type StateChange struct {
	Service  string
	From, To State
	OpenFor  time.Duration // how long the circuit refuses calls; 0 unless To is open
	ByHand   bool          // an isolation began or ended; the circuit itself did not change
}

// Log returns an observer that writes one line to logger for each change of
// state: at Warn when a circuit opens, at Info when it closes, at Debug when it
// is half-open. A service name is cut and cleaned by [headers.Label]. A nil
// logger writes nothing.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	return Observer{OnStateChange: func(c StateChange) {
		attrs := append(make([]slog.Attr, 0, 4),
			slog.String("service", headers.Label(c.Service)),
			slog.String("from", c.From.String()))
		level := slog.LevelInfo
		switch c.To {
		case StateOpen:
			level = slog.LevelWarn
			attrs = append(attrs, slog.Duration("open_for", c.OpenFor))
		case StateHalfOpen:
			level = slog.LevelDebug
		}
		if c.ByHand {
			attrs = append(attrs, slog.Bool("by_hand", true))
		}
		logger.LogAttrs(context.Background(), level, "evenkeel: circuit "+c.To.String(), attrs...)
	}}
}
