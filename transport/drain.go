package transport

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"time"
)

// What is left of a response that another attempt replaces is read within
// these bounds, so that its connection can be used again. A connection that
// would take more is cheaper to open anew.
const (
	drainBytes = 64 << 10
	drainTime  = 50 * time.Millisecond
	drainEmpty = 100 // reads in a row that bring nothing, as many as bufio allows
)

// drainLeft is how long a reader is left alone that nothing frees. Then its
// body is closed under it, or goroutine and connection might stay for ever.
const drainLeft = 5 * time.Second

// errGivenUp ends the body of a response that was given up for an attempt that
// could not be made after all.
var errGivenUp = errors.New("transport: the rest of this body was given up for another attempt")

// A drain reads what is left of a body and closes it, both on a goroutine of
// its own: a body that is not net/http's need not allow a Close during a Read.
type drain struct {
	body    io.ReadCloser
	late    atomic.Bool
	done    chan struct{} // closed when the body is; guards what follows
	held    []byte
	err     error
	crashed any
}

// setAside ends the exchange of a response that another attempt is to replace.
// It returns the response with its body held in memory if all of it came
// within the bounds: should there be no other attempt after all, the response
// is still the last real one. Else it returns nil, and the body of resp is what
// came and then an error. cancel, if not nil, ends the attempt.
func setAside(resp *http.Response, cancel func()) *http.Response {
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
		panic(d.crashed) // on the goroutine of the caller, where a base panics
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
func (d *drain) wait(cancel func()) bool {
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
		cancel()
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

// isRedirect reports whether http.Client is about to send the same body
// elsewhere: it asks for GetBody by itself, even before it closes the response.
// A response that is too long to be set aside, which another caller may want,
// stays as it came.
func isRedirect(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != "" && resp.ContentLength >= 0 && resp.ContentLength <= drainBytes
	}
	return false
}
