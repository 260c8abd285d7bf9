package transport

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
)

// A Middleware wraps a RoundTripper in another one. The Wrap method of a breaker.Set
// can be assigned to it, and so can any func of this type from another library.
type Middleware func(next http.RoundTripper) http.RoundTripper

// A RoundTripperFunc is a func used as an [http.RoundTripper].
type RoundTripperFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Chain puts middlewares around base. The first is the outermost: it sees a request
// first and its response last. A nil base is [http.DefaultTransport]. Nil middlewares
// are skipped. Chain panics if a middleware returns nil, which an [http.Client] would
// take for http.DefaultTransport.
//
// CloseIdleConnections calls the method of the outermost layer that has one, or that of
// the base.
func Chain(base http.RoundTripper, mw ...Middleware) http.RoundTripper {
	rt, errs := chained(base, mw)
	if len(errs) > 0 {
		panic("transport: Chain: " + errors.Join(errs...).Error())
	}
	return rt
}

// chained is Chain with errors, next to which it returns the layers that are
// right.
func chained(base http.RoundTripper, mw []Middleware) (http.RoundTripper, []error) {
	var errs []error
	if base == nil {
		base = http.DefaultTransport
	}
	idle, has := base.(idleCloser)
	for i, wrap := range slices.Backward(mw) {
		if wrap == nil {
			continue
		}
		next := wrap(base)
		if isNil(next) {
			errs = slices.Insert(errs, 0, fmt.Errorf("middleware %d of %d returned nil, want a RoundTripper", i+1, len(mw)))
			continue
		}
		base = next
		var own idleCloser
		if own, has = base.(idleCloser); has {
			idle = own
		}
	}
	if has || idle == nil {
		return base, errs
	}
	return &chain{RoundTripper: base, idleCloser: idle}, errs
}

// isNil reports whether v is nil, or a pointer or func in an interface that is:
// what a constructor returns whose error was ignored.
func isNil(v any) bool {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Func, reflect.Map:
		return r.IsNil()
	}
	return false
}

// idleCloser is what http.Client looks for.
type idleCloser interface{ CloseIdleConnections() }

// chain forwards CloseIdleConnections past layers that do not.
type chain struct {
	http.RoundTripper
	idleCloser
}
