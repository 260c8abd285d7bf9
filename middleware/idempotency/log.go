package idempotency

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// linesPerSecond bounds the lines at Warn and Info, for each outcome.
const linesPerSecond = 10

// Log returns an observer that writes a line for each request with a key to logger:
//
//	Warn   interrupted, unstored, lost, unguarded, outcome_unknown, store_unavailable:
//	       somebody may have to look at what has happened
//	Info   resumed, unkept, busy, key_reused, answer_not_kept
//	Debug  every other request
//
// Each outcome is limited to ten lines per second at Warn and Info. The next line with
// that outcome counts those that were suppressed. Debug is not limited.
//
// A line has neither the key nor the caller, which are the client's secrets: the field
// record has the first eight characters of [Event].Record, by which an operator finds
// it in the store. If logger is nil, nothing is logged.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	l := &keyLog{logger: logger, lines: make(map[Outcome]*logLimit)}
	for _, o := range Outcomes() {
		l.lines[o] = new(logLimit)
	}
	return Observer{OnKey: l.request}
}

type keyLog struct {
	logger *slog.Logger
	lines  map[Outcome]*logLimit
}

func (l *keyLog) request(ctx context.Context, e Event) {
	level := e.Outcome.level()
	if !l.logger.Enabled(ctx, level) {
		return
	}
	suppressed := 0
	if limit := l.lines[e.Outcome]; level > slog.LevelDebug && limit != nil {
		var pass bool
		if suppressed, pass = limit.pass(time.Now()); !pass {
			return
		}
	}
	attrs := append(make([]slog.Attr, 0, 8),
		slog.String("outcome", string(e.Outcome)),
		slog.String("method", headers.MethodLabel(e.Method)),
		slog.String("record", e.Record[:min(len(e.Record), 8)]),
		slog.Int("runs", e.Runs),
		slog.Duration("waited", e.Waited),
		slog.Duration("took", e.Took),
	)
	if e.Err != nil {
		attrs = append(attrs, slog.String("error", headers.Label(e.Err.Error())))
	}
	if suppressed > 0 {
		attrs = append(attrs, slog.Int("suppressed", suppressed))
	}
	l.logger.LogAttrs(ctx, level, "evenkeel: idempotency key", attrs...)
}

func (o Outcome) level() slog.Level {
	switch o {
	case OutcomeInterrupted, OutcomeUnstored, OutcomeLost, OutcomeUnguarded, OutcomeUnknown, OutcomeStoreUnavailable:
		return slog.LevelWarn
	case OutcomeResumed, OutcomeUnkept, OutcomeBusy, OutcomeKeyReused, OutcomeNotKept:
		return slog.LevelInfo
	}
	return slog.LevelDebug
}

// A logLimit bounds the lines of one outcome, and counts those that it suppressed.
type logLimit struct {
	mu         sync.Mutex // guards what follows
	since      time.Time
	lines      int
	suppressed int
}

// pass reports whether a line may be written, and how many were suppressed before it.
func (l *logLimit) pass(now time.Time) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.since) >= time.Second {
		l.since, l.lines = now, 0
	}
	if l.lines++; l.lines > linesPerSecond {
		l.suppressed++
		return 0, false
	}
	suppressed, l.suppressed = l.suppressed, 0
	return suppressed, true
}
