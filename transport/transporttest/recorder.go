package transporttest

import (
	"io"
	"net/http"
	"sync"
)

// A recorder is the base that the layer sees. It notes what it is asked.
type recorder struct {
	next http.RoundTripper

	mu     sync.Mutex // guards what follows
	seen   []*http.Request
	by     map[*http.Response]*http.Request // which one a response answers
	failed error                            // the newest
	idle   int                              // calls of CloseIdleConnections
	open   int                              // bodies of responses not closed
	panics any                              // what to panic with instead of sending
	asked  func()                           // called on the way, if not nil
}

func (r *recorder) RoundTrip(req *http.Request) (*http.Response, error) {
	r.mu.Lock()
	r.seen = append(r.seen, req)
	panics, asked := r.panics, r.asked
	r.mu.Unlock()
	if asked != nil {
		asked()
	}
	if panics != nil {
		closeBody(req) // as even a base that panics has to
		panic(panics)
	}
	resp, err := r.next.RoundTrip(req)
	r.note(req, resp, err)
	if err != nil || resp.Body == http.NoBody || resp.StatusCode == http.StatusSwitchingProtocols {
		return resp, err
	}
	r.mu.Lock()
	r.open++
	r.mu.Unlock()
	resp.Body = &notedBody{ReadCloser: resp.Body, closed: sync.OnceFunc(func() {
		r.mu.Lock()
		r.open--
		r.mu.Unlock()
	})}
	return resp, nil
}

func (r *recorder) CloseIdleConnections() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.idle++
}

func (r *recorder) requests() []*http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.seen[:len(r.seen):len(r.seen)]
}

func (r *recorder) note(req *http.Request, resp *http.Response, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil {
		r.failed = err
		return
	}
	if r.by == nil {
		r.by = make(map[*http.Response]*http.Request)
	}
	r.by[resp] = req
}

func (r *recorder) answered(resp *http.Response) *http.Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.by[resp]
}

func (r *recorder) failure() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

func (r *recorder) set(panics any, asked func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.panics, r.asked = panics, asked
}

func (r *recorder) unclosed() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.open
}

func (r *recorder) closedIdle() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.idle
}

type notedBody struct {
	io.ReadCloser
	closed func()
}

func (b *notedBody) Close() error {
	b.closed()
	return b.ReadCloser.Close()
}
