package transport

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
)

// Middleware wraps a RoundTripper with another one. The Wrap method of a
// breaker set and any func of this shape from another library are assignable
// to it.
type Middleware func(next http.RoundTripper) http.RoundTripper

// RoundTripperFunc lets a func serve as an [http.RoundTripper].
type RoundTripperFunc func(*http.Request) (*http.Response, error)

// RoundTrip calls f.
func (f RoundTripperFunc) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// Chain puts the middlewares around base. The first is the outermost: it sees
// a request first and its response last. A nil base is
// [http.DefaultTransport]; nil middlewares are skipped. Chain panics if a
// middleware returns nil, which an [http.Client] would take for
// http.DefaultTransport.
//
// CloseIdleConnections reaches the base, or the outermost layer that has the
// method: middlewares that are funcs need not have it.
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
