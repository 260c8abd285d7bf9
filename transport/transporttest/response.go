package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

var responseChecks = []check{
	{"response_or_error", "Never a response and an error together, and never neither.", everywhere, responseOrError},
	{"response_complete", "A response is passed on as it came: with its Request, header, length and protocol, and a Body that is never nil.", everywhere, responseComplete},
	{"status_is_no_error", "A status is never turned into an error: the response is returned with its body unread.", everywhere, statusIsNoError},
	{"error_kept", "An error of the base keeps its identity, and its Timeout stays what it was.", stub, errorKept},
	{"broken_body", "A response that breaks off is a response, whose body ends with an error.", everywhere, brokenBody},
	{"response_closed", "The body of a response that is dropped or closed is closed all the way down.", everywhere, responseClosed},
	{"panic_passes", "A panic of the base passes through and leaks nothing.", everywhere, panicPasses},
	{"goroutines_end", "No goroutine outlives a call.", everywhere, goroutinesEnd},
}

// The rule is part of every call, see finish: this check is where it has a
// name.
func responseOrError(e *env) error {
	return e.each(func(*play) error { return nil })
}

func responseComplete(e *env) error {
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["X-Two"] = []string{"one", "two"}
		switch r.URL.Path {
		case "/204":
			w.WriteHeader(http.StatusNoContent)
		case "/304":
			w.WriteHeader(http.StatusNotModified)
		default:
			w.Header().Set("Content-Length", "5")
			io.WriteString(w, "hello")
		}
	}))
	for _, tt := range []struct {
		method, path string
		code         int
		length       int64
		body         string
	}{
		{"GET", "/", 200, 5, "hello"},
		{"", "/", 200, 5, "hello"},
		{"HEAD", "/", 200, 5, ""},
		{"GET", "/204", 204, 0, ""},
		{"GET", "/304", 304, 0, ""},
	} {
		req, _ := e.request(kinds[0], tt.path)
		req.Method = tt.method
		resp, err := e.send(req)
		if err != nil {
			return fmt.Errorf("%q %s: %w", tt.method, tt.path, err)
		}
		body, err := e.text(resp)
		switch {
		case err != nil:
		case resp.StatusCode != tt.code || body != tt.body:
			err = fmt.Errorf("got %d %q, want %d %q", resp.StatusCode, body, tt.code, tt.body)
		case tt.code != http.StatusNotModified && resp.ContentLength != tt.length:
			err = fmt.Errorf("got ContentLength %d, want %d", resp.ContentLength, tt.length)
		case strings.Join(resp.Header["X-Two"], ",") != "one,two":
			err = fmt.Errorf("got the header X-Two as %q, want one and two", resp.Header["X-Two"])
		case resp.Request == nil || resp.Request.URL == nil || resp.Request.URL.String() != req.URL.String():
			err = errors.New("the Request of the response is not the one that was sent")
		case e.ground == http2 && (resp.ProtoMajor != 2 || resp.TLS == nil):
			err = fmt.Errorf("got %s, want HTTP/2.0 with its TLS", resp.Proto)
		}
		if err != nil {
			return fmt.Errorf("%q %s: %w", tt.method, tt.path, err)
		}
	}
	return nil
}

func statusIsNoError(e *env) error {
	e.serve(e.peer())
	codes := []int{200, 202, 203, 206, 226, 299, 400, 401, 402, 403, 404, 405, 409, 410, 412, 416, 418, 451, 499, 501, 505, 510, 599, 999}
	if e.ground == stub { // where it costs nothing to send these again
		codes = append(codes, 407, 408, 421, 425, 429, 500, 502, 503, 504, 507, 508, 511)
	} else {
		codes = append(codes, 503)
	}
	for _, code := range codes {
		for _, k := range kinds {
			if code == 503 && e.ground != stub && k.method == "PUT" {
				continue
			}
			req, _ := e.request(k, fmt.Sprintf("/status/%d", code))
			resp, err := e.send(req)
			if err != nil {
				return fmt.Errorf("%s answered %d: %w", k.name, code, err)
			}
			body, err := e.text(resp)
			if err != nil {
				return fmt.Errorf("%s answered %d: %w", k.name, code, err)
			}
			if resp.StatusCode != code || body != answerOf(code) || resp.Header.Get("X-Echo") != fmt.Sprint(code) {
				return fmt.Errorf("%s answered %d %q came back as %d %q with header %v", k.name, code, answerOf(code), resp.StatusCode, body, resp.Header)
			}
		}
	}
	return nil
}

var errFault = errors.New("the base broke")

// A fault is an error that says more of itself.
type fault struct {
	error
	timeout, temporary bool
}

func (f fault) Timeout() bool   { return f.timeout }
func (f fault) Temporary() bool { return f.temporary }
func (f fault) Unwrap() error   { return f.error }

// faults are errors as a base has them.
var faults = []error{
	errFault,
	io.EOF,
	io.ErrUnexpectedEOF,
	fault{errFault, false, false},
	fault{errFault, true, false},
	fault{errFault, true, true},
	fault{errFault, false, true},
	http.ErrAbortHandler,
	http.ErrSchemeMismatch,
}

func errorKept(e *env) error {
	for _, want := range faults {
		e.over(roundTripper(func(req *http.Request) (*http.Response, error) {
			closeBody(req)
			return nil, want
		}))
		for _, k := range kinds {
			req, _ := e.request(k, "/")
			r, err := e.call(req)
			switch {
			case err != nil:
			case r.err == nil:
				err = fmt.Errorf("it came back as %v", r)
			case !errors.Is(r.err, want):
				err = fmt.Errorf("it came back as %v, in which errors.Is does not find it", r)
			case isTimeout(r.err) != isTimeout(want):
				err = fmt.Errorf("its Timeout was %v and came back as %v", isTimeout(want), isTimeout(r.err))
			}
			if err != nil {
				return fmt.Errorf("%s failed with %T %q: %w", k.name, want, want, err)
			}
		}
	}
	return nil
}

func brokenBody(e *env) error {
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		io.WriteString(w, "hello")
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	for _, k := range kinds {
		req, _ := e.request(k, "/")
		resp, err := e.send(req)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if body, err := e.text(resp); err == nil {
			return fmt.Errorf("%s: a body that breaks off after 5 of 100 bytes was read as %q without an error", k.name, body)
		}
	}
	return nil
}

func responseClosed(e *env) error {
	err := e.each(func(p *play) error {
		if !e.eventually(func() bool { return e.base.unclosed() == 0 }) {
			return fmt.Errorf("%d responses of the base were not closed", e.base.unclosed())
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, k := range kinds { // and without reading
		req, _ := e.request(k, "/status/404")
		resp, err := e.send(req)
		if err != nil {
			return err
		}
		resp.Body.Close()
		if !e.eventually(func() bool { return e.base.unclosed() == 0 }) {
			return fmt.Errorf("%s: the response was closed unread, but not that of the base", k.name)
		}
	}
	return nil
}

func panicPasses(e *env) error {
	e.serve(e.peer())
	for _, want := range []any{errPanic, "a text", http.ErrAbortHandler} {
		for _, k := range kinds {
			p, err := e.panicking(k, want)
			p.ctx.cancel()
			if err != nil {
				return fmt.Errorf("%s whose base panics with %v: %w", k.name, want, err)
			}
		}
	}
	return nil
}

func (e *env) panicking(k kind, want any) (*play, error) {
	p := &play{kind: k, ctx: newCallerContext(e.ctx)}
	p.req, p.bodies = e.request(k, "/echo")
	e.base.set(want, nil)
	r, err := e.call(p.req.WithContext(p.ctx))
	e.base.set(nil, nil)
	switch {
	case err != nil:
		return p, err
	case r.panicked == nil:
		return p, fmt.Errorf("RoundTrip ended with %v", r)
	case r.panicked != want:
		return p, fmt.Errorf("RoundTrip panicked with %#v", r.panicked)
	case !e.eventually(func() bool { return p.bodies.unclosed() == 0 }):
		return p, errors.New("the request's body was not closed")
	case !e.eventually(func() bool { return p.ctx.held() == 0 }):
		return p, errors.New("a context derived from the caller's was not cancelled")
	}
	// What a layer holds during a call must not stay held.
	again, _ := e.request(k, "/echo")
	resp, err := e.send(again)
	if err == nil {
		_, err = e.text(resp)
	}
	if err != nil {
		err = fmt.Errorf("the call after it: %w", err)
	}
	return p, err
}

func goroutinesEnd(e *env) error {
	return e.each(func(*play) error {
		var where string
		over := e.eventually(func() bool {
			if e.server != nil {
				e.closeIdle() // connections have goroutines of their own
			}
			var n int
			n, where = e.goroutines()
			return n == 0
		})
		if !over {
			return fmt.Errorf("these goroutines did not end:\n%s", where)
		}
		return nil
	})
}

func (e *env) closeIdle() { e.server.Client().CloseIdleConnections() }
