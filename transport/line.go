package transport

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// A line is where attempts wait for their turn, first come, first served.
type line struct {
	clock func() time.Duration
	mu    sync.Mutex // guards what follows
	rule  rule
	turns list.List   // of *turn
	timer *time.Timer // for the next look at them; nil if no time is known
}

// A rule says when the next attempt may be sent. Its methods are called with the line
// locked.
type rule interface {
	// next returns when that is. It returns false if something must happen first.
	next(now time.Duration) (at time.Duration, known bool)
	// take counts an attempt that is sent now.
	take(now time.Duration)
}

// A turn is the place of an attempt in a line.
type turn struct {
	until time.Duration // when it is too late
	ready chan bool     // whether it is its turn, or too late
}

// enter waits for a turn until the given time, and reports whether it came. At most
// limit attempts wait, if that is not negative.
func (l *line) enter(ctx context.Context, until time.Duration, limit int) bool {
	l.mu.Lock()
	now := l.clock()
	at, known := l.rule.next(now)
	if known && at <= now && l.turns.Len() == 0 {
		l.rule.take(now)
		l.mu.Unlock()
		return true
	}
	if until <= now || known && at > until || limit >= 0 && l.turns.Len() >= limit {
		l.mu.Unlock()
		return false
	}
	mine := &turn{until: until, ready: make(chan bool, 1)}
	place := l.turns.PushBack(mine)
	l.serve(now)
	l.mu.Unlock()
	if ok, said := stand(ctx, mine.ready, until-now); said {
		return ok
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case ok := <-mine.ready: // at the last moment
		return ok
	default:
		l.turns.Remove(place)
		return false
	}
}

// stand waits for what ready says, for at most d. It reports false if the time or the
// context ended first.
func stand(ctx context.Context, ready <-chan bool, d time.Duration) (ok, said bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case ok := <-ready:
		return ok, true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false, false
}

// serve sends those on their way whose turn it is, and away those for whom it will be too
// late. It sets the timer for the next. l.mu is held.
func (l *line) serve(now time.Duration) {
	for l.turns.Len() > 0 {
		at, known := l.rule.next(now)
		if !known || at > now {
			l.wake(now, at, known)
			return
		}
		l.rule.take(now)
		l.turns.Remove(l.turns.Front()).(*turn).ready <- true
	}
}

func (l *line) wake(now, at time.Duration, known bool) {
	if l.timer != nil {
		l.timer.Stop()
		l.timer = nil
	}
	if !known {
		return
	}
	for e := l.turns.Front(); e != nil; {
		next := e.Next()
		if t := e.Value.(*turn); t.until < at {
			l.turns.Remove(e)
			t.ready <- false
		}
		e = next
	}
	if l.turns.Len() == 0 {
		return
	}
	l.timer = time.AfterFunc(at-now, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.timer = nil
		l.serve(l.clock())
	})
}
