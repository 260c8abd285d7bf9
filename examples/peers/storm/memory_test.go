package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
)

// memory is a network within a synctest bubble, where time costs nothing.
type memory struct {
	handlers []http.Handler
	serving  sync.WaitGroup
}

func (m *memory) serve(h http.Handler) (string, error) {
	m.handlers = append(m.handlers, h)
	return fmt.Sprintf("host%d", len(m.handlers)-1), nil
}

func (m *memory) dial() http.RoundTripper { return m }
func (m *memory) close()                  { m.serving.Wait() }

// RoundTrip answers when the handler has returned. As over a connection, the
// handler learns that its client has gone, but not of its deadline.
func (m *memory) RoundTrip(req *http.Request) (*http.Response, error) {
	var i int
	if _, err := fmt.Sscanf(req.URL.Host, "host%d", &i); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	forget := context.AfterFunc(req.Context(), cancel)
	w := &answer{header: http.Header{}, done: make(chan struct{})}
	m.serving.Go(func() {
		defer close(w.done)
		defer cancel()
		r := req.Clone(ctx)
		r.Body, r.Proto, r.ProtoMajor, r.ProtoMinor = http.NoBody, "HTTP/1.1", 1, 1
		m.handlers[i].ServeHTTP(w, r)
	})
	select {
	case <-w.done:
		forget()
		if w.status == 0 {
			w.status = http.StatusOK
		}
		return &http.Response{
			StatusCode: w.status, Header: w.header, Request: req, ProtoMajor: 1, ProtoMinor: 1,
			Body: io.NopCloser(bytes.NewReader(w.body.Bytes())), ContentLength: int64(w.body.Len()),
		}, nil
	case <-req.Context().Done():
		return nil, context.Cause(req.Context())
	}
}

type answer struct {
	header http.Header
	status int
	body   bytes.Buffer
	done   chan struct{}
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return a.body.Write(p)
}
