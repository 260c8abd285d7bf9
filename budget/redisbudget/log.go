package redisbudget

import (
	"context"
	"log/slog"
)

// Log returns an observer that writes changes of state to logger:
//
//	Error  a key holds something that is not a budget
//	Warn   Redis was lost, a budget was paused, a budget was resumed
//	Info   Redis was found again
//
// There is one line for each change and none for an exchange. A nil logger logs
// nothing.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	ctx := context.Background()
	return Observer{
		OnConnection: func(e ConnectionEvent) {
			switch {
			case e.Err != nil && e.Lost == 1: // the first shard; the others add nothing
				logger.WarnContext(ctx, "retry budget: lost Redis, budgets run on their own ratio", "err", e.Err)
			case e.Connected:
				logger.InfoContext(ctx, "retry budget: found Redis, budgets are shared again")
			}
		},
		OnSwitch: func(e SwitchEvent) {
			msg := "retry budget: resumed"
			if e.Paused {
				msg = "retry budget: paused"
			}
			logger.WarnContext(ctx, msg, "budget", e.Name)
		},
		OnForeign: func(e ForeignEvent) {
			logger.ErrorContext(ctx, "retry budget: its key holds something else", "budget", e.Name, "key", e.Key)
		},
	}
}
