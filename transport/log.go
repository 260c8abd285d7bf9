package transport

import (
	"context"
	"errors"
	"log/slog"
	"net/url"
)

// Log returns an observer that writes one line for each call that was retried
// or refused, and none for the others. A call that ended well is logged at
// Info, one that did not at Warn. The line names service and method but no
// URL, which may hold secrets. A nil logger means silence.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	return Observer{OnCall: func(ctx context.Context, c Call) {
		if !c.remarkable() {
			return
		}
		level, msg := slog.LevelWarn, "evenkeel: call failed"
		switch {
		case c.WouldRetry:
			level, msg = slog.LevelInfo, "evenkeel: call would have been retried"
		case c.Stop == StopSucceeded:
			level, msg = slog.LevelInfo, "evenkeel: call retried"
		case c.Attempts == 0:
			msg = "evenkeel: call refused"
		}
		if !logger.Enabled(ctx, level) {
			return
		}
		attrs := []slog.Attr{
			slog.String("service", c.Service),
			slog.String("method", c.Method),
			slog.Int("attempts", c.Attempts),
			slog.String("stop", string(c.Stop)),
			slog.Duration("waited", c.Waited),
			slog.Duration("elapsed", c.Elapsed),
		}
		if c.Status != 0 {
			attrs = append(attrs, slog.Int("status", c.Status))
		}
		if c.Err != nil {
			attrs = append(attrs, slog.String("error", withoutURL(c.Err)))
		}
		logger.LogAttrs(ctx, level, msg, attrs...)
	}}
}

// remarkable reports whether the chain did anything but pass the call on.
func (c Call) remarkable() bool {
	switch c.Stop {
	case StopSucceeded, StopNotRetryable, StopCancelled:
		return c.Attempts > 1
	case StopDisabled:
		return c.WouldRetry
	}
	return true
}

// withoutURL is the text of an error from the point where it no longer names a
// URL, since that may hold a password or a token.
func withoutURL(err error) string {
	var u *url.Error
	for errors.As(err, &u) {
		err = u.Err
	}
	return err.Error()
}
