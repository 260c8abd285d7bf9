package transporttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"runtime/debug"
	"runtime/pprof"
	"strconv"
	"strings"
	"testing/synctest"
	"time"
)

// An env is what a check works with: a peer, the base that leads to it, and
// the layer around the base.
type env struct {
	ground   ground
	patience time.Duration
	wrap     func(http.RoundTripper) http.RoundTripper

	ctx    context.Context // ends with the check, and whatever hangs with it
	cancel context.CancelFunc
	ends   []func() // run last to first

	url    string
	base   *recorder
	layer  http.RoundTripper
	server *httptest.Server // nil on the stub
	hangs  chan struct{}    // told of each request that reaches /hang
}

func newEnv(g ground, wrap func(http.RoundTripper) http.RoundTripper, patience time.Duration) *env {
	e := &env{ground: g, wrap: wrap, patience: patience, hangs: make(chan struct{}, 64)}
	e.ctx, e.cancel = context.WithCancel(context.Background())
	return e
}

func (e *env) close() {
	e.cancel()
	for i := len(e.ends) - 1; i >= 0; i-- {
		e.ends[i]()
	}
}

// serve starts the peer and puts the layer in front of it.
func (e *env) serve(h http.Handler) {
	if e.ground == stub {
		e.over(&memory{handler: h, ctx: e.ctx})
		return
	}
	srv := httptest.NewUnstartedServer(h)
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	if e.ground == http2 {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	e.server = srv
	base := srv.Client().Transport.(*http.Transport)
	base.ExpectContinueTimeout = e.patience // or the body goes out unasked
	base.Proxy = nil
	e.ends = append(e.ends, func() {
		base.CloseIdleConnections()
		srv.CloseClientConnections()
		srv.Close()
	})
	e.over(base)
	e.url = srv.URL
}

// over puts the layer around base.
func (e *env) over(base http.RoundTripper) {
	e.url = "http://stub.test"
	e.base = &recorder{next: base}
	e.layer = e.wrap(e.base)
	if c, ok := e.layer.(io.Closer); ok {
		e.ends = append(e.ends, func() { c.Close() })
	}
}

// A result is what came of a call.
type result struct {
	resp     *http.Response
	err      error
	panicked any
	stack    []byte
}

func (r result) String() string {
	switch {
	case r.panicked != nil:
		return fmt.Sprintf("a panic: %v\n%s", r.panicked, r.stack)
	case r.resp != nil && r.err != nil:
		return fmt.Sprintf("response %d together with error %q", r.resp.StatusCode, r.err)
	case r.resp != nil:
		return fmt.Sprintf("response %d", r.resp.StatusCode)
	case r.err != nil:
		return fmt.Sprintf("error %q", r.err)
	}
	return "neither a response nor an error"
}

// start makes a call. Its goroutine, and so each that it starts, bears the
// label of e.
func (e *env) start(req *http.Request) <-chan result {
	done := make(chan result, 1)
	go func() {
		pprof.SetGoroutineLabels(pprof.WithLabels(context.Background(), pprof.Labels(label, e.id())))
		var r result
		defer func() {
			if v := recover(); v != nil {
				r = result{panicked: v, stack: debug.Stack()}
			}
			done <- r
		}()
		r.resp, r.err = e.layer.RoundTrip(req)
	}()
	return done
}

// finish waits for a call. The error is a broken contract, not that of the call.
func (e *env) finish(done <-chan result) (result, error) {
	select {
	case r := <-done:
		if r.panicked == nil && (r.resp == nil) == (r.err == nil) {
			return r, fmt.Errorf("RoundTrip returned %v", r)
		}
		if r.resp != nil && r.resp.Body == nil {
			return r, errors.New("the Body of the response is nil")
		}
		return r, nil
	case <-time.After(e.patience):
		return result{}, errors.New("RoundTrip did not return")
	}
}

func (e *env) call(req *http.Request) (result, error) { return e.finish(e.start(req)) }

// send makes a call that must end with a response.
func (e *env) send(req *http.Request) (*http.Response, error) {
	r, err := e.call(req)
	if err == nil && r.resp == nil {
		err = fmt.Errorf("RoundTrip ended with %v, want a response", r)
	}
	return r.resp, err
}

// text reads the body of a response to its end and closes it.
func (e *env) text(resp *http.Response) (string, error) {
	var b []byte
	err := e.within("reading the response to its end", func() (err error) {
		defer resp.Body.Close()
		b, err = io.ReadAll(resp.Body)
		return err
	})
	if err != nil {
		return "", fmt.Errorf("the response's body: %w", err)
	}
	return string(b), nil
}

// within gives f its time. If that is not enough, f goes on until the check
// ends.
func (e *env) within(what string, f func() error) error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	select {
	case err := <-done:
		return err
	case <-time.After(e.patience):
		return fmt.Errorf("%s did not end", what)
	}
}

// eventually reports whether cond comes true of itself. On the stub that is
// once nothing in the bubble can run any more, without any passing of time.
func (e *env) eventually(cond func() bool) bool {
	if e.ground == stub {
		synctest.Wait()
		return cond()
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(min(e.patience, 5*time.Second)); !cond(); <-tick.C {
		if time.Now().After(end) {
			return false
		}
	}
	return true
}

// moment is a deadline that a call to /hang runs into.
func (e *env) moment() time.Duration { return min(e.patience/10, 10*time.Millisecond) }

// arrival waits until a call hangs at the server.
func (e *env) arrival() error {
	select {
	case <-e.hangs:
		return nil
	case <-time.After(e.patience):
		return errors.New("the request did not reach the server")
	}
}

const label = "transporttest"

func (e *env) id() string { return fmt.Sprintf("%p", e) }

// goroutines returns how many goroutines the calls of e have left behind, and
// where they are.
func (e *env) goroutines() (n int, where string) {
	var b bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&b, 1)
	for part := range strings.SplitSeq(b.String(), "\n\n") {
		if strings.Contains(part, strconv.Quote(label)+":"+strconv.Quote(e.id())) {
			count, _, _ := strings.Cut(part, " ")
			here, _ := strconv.Atoi(count)
			n += here
			where += part + "\n"
		}
	}
	return n, where
}
