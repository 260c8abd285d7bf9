package main

import (
	"fmt"
	"net"
	"net/http"
	"time"
)

// A network carries requests to handlers: that of the benchmark is loopback,
// that of its tests is memory, where time can be virtual.
type network interface {
	// serve returns the host at which the handler answers.
	serve(http.Handler) (host string, err error)
	// dial returns a base for one client, with connections of its own.
	dial() http.RoundTripper
	close()
}

type loopback struct {
	servers []*http.Server
	clients []*http.Transport
}

func (l *loopback) serve(h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("storm: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	l.servers = append(l.servers, server)
	go server.Serve(listener)
	return listener.Addr().String(), nil
}

func (l *loopback) dial() http.RoundTripper {
	t := &http.Transport{MaxIdleConnsPerHost: 200, DisableCompression: true}
	l.clients = append(l.clients, t)
	return t
}

func (l *loopback) close() {
	for _, s := range l.servers {
		s.Close()
	}
	for _, t := range l.clients {
		t.CloseIdleConnections()
	}
}
