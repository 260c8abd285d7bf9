package middleware

import (
	"cmp"
	"context"
	"net/http"
)

// WithRoute sets the name of the route of a request. It is in [Event.Pattern], and so
// in metrics and logs, and WithShedding measures each route by itself. There should be
// few names, such as patterns, and never paths: metrics have a series for each, and
// WithShedding measures the routes beyond 256 together.
//
// The func is called when a request arrives, so that a refused request has a name
// too, and again when it has been served, with the request that the handler got. The
// later name counts unless it is "". A router that can be asked beforehand is best
// asked both times, as [RouteOf] does with a ServeMux.
//
// The default is the Pattern of the request, which a ServeMux sets. It is "" for
// requests that are refused, with other routers, and if a layer in between passes on
// a copy of the request, unless [Routed] is inside of it. Requests without a name
// count as one route. Nil means the default.
func WithRoute(of func(*http.Request) string) Option {
	return func(c *config) { c.route = of }
}

// RouteOf returns a func for [WithRoute] that asks mux which pattern a request
// matches. Layers between the middleware and mux must not change method, host or
// path.
func RouteOf(mux *http.ServeMux) func(*http.Request) string {
	return func(r *http.Request) string {
		_, pattern := mux.Handler(r)
		return pattern
	}
}

// Routed returns a handler that serves by mux and hands the pattern that matched back
// to the middleware. Use it if layers in between copy the request, as every
// r.WithContext does, or change it, as http.StripPrefix does. A layer may hide the
// ResponseWriter and have no Unwrap; then Routed needs [WithAttempts] or
// [WithDeadlines]. Refused requests do not get there: [WithRoute] names them too.
func Routed(mux *http.ServeMux) http.Handler {
	of := RouteOf(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Asked beforehand, since a stream is named when it begins.
		if x := exchangeOf(r.Context(), w); x != nil {
			pattern := of(r)
			x.note(func(r *rare) { r.route = cmp.Or(r.route, pattern) })
		}
		mux.ServeHTTP(w, r)
	})
}

type exchangeKey struct{}

// exchangeOf finds the exchange whose handler is called with these.
func exchangeOf(ctx context.Context, w http.ResponseWriter) *exchange {
	for {
		if s, ok := w.(shape); ok {
			return s.self()
		}
		u, ok := w.(unwrapper)
		if !ok {
			x, _ := ctx.Value(exchangeKey{}).(*exchange)
			return x
		}
		w = u.Unwrap()
	}
}

// pattern names the route of a request that was served, or refused.
func (x *exchange) pattern() string {
	if of := x.machine.route; of != nil && !x.named {
		x.named = true
		x.route = cmp.Or(of(x.request), x.route)
	}
	if x.route != "" {
		return x.route
	}
	if r := x.rare.Load(); r != nil && r.route != "" {
		return r.route
	}
	return x.request.Pattern
}
