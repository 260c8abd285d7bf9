package transporttest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
)

var mutants = slices.Concat(requestMutants, bodyMutants, repeatMutants, copyMutants, responseMutants, passedOnMutants, contextMutants, streamMutants, clientMutants)

// before makes a layer that does something with the request before it sends it.
func before(f func(*http.Request) *http.Request) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) { return base.RoundTrip(f(req)) })
	}
}

// after makes a layer that does something with the answer.
func after(f func(*http.Response, error) (*http.Response, error)) func(http.RoundTripper) http.RoundTripper {
	return func(base http.RoundTripper) http.RoundTripper {
		return roundTripper(func(req *http.Request) (*http.Response, error) { return f(base.RoundTrip(req)) })
	}
}

// answered makes a layer that does something with the body of the response.
func answered(f func(io.ReadCloser) io.ReadCloser) func(http.RoundTripper) http.RoundTripper {
	return after(func(resp *http.Response, err error) (*http.Response, error) {
		if err == nil {
			resp.Body = f(resp.Body)
		}
		return resp, err
	})
}

// sent makes a layer that does something with the body of a copy of the request.
func sent(f func(io.ReadCloser) io.ReadCloser) func(http.RoundTripper) http.RoundTripper {
	return before(func(req *http.Request) *http.Request {
		if req.Body == nil || req.Body == http.NoBody {
			return req
		}
		req = req.WithContext(req.Context())
		req.Body = f(req.Body)
		return req
	})
}

func under(f func(context.Context) context.Context) func(http.RoundTripper) http.RoundTripper {
	return before(func(req *http.Request) *http.Request { return req.WithContext(f(req.Context())) })
}

func swallow(body io.ReadCloser) io.ReadCloser {
	b, _ := io.ReadAll(body)
	body.Close()
	return io.NopCloser(bytes.NewReader(b))
}

type reader struct {
	io.Reader
	io.Closer
}

type valueless struct{ context.Context }

func (valueless) Value(any) any { return nil }

// idle makes a layer that does something with CloseIdleConnections.
type idle struct {
	http.RoundTripper
	close func(c func())
}

func (i idle) CloseIdleConnections() {
	i.close(i.RoundTripper.(interface{ CloseIdleConnections() }).CloseIdleConnections)
}

type textError string

func (e textError) Error() string { return string(e) }

// closer, reading and ending are what the bodies of mutants do.
type closer struct {
	io.Closer
	then func()
}

func (c closer) Close() error { defer c.then(); return c.Closer.Close() }

type reading struct {
	io.Reader
	then func()
}

func (r reading) Read(p []byte) (int, error) { defer r.then(); return r.Reader.Read(p) }

type ending struct {
	io.Reader
	then func()
}

func (r ending) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.then()
	}
	return n, err
}
