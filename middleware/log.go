package middleware

import (
	"context"
	"log/slog"
	"sync/atomic"

	"github.com/datapunk/evenkeel/headers"
	"golang.org/x/time/rate"
)

// linesPerSecond bounds the lines at Warn and Info, for each reason.
const linesPerSecond = 10

// Log returns an observer that writes a line for each request to logger:
//
//	Warn   a request that was refused
//	Info   a request that would have been refused without the dry run
//	Debug  every other request
//
// A server in an overload refuses thousands of requests per second, and logging
// them all would cost what refusing them saves. So each reason is limited to ten
// lines per second at Warn and Info; the next line with that reason counts those
// that were suppressed. Debug is not limited.
//
// A line has no URL, which may hold secrets. The field reason is a [ShedReason],
// the field result a [Result]. A method that HTTP does not define is logged as
// _OTHER. If logger is nil, nothing is logged.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	l := &requestLog{logger: logger, lines: make(map[ShedReason]*logLimit), others: newLogLimit()}
	for _, reason := range ShedReasons() {
		l.lines[reason] = newLogLimit()
	}
	return Observer{OnRequest: l.request}
}

type requestLog struct {
	logger *slog.Logger
	lines  map[ShedReason]*logLimit // of each reason
	others *logLimit                // of reasons that are not in the list
}

// A logLimit bounds the lines of one kind, and counts those that it suppressed.
type logLimit struct {
	*rate.Limiter
	suppressed atomic.Int64
}

func newLogLimit() *logLimit {
	return &logLimit{Limiter: rate.NewLimiter(linesPerSecond, linesPerSecond)}
}

func (l *requestLog) request(ctx context.Context, e Event) {
	level, msg := e.line()
	if !l.logger.Enabled(ctx, level) {
		return
	}
	var suppressed int64
	if level > slog.LevelDebug {
		var pass bool
		if suppressed, pass = l.pass(e.Shed); !pass {
			return
		}
	}
	attrs := append(make([]slog.Attr, 0, 9),
		slog.String("method", headers.MethodLabel(e.Method)),
		slog.String("result", string(e.Result())),
		slog.Int("status", e.Status),
		slog.Int("attempt", e.Attempt),
		slog.Duration("queue_wait", e.QueueWait),
		slog.Duration("duration", e.Duration),
	)
	if e.Shed != ShedNone {
		attrs = append(attrs, slog.String("reason", string(e.Shed)), slog.Bool("dry_run", e.DryRun))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int64("suppressed", suppressed))
	}
	l.logger.LogAttrs(ctx, level, msg, attrs...)
}

// line returns the level and the message of a request.
func (e Event) line() (slog.Level, string) {
	switch {
	case e.Shed == ShedNone:
		return slog.LevelDebug, "evenkeel: request"
	case e.DryRun:
		return slog.LevelInfo, "evenkeel: request would have been shed"
	}
	return slog.LevelWarn, "evenkeel: request shed"
}

// pass reports whether a line for this reason may be written now, and how many
// were suppressed since the one before.
func (l *requestLog) pass(reason ShedReason) (suppressed int64, ok bool) {
	limit, known := l.lines[reason]
	if !known {
		limit = l.others
	}
	if !limit.Allow() {
		limit.suppressed.Add(1)
		return 0, false
	}
	return limit.suppressed.Swap(0), true
}
