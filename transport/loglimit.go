package transport

import (
	"log/slog"
	"strings"
	"sync"
	"time"
)

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
