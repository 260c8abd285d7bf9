package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// The rest of a response that another attempt replaces is read within these limits,
// so that its connection can be reused. Beyond them a new connection is cheaper.
const (
	drainBytes = 64 << 10
	drainTime  = 50 * time.Millisecond
	drainEmpty = 100 // empty reads in a row, the limit of bufio
)

// drainLeft is how long to leave a body to a reader that nothing can end. Then the body is
// closed during the Read, so that goroutine and connection do not stay forever.
const drainLeft = 5 * time.Second

// errGivenUp ends the body of a response that was given up for an attempt that was then
// not made.
var errGivenUp = errors.New("transport: the rest of this body was given up for another attempt")

// A drain reads the rest of a body and closes it on one goroutine, because only
// net/http's own bodies allow a Close during a Read.
type drain struct {
	body    io.ReadCloser
	late    atomic.Bool
	done    chan struct{} // closed when the body is; guards what follows
	held    []byte
	err     error
	crashed any
}

// A failure is what an attempt replaces.
type failure struct {
	status int
	err    error
	kept   *http.Response // the last response from the server up to then, kept in memory
}

// replace sets the response in hand aside for another attempt.
func (r *round) replace(resp *http.Response, err error) {
	f := &failure{err: err}
	switch {
	case resp != nil:
		f.status = resp.StatusCode
		f.kept = setAside(resp, r.newest.cancel)
	case err != nil:
		if _, refused := refusedBy(err); refused {
			f.kept = r.kept()
		}
	}
	r.replaced = f
}

// kept returns the last response from the server, if it was set aside in memory.
func (r *round) kept() *http.Response {
	if r.replaced == nil {
		return nil
	}
	return r.replaced.kept
}

// setAside ends a response that another attempt is to replace. If all of its body arrives
// within the limits, it returns the response with the body in memory, for the case that
// the attempt is not made. Otherwise it returns nil, and the body of resp is what arrived
// and then an error. cancel ends the attempt if it is not nil.
func setAside(resp *http.Response, cancel context.CancelCauseFunc) *http.Response {
	body := resp.Body
	if body == nil || body == http.NoBody {
		return resp
	}
	resp.Body = givenUp(nil)
	if resp.StatusCode == http.StatusSwitchingProtocols || resp.ContentLength > drainBytes {
		body.Close()
		return nil
	}
	// Where net/http decompresses, a Read that waits for the start of the body
	// holds a lock that Close needs, and only the end of its context ends it.
	if resp.Uncompressed && cancel == nil {
		body.Close()
		return nil
	}
	d := &drain{body: body, done: make(chan struct{})}
	go d.run()
	if !d.wait(cancel) {
		return nil
	}
	if d.crashed != nil {
		panic(d.crashed) // on the goroutine of the caller, as if the base panicked
	}
	if d.err != nil || len(d.held) > drainBytes {
		resp.Body = givenUp(d.held)
		return nil
	}
	resp.Body = io.NopCloser(bytes.NewReader(d.held))
	return resp
}

// wait reports whether the body is read and closed. One that takes too long is
// ended by the context of its attempt. Without one, a Close ends a Read of
// net/http's own bodies, which allow the two at once. Another body is left to
// its reader, which closes it after the Read at hand: nothing can end that
// Read, and the call does not wait for it.
func (d *drain) wait(cancel context.CancelCauseFunc) bool {
	timer := time.NewTimer(drainTime)
	defer timer.Stop()
	select {
	case <-d.done:
		return true
	case <-timer.C:
	}
	d.late.Store(true)
	switch {
	case cancel != nil:
		cancel(nil)
	case isNetHTTP(d.body):
		d.body.Close()
	}
	if cancel != nil || isNetHTTP(d.body) {
		timer.Reset(drainTime)
		select {
		case <-d.done:
			return true
		case <-timer.C:
		}
	}
	time.AfterFunc(drainLeft, func() {
		select {
		case <-d.done:
		default:
			d.body.Close()
		}
	})
	return false
}

func (d *drain) run() {
	defer close(d.done)
	defer func() { d.crashed = recover() }()
	defer d.body.Close()
	d.held, d.err = io.ReadAll(io.LimitReader(d, drainBytes+1))
}

func (d *drain) Read(p []byte) (int, error) {
	for range drainEmpty {
		if d.late.Load() {
			return 0, errGivenUp
		}
		if n, err := d.body.Read(p); n != 0 || err != nil {
			return n, err
		}
	}
	return 0, io.ErrNoProgress
}

// isNetHTTP reports whether net/http made the body.
func isNetHTTP(body io.ReadCloser) bool {
	t := reflect.TypeOf(body)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return strings.HasPrefix(t.PkgPath(), "net/http")
}

// givenUp is a body of which only the start was kept.
func givenUp(start []byte) io.ReadCloser {
	return io.NopCloser(io.MultiReader(bytes.NewReader(start), brokenOff{}))
}

type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, errGivenUp }

func closeBody(resp *http.Response) {
	if resp.Body != nil {
		resp.Body.Close()
	}
}

// isRedirect reports whether http.Client is about to send the same body elsewhere. It
// calls GetBody by itself, even before it closes the response. A response that is too long
// to set aside stays as it is, because the caller may want it.
func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != "" && resp.ContentLength >= 0 && resp.ContentLength <= drainBytes
	}
	return false
}
