package middleware

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// What the refusals for one reason may take up.
const (
	linesPerWindow = 10
	lineWindow     = time.Second
)

// Log returns an observer that writes lines to logger:
//
//	Warn   a request that was refused
//	Info   a request that would have been, but for the dry run
//	Debug  every other request
//
// A server that sheds refuses thousands in a second, and must not spend on
// lines what it saves on work. So at Warn and Info each reason has ten lines a
// second; what is over that is counted, and the next line with the same reason
// says how many were suppressed. Debug is not thinned out.
//
// A line has no URL, which may hold secrets. The reasons are the words of
// [ShedReason], the results those of [Result]; a method that HTTP does not know
// is _OTHER. A nil logger means silence.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	l := &requestLog{logger: logger, reasons: make(map[ShedReason]*recent)}
	return Observer{OnRequest: l.request}
}

type requestLog struct {
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	reasons map[ShedReason]*recent
}

// recent is what was written for a reason lately.
type recent struct {
	began      time.Time
	lines      int
	suppressed int
}

func (l *requestLog) request(ctx context.Context, e Event) {
	level, msg := e.line()
	if !l.logger.Enabled(ctx, level) {
		return
	}
	suppressed := 0
	if level > slog.LevelDebug {
		var pass bool
		if suppressed, pass = l.pass(e.Shed, time.Now()); !pass {
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
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	l.logger.LogAttrs(ctx, level, msg, attrs...)
}

// line says how loud a request is, and what it is called.
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
// were not since the one before.
func (l *requestLog) pass(reason ShedReason, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.reasons[reason]
	if w == nil {
		w = &recent{began: now}
		l.reasons[reason] = w
	}
	if now.Sub(w.began) >= lineWindow {
		w.began, w.lines = now, 0
	}
	if w.lines >= linesPerWindow {
		w.suppressed++
		return 0, false
	}
	w.lines++
	suppressed, w.suppressed = w.suppressed, 0
	return suppressed, true
}
