package transport

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/headers/service"
	"golang.org/x/time/rate"
)

// Log returns an observer that writes lines to logger:
//
//	Warn   a call that was refused, or that failed in spite of the chain
//	Info   a call that succeeded after more than one attempt, or with which the
//	       chain would have done more than the dry run did
//	Debug  every attempt, and every call that the chain only passed on
//
// In an outage nearly every call is worth a line. So each service and stop reason is
// limited to ten lines per second at Warn and Info. The next line with that reason counts
// those that were suppressed. Debug is not limited.
//
// A line has no URL, which may hold secrets. From the text of errors it removes the URL
// of the request and its parts, those of every *url.Error, and what looks like a URL. The
// stop reasons are the words of [StopReason], the results of attempts those of [Result].
// Text from outside is cut at 1,024 bytes of UTF-8. A method that HTTP does not define is
// logged as _OTHER. If logger is nil, nothing is logged.
func Log(logger *slog.Logger) Observer {
	if logger == nil {
		return Observer{}
	}
	l := newCallLog(logger)
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
		if suppressed, pass = l.pass(c.Service, c.Stop); !pass {
			return
		}
	}
	attrs := append(make([]slog.Attr, 0, 10),
		slog.String("service", headers.Label(c.Service)),
		slog.String("method", headers.MethodLabel(c.Method)),
		slog.Int("attempts", c.Attempts),
		slog.String("stop", string(c.Stop)),
		slog.Duration("waited", c.Waited),
		slog.Duration("elapsed", c.Elapsed),
	)
	attrs = outcome(ctx, attrs, c.Status, c.Err)
	if c.Paused > 0 {
		attrs = append(attrs, slog.Duration("paused", c.Paused))
	}
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
	case c.WouldWait > 0:
		return slog.LevelInfo, "evenkeel: call would have waited"
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
	if c.WouldRetry || c.WouldHedge || c.WouldTimeOut || c.WouldWait > 0 || c.WouldRefuse != "" {
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

// What lines about one service may take up, and for how many services that is kept.
const (
	linesPerSecond = 10
	maxLogged      = 256
	owedFor        = time.Minute // how long a count of suppressed lines waits for the next one
)

// callLog writes the lines of [Log].
type callLog struct {
	logger   *slog.Logger
	services *service.Set[serviceLog]
	others   serviceLog // services for which there is no room
}

func newCallLog(logger *slog.Logger) *callLog {
	return &callLog{logger: logger, services: service.NewSet(maxLogged,
		func(string) *serviceLog { return new(serviceLog) },
		func(s *serviceLog) bool { return s.idle(time.Now()) })}
}

// pass reports whether a line may be written now, and how many of its kind were
// suppressed since the one before.
func (l *callLog) pass(name string, stop StopReason) (suppressed int, ok bool) {
	s := l.services.Get(name)
	if s == nil {
		s = &l.others
	}
	return s.pass(stop, time.Now())
}

// serviceLog limits the lines about one service, those of each stop reason.
type serviceLog struct {
	mu     sync.Mutex // guards what follows
	kinds  map[StopReason]*lineLimit
	newest time.Time // when the newest line was written or suppressed
}

type lineLimit struct {
	*rate.Limiter
	suppressed int
}

func (s *serviceLog) pass(stop StopReason, now time.Time) (suppressed int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newest = now
	k := s.kinds[stop]
	if k == nil {
		if s.kinds == nil {
			s.kinds = make(map[StopReason]*lineLimit)
		}
		k = &lineLimit{Limiter: rate.NewLimiter(linesPerSecond, linesPerSecond)}
		s.kinds[stop] = k
	}
	if !k.AllowN(now, 1) {
		k.suppressed++
		return 0, false
	}
	suppressed, k.suppressed = k.suppressed, 0
	return suppressed, true
}

// idle reports whether the limits are full again, and no line is owed.
func (s *serviceLog) idle(now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	quiet := now.Sub(s.newest)
	if quiet < time.Second {
		return false
	}
	for _, k := range s.kinds {
		if k.suppressed > 0 && quiet < owedFor {
			return false
		}
	}
	return true
}
