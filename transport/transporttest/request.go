package transporttest

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
)

var requestChecks = []check{
	{"request_unchanged", "The caller's request is never changed.", everywhere, requestUnchanged},
	{"request_reused", "The caller's request is never changed, so that it can be sent again.", everywhere, requestReused},
	{"request_malformed", "A request without URL or Header gets the base's own error and its body is closed.", everywhere, requestMalformed},
	{"request_uri", "A request that has a RequestURI, as those of a reverse proxy do, is sent like any other.", everywhere, requestURI},
	{"request_framing", "Content-Length and Transfer-Encoding are the same on every attempt as the caller set them.", everywhere, requestFraming},
	{"concurrent_use", "A RoundTripper is safe for concurrent use, and the calls do not mix.", everywhere, concurrentUse},
}

func requestUnchanged(e *env) error {
	return e.each(func(p *play) error { return p.changed })
}

func requestReused(e *env) error {
	e.serve(e.peer())
	req, _ := e.request(kinds[0], "/echo")
	var first http.Header
	for range 3 {
		sent := len(e.base.requests())
		resp, err := e.send(req)
		if err != nil {
			return err
		}
		if _, err := e.text(resp); err != nil {
			return err
		}
		for _, attempt := range e.base.requests()[sent:] {
			if first == nil {
				first = attempt.Header.Clone()
			}
			// A layer may mark what it sends again, but not pile up marks.
			for name, values := range attempt.Header {
				if len(values) > max(1, len(first[name])) {
					return fmt.Errorf("%s reached the base as %q when the same request was sent again, as %q at first", name, values, first[name])
				}
			}
		}
	}
	return nil
}

func requestMalformed(e *env) error {
	e.serve(e.peer())
	for _, tt := range []struct {
		what string
		with func(*http.Request)
	}{
		{"no URL", func(r *http.Request) { r.URL = nil }},
		{"no Header", func(r *http.Request) { r.Header = nil }},
		{"no URL and no Header", func(r *http.Request) { r.URL, r.Header = nil, nil }},
	} {
		for _, k := range kinds {
			req, bodies := e.request(k, "/echo")
			tt.with(req)
			before := portray(req)
			r, err := e.call(req)
			switch {
			case err != nil:
			case r.err == nil:
				err = fmt.Errorf("RoundTrip ended with %v, want an error", r)
			case !e.eventually(func() bool { return bodies.unclosed() == 0 }):
				err = errors.New("the request's body was not closed")
			default:
				err = before.changed(req)
			}
			if err != nil {
				return fmt.Errorf("%s with %s: %w", k.name, tt.what, err)
			}
		}
	}
	return nil
}

func requestURI(e *env) error {
	e.serve(e.peer())
	for _, k := range kinds {
		req, _ := e.request(k, "/echo")
		req.RequestURI = "/elsewhere"
		resp, err := e.send(req)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		if _, err := e.text(resp); err != nil {
			return err
		}
	}
	return nil
}

func requestFraming(e *env) error {
	got := make(map[string][]int64) // by path: a copy that is given up may come late
	var mu sync.Mutex
	e.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		mu.Lock()
		defer mu.Unlock()
		lengths := append(got[r.URL.Path], r.ContentLength)
		got[r.URL.Path] = lengths
		if r.URL.Query().Has("again") && len(lengths) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	query := ""
	if e.ground == stub {
		query = "?again" // for a layer that does send again, where waiting is free
	}
	for i, tt := range []struct {
		what   string
		body   io.Reader
		length int64
		coding []string
		want   int64
	}{
		{what: "no body"},
		{what: "http.NoBody", body: http.NoBody},
		{what: "a body of known length", body: &source{r: strings.NewReader(content)}, length: int64(len(content)), want: int64(len(content))},
		{what: "a body of unknown length", body: &source{r: strings.NewReader(content)}, length: -1, want: -1},
		{what: "a body and ContentLength 0, which means unknown", body: &source{r: strings.NewReader(content)}, want: -1},
		{what: "a body and TransferEncoding chunked", body: &source{r: strings.NewReader(content)}, length: -1, coding: []string{"chunked"}, want: -1},
	} {
		path := fmt.Sprint("/", i)
		req, err := http.NewRequestWithContext(e.ctx, "PUT", e.url+path+query, tt.body)
		if err != nil {
			return err
		}
		req.ContentLength, req.TransferEncoding = tt.length, tt.coding
		sent := len(e.base.requests())
		resp, err := e.send(req)
		if err != nil {
			return fmt.Errorf("a PUT with %s: %w", tt.what, err)
		}
		if _, err := e.text(resp); err != nil {
			return err
		}
		for i, attempt := range e.base.requests()[sent:] {
			none := attempt.Body == nil || attempt.Body == http.NoBody
			if none != (req.Body == nil || req.Body == http.NoBody) || attempt.ContentLength != tt.length || strings.Join(attempt.TransferEncoding, ",") != strings.Join(tt.coding, ",") {
				return fmt.Errorf("a PUT with %s reached the base, attempt %d, with Body %T, ContentLength %d and TransferEncoding %q", tt.what, i+1, attempt.Body, attempt.ContentLength, attempt.TransferEncoding)
			}
		}
		mu.Lock()
		lengths := got[path]
		mu.Unlock()
		for i, n := range lengths {
			if n != tt.want {
				return fmt.Errorf("a PUT with %s reached the server, attempt %d, with Content-Length %d, want %d", tt.what, i+1, n, tt.want)
			}
		}
	}
	return nil
}

// The requests have one Header, which all may read and none may write.
func concurrentUse(e *env) error {
	const callers, calls = 16, 12
	e.serve(e.peer())
	shared, _ := e.request(kinds[0], "/echo")
	failed := make(chan error, callers)
	for g := range callers {
		go func() {
			for i := range calls {
				want := fmt.Sprintf("caller %d, call %d", g, i)
				req := shared.Clone(e.ctx)
				req.Method, req.Header = "PUT", shared.Header
				req.Body = &source{r: strings.NewReader(want)}
				req.ContentLength = int64(len(want))
				resp, err := e.send(req)
				if err != nil {
					failed <- err
					return
				}
				got, err := e.text(resp)
				if err == nil && got != want {
					err = fmt.Errorf("%q was answered %q", want, got)
				}
				if err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	var first error
	for range callers {
		if err := <-failed; err != nil && first == nil {
			first = fmt.Errorf("of %d callers at once: %w", callers, err)
		}
	}
	return first
}

var refusalChecks = []check{
	{"refusal", "A layer that refuses a request sends nothing, answers with a response or an error, and leaves request and context as if it had been sent.", stub, refusal},
}

func refusal(e *env) error {
	e.serve(e.peer())
	for _, ends := range []string{"", "before"} {
		for _, k := range kinds {
			p, err := e.play(k, outcome{name: "is refused", path: "/echo", ends: ends})
			if err == nil {
				err = e.refused(p)
			}
			p.ctx.cancel()
			if err != nil {
				return fmt.Errorf("%s: %w", k.name, err)
			}
		}
	}
	return nil
}

func (e *env) refused(p *play) error {
	switch {
	case len(e.base.requests()) > 0:
		return errors.New("the request was sent")
	case p.changed != nil:
		return p.changed
	case !e.eventually(func() bool { return p.bodies.unclosed() == 0 }):
		return errors.New("the request's body was not closed")
	case p.ctx.held() > 0:
		return errors.New("a context derived from the caller's was not cancelled")
	case p.result.resp != nil && p.result.resp.Request == nil:
		return errors.New("the response has no Request")
	}
	if n, where := e.goroutines(); n > 0 {
		return fmt.Errorf("%d goroutines were left behind:\n%s", n, where)
	}
	return nil
}
