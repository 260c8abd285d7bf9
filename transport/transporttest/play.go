package transporttest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
	"sync"
)

// A kind is a kind of request.
type kind struct {
	name   string
	method string
	length int64 // of the body: -1 unknown, 0 none
	rewind bool  // has GetBody
}

var kinds = []kind{
	{name: "a GET", method: "GET"},
	{name: "a POST with GetBody", method: "POST", length: int64(len(content)), rewind: true},
	{name: "a PUT of a stream", method: "PUT", length: -1},
}

const content = "what the caller sends"

// An outcome is a way for a call to go.
type outcome struct {
	name string
	path string
	ends string // how the caller ends it: "", before, while, deadline
}

var outcomes = []outcome{
	{name: "succeeds", path: "/echo"},
	{name: "is answered 401 unread", path: "/status/401"},
	{name: "is answered 503", path: "/status/503"},
	{name: "fails", path: "/cut"},
	{name: "was cancelled before", path: "/echo", ends: "before"},
	{name: "is cancelled while it waits", path: "/hang", ends: "while"},
	{name: "runs into its deadline", path: "/hang", ends: "deadline"},
	{name: "panics", path: "/panic"},
}

// errPanic is what the base panics with on /panic.
var errPanic = errors.New("the base panics")

// peer is the handler that has a path for each outcome.
func (e *env) peer() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/echo", func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Echo", r.Header.Get("X-Test"))
		w.Write(b)
	})
	mux.HandleFunc("/status/{code}", func(w http.ResponseWriter, r *http.Request) {
		code, _ := strconv.Atoi(r.PathValue("code"))
		w.Header().Set("X-Echo", r.PathValue("code"))
		w.WriteHeader(code)
		io.WriteString(w, answerOf(code))
	})
	mux.HandleFunc("/cut", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	mux.HandleFunc("/hang", func(_ http.ResponseWriter, r *http.Request) {
		select {
		case e.hangs <- struct{}{}:
		default:
		}
		select {
		case <-r.Context().Done():
		case <-e.ctx.Done():
		}
		panic(http.ErrAbortHandler)
	})
	return mux
}

func answerOf(code int) string { return "the answer is " + strconv.Itoa(code) }

// A play is one kind of request on the way to one outcome.
type play struct {
	kind
	outcome
	req     *http.Request
	ctx     *callerContext
	bodies  *bodies
	changed error // how the request differs from what it was
	result  result
}

// each plays every outcome with every kind of request, and shows how each
// went, once its response was read and closed.
func (e *env) each(see func(*play) error) error {
	e.serve(e.peer())
	for _, o := range outcomes {
		for _, k := range kinds {
			if e.ground != stub && (o.path == "/status/503" || o.path == "/cut" && k.method == "GET") {
				continue // a layer that waits before it sends again takes real time here
			}
			p, err := e.play(k, o)
			if err == nil {
				err = see(p)
			}
			p.ctx.cancel()
			if err != nil {
				return fmt.Errorf("%s that %s: %w", k.name, o.name, err)
			}
		}
	}
	return nil
}

func (e *env) play(k kind, o outcome) (*play, error) {
	ctx := newCallerContext(e.ctx)
	p := &play{kind: k, outcome: o, ctx: ctx}
	switch o.ends {
	case "before":
		ctx.cancel()
	case "deadline":
		ctx.expireIn(e.moment())
	}
	p.req, p.bodies = e.request(k, o.path)
	p.req = p.req.WithContext(ctx)
	before := portray(p.req)
	var mu sync.Mutex // two copies may be under way at once
	look := func() {
		mu.Lock()
		defer mu.Unlock()
		if p.changed == nil {
			p.changed = before.changed(p.req)
		}
	}
	var panics any
	if o.path == "/panic" {
		panics = errPanic
	}
	e.base.set(panics, look)
	defer e.base.set(nil, nil)
	done := e.start(p.req)
	if o.ends == "while" {
		if err := e.arrival(); err != nil {
			return p, err
		}
		ctx.cancel()
	}
	var err error
	if p.result, err = e.finish(done); err != nil {
		return p, err
	}
	if p.result.panicked != nil && panics == nil {
		return p, fmt.Errorf("RoundTrip ended with %v", p.result)
	}
	look()
	if resp := p.result.resp; resp != nil {
		if _, err := e.text(resp); err != nil {
			return p, err
		}
		look()
	}
	return p, nil
}

// request makes a request with something in every field that a layer might
// want to write.
func (e *env) request(k kind, path string) (*http.Request, *bodies) {
	made := &bodies{content: content}
	var body io.Reader
	if k.length != 0 {
		body = made.next()
	}
	req, err := http.NewRequestWithContext(e.ctx, k.method, e.url+path+"?q=1", body)
	if err != nil {
		panic(err) // of a name that the suite itself made
	}
	req.Header.Set("X-Test", path)
	req.Header["X-Two"] = []string{"one", "two"}
	req.ContentLength = k.length
	req.Form, req.PostForm = url.Values{"q": {"1"}}, url.Values{}
	// Over HTTP/2 a trailer that comes after the answer ends the connection, and
	// net/http may then leave a body open that it sends again.
	if k.length < 0 && e.ground == stub {
		req.Trailer = http.Header{"X-Sum": {"1"}}
	}
	if k.rewind {
		req.GetBody = func() (io.ReadCloser, error) { return made.next(), nil }
	}
	return req, made
}

// A portrait is what a request was like.
type portrait struct {
	req    http.Request
	header http.Header
	url    string
	ctx    context.Context
}

func portray(req *http.Request) *portrait {
	p := &portrait{req: *req.WithContext(req.Context()), header: req.Header.Clone(), ctx: req.Context()}
	p.req.Trailer, p.req.TransferEncoding = req.Trailer.Clone(), slices.Clone(req.TransferEncoding)
	p.req.Form, p.req.PostForm = url.Values(http.Header(req.Form).Clone()), url.Values(http.Header(req.PostForm).Clone())
	if req.URL != nil {
		p.url = req.URL.String()
	}
	return p
}

// changed says what is different now.
func (p *portrait) changed(req *http.Request) error {
	if req.Context() != p.ctx {
		return errors.New("the caller's request got another context")
	}
	if req.URL != nil && req.URL.String() != p.url {
		return fmt.Errorf("the URL of the caller's request changed from %s to %s", p.url, req.URL)
	}
	if !reflect.DeepEqual(req.Header, p.header) {
		return fmt.Errorf("the Header of the caller's request changed from %v to %v", p.header, req.Header)
	}
	was, is := reflect.ValueOf(&p.req).Elem(), reflect.ValueOf(req).Elem()
	for i := range was.NumField() {
		field := was.Type().Field(i)
		if !field.IsExported() {
			continue
		}
		a, b := was.Field(i), is.Field(i)
		same := reflect.DeepEqual(a.Interface(), b.Interface())
		switch {
		case field.Name == "Body":
			same = a.Interface() == b.Interface()
		case field.Type.Kind() == reflect.Func, field.Type.Kind() == reflect.Pointer:
			same = a.Pointer() == b.Pointer()
		}
		if !same {
			return fmt.Errorf("the %s of the caller's request is not what it was", field.Name)
		}
	}
	return nil
}
