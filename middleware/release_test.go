package middleware_test

import (
	"bufio"
	"log/slog"
	"net"
	"net/http"
	"strings"
)

var quiet = slog.NewLogLogger(slog.DiscardHandler, 0)

// announcing says when the handler has flushed or hijacked.
type announcing struct {
	http.ResponseWriter
	entered chan struct{}
}

func (a *announcing) Flush() {
	a.ResponseWriter.(http.Flusher).Flush()
	a.entered <- struct{}{}
}

func (a *announcing) FlushError() error {
	err := http.NewResponseController(a.ResponseWriter).Flush()
	a.entered <- struct{}{}
	return err
}

func (a *announcing) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := a.ResponseWriter.(http.Hijacker).Hijack()
	a.entered <- struct{}{}
	return conn, rw, err
}

func hasAll(s string, parts ...string) bool {
	for _, p := range parts {
		if !strings.Contains(s, p) {
			return false
		}
	}
	return true
}
