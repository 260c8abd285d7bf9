package transport

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// Log returns an observer that writes lines to logger:
//
//	Warn   a call that was refused, or that ended badly in spite of the chain
//	Info   a call that ended well after more than one attempt, or with which a
//	       real run would have done more than the dry run did
//	Debug  every attempt, and every call that the chain just passed on
//
// In an outage nearly every call is worth a line, and a program that writes
// them all has two problems. So at Warn and Info each service and stop reason
// has ten lines a second; what is over that is counted, and the next line of
// the same kind says how many were suppressed. Debug is not thinned out.
//
// A line names service and method but no URL, which may hold secrets: in the text
// of an error of any origin, the URL of the request and its parts, those of
// every *url.Error, and what looks like a URL are left out. The stop
// reasons are the words of [StopReason], the results of attempts those of
// [Result]. Texts from outside are cut at 1,024 bytes of UTF-8, and a method that
// HTTP does not know is _OTHER. A nil logger means silence.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	l := &callLog{logger: logger, kinds: make(map[kind]*window)}
	return Observer{OnAttempt: l.attempt, OnCall: l.call}
}

func (l *callLog) attempt(ctx context.Context, e AttemptEvent) {
	if !l.logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("service", headers.Label(e.Service)),
		slog.String("method", headers.MethodLabel(e.Method)),
		slog.Int("attempt", e.Attempt),
		slog.String("result", string(ResultOf(ctx, e.Status, e.Err))),
		slog.Duration("waited", e.Waited),
		slog.Duration("duration", e.Duration),
	)
	l.logger.LogAttrs(ctx, slog.LevelDebug, "evenkeel: attempt", outcome(ctx, attrs, e.Status, e.Err)...)
}

func (l *callLog) call(ctx context.Context, c Call) {
	level, msg := c.line()
	if !l.logger.Enabled(ctx, level) {
		return
	}
	suppressed := 0
	if level > slog.LevelDebug {
		var pass bool
		if suppressed, pass = l.pass(kind{c.Service, c.Stop}, time.Now()); !pass {
			return
		}
	}
	attrs := append(make([]slog.Attr, 0, 9),
		slog.String("service", headers.Label(c.Service)),
		slog.String("method", headers.MethodLabel(c.Method)),
		slog.Int("attempts", c.Attempts),
		slog.String("stop", string(c.Stop)),
		slog.Duration("waited", c.Waited),
		slog.Duration("elapsed", c.Elapsed),
	)
	attrs = outcome(ctx, attrs, c.Status, c.Err)
	if c.WouldRefuse != "" {
		attrs = append(attrs, slog.String("would_refuse", string(c.WouldRefuse)))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	l.logger.LogAttrs(ctx, level, msg, attrs...)
}

// outcome adds what came back.
func outcome(ctx context.Context, attrs []slog.Attr, status int, err error) []slog.Attr {
	if status != 0 {
		attrs = append(attrs, slog.Int("status", status))
	}
	if err != nil {
		attrs = append(attrs, slog.String("error", headers.Label(withoutURL(err, urlOf(ctx)))))
	}
	return attrs
}

// line says how loud a call is, and what it is called.
func (c Call) line() (slog.Level, string) {
	switch {
	case !c.remarkable():
		return slog.LevelDebug, "evenkeel: call"
	case c.WouldRefuse != "":
		return slog.LevelInfo, "evenkeel: call would have been refused"
	case c.WouldRetry:
		return slog.LevelInfo, "evenkeel: call would have been retried"
	case c.WouldTimeOut:
		return slog.LevelInfo, "evenkeel: attempt would have timed out"
	case c.WouldHedge:
		return slog.LevelInfo, "evenkeel: call would have been hedged"
	case c.Stop == StopSucceeded:
		return slog.LevelInfo, "evenkeel: call retried"
	case c.Attempts == 0:
		return slog.LevelWarn, "evenkeel: call refused"
	}
	return slog.LevelWarn, "evenkeel: call failed"
}

// remarkable reports whether the chain did anything but pass the call on.
func (c Call) remarkable() bool {
	if c.WouldRetry || c.WouldHedge || c.WouldTimeOut || c.WouldRefuse != "" {
		return true
	}
	switch c.Stop {
	case StopSucceeded, StopNotRetryable, StopCancelled:
		return c.Attempts > 1
	case StopDisabled:
		return false
	}
	return true
}

// What a kind of line may take up, and of how many kinds that is kept.
const (
	linesPerWindow = 10
	lineWindow     = time.Second
	maxKinds       = 256
	kindsAge       = time.Minute // what was suppressed is owed a line for so long
)

// callLog writes the lines of [Log].
type callLog struct {
	logger *slog.Logger

	mu    sync.Mutex // guards what follows
	kinds map[kind]*window
	swept time.Time
}

// A kind is a set of lines that resemble each other. The zero kind takes those
// for which there is no room.
type kind struct {
	service string
	stop    StopReason
}

// window is what was written of a kind lately.
type window struct {
	began      time.Time
	lines      int
	suppressed int
}

// pass reports whether a line of this kind may be written now, and how many
// were not since the one before.
func (l *callLog) pass(k kind, now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := l.window(k, now)
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

// window finds the window of a kind, or makes one; l.mu is held.
func (l *callLog) window(k kind, now time.Time) *window {
	if w, ok := l.kinds[k]; ok {
		return w
	}
	if len(l.kinds) >= maxKinds && !l.sweep(now) {
		if k = (kind{}); l.kinds[k] != nil {
			return l.kinds[k]
		}
	}
	k.service = strings.Clone(k.service) // it may be part of a URL that is large
	w := &window{began: now}
	l.kinds[k] = w
	return w
}

// sweep forgets the kinds that are quiet and reports whether there were any. A
// flood of new names makes it look once a window, not each time.
func (l *callLog) sweep(now time.Time) bool {
	if now.Sub(l.swept) < lineWindow {
		return false
	}
	l.swept = now
	before := len(l.kinds)
	for k, w := range l.kinds {
		if quiet := now.Sub(w.began); quiet >= kindsAge || quiet >= lineWindow && w.suppressed == 0 {
			delete(l.kinds, k)
		}
	}
	return len(l.kinds) < before
}
