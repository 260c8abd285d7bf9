package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/datapunk/evenkeel/headers"
)

// redisAt returns the address of a Redis. It starts an embedded one if addr is
// empty.
func redisAt(addr string) (string, func(), error) {
	if addr != "" {
		return addr, func() {}, nil
	}
	m, err := miniredis.Run()
	if err != nil {
		return "", nil, err
	}
	return m.Addr(), m.Close, nil
}

// A backend counts requests and retries. It is the one place that sees those of
// all processes.
type backend struct {
	url      string
	server   *http.Server
	failing  atomic.Bool
	requests atomic.Int64
	retries  atomic.Int64
}

func newBackend() (*backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &backend{url: "http://" + l.Addr().String()}
	b.server = &http.Server{Handler: b}
	go b.server.Serve(l) // until close
	return b, nil
}

func (b *backend) close() { b.server.Close() }

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if a, ok := headers.AttemptOf(r.Header); ok && a.N > 1 {
		b.retries.Add(1)
	} else {
		b.requests.Add(1)
	}
	if b.failing.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// watch makes the backend fail as planned and prints a line each second until
// ctx is done.
func (b *backend) watch(ctx context.Context, s settings, out io.Writer) {
	fmt.Fprintf(out, "%8s %-8s %10s %10s %8s\n", "second", "backend", "requests", "retries", "ratio")
	started, second := time.Now(), time.NewTicker(time.Second)
	defer second.Stop()
	turn := time.NewTicker(10 * time.Millisecond)
	defer turn.Stop()
	var requests, retries int64
	for n := 1; ; {
		select {
		case <-ctx.Done():
			return
		case <-turn.C:
			since := time.Since(started)
			b.failing.Store(since >= s.failAfter && since < s.failAfter+s.failFor)
		case <-second.C:
			state := "works"
			if b.failing.Load() {
				state = "fails"
			}
			q, t := b.requests.Load(), b.retries.Load()
			ratio := 0.0
			if q > requests {
				ratio = 100 * float64(t-retries) / float64(q-requests)
			}
			fmt.Fprintf(out, "%8d %-8s %10d %10d %7.1f%%\n", n, state, q-requests, t-retries, ratio)
			requests, retries = q, t
			n++
		}
	}
}
