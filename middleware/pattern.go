package middleware

import (
	"cmp"
	"context"
	"net/http"
)

// WithRoute sets how the route of a request is called: in [Event.Pattern], and
// so in metrics and logs, and where WithShedding measures each route by itself.
// It is asked when a request comes, so that one which is refused has a name,
// and once it is served, with the request that the handler was given; the later
// answer counts, unless it is "". A router that can be asked beforehand is best
// asked both times, as [RouteOf] does with a ServeMux. There should be few
// names, such as patterns, and never paths: metrics have a series for each, and
// of the routes past 256 WithShedding does not tell one from another.
//
// The default is the Pattern of the request, which a ServeMux sets, and nobody
// else has to. It is "" for requests that are refused, and where a layer in
// between hands on a copy of the request, if there is no [Routed] inside. Other
// routers, and requests without a name, count as one route.
func WithRoute(of func(*http.Request) string) Option {
	return func(c *config) { c.route = of }
}

// RouteOf is for [WithRoute]: it asks mux which pattern a request matches. The
// layers between the middleware and mux must not change method, host or path.
func RouteOf(mux *http.ServeMux) func(*http.Request) string {
	return func(r *http.Request) string {
		_, pattern := mux.Handler(r)
		return pattern
	}
}

// Routed returns a handler that serves by mux and hands the pattern that
// matched back to the middleware, through layers in between that copy the
// request, as every r.WithContext does, or change it, as http.StripPrefix does.
// A layer that also hides the ResponseWriter, and has no Unwrap for it, is
// passed by the context of [WithAttempts] or [WithDeadlines]. Requests that are
// refused never get there: [WithRoute] names them too.
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
		if name := of(x.request); name != "" {
			x.note(func(r *rare) { r.route = name })
		}
	}
	return cmp.Or(x.noted().route, x.request.Pattern)
}
