package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// named prints what the routes of requests are called.
var named = middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
	fmt.Printf("%d %q\n", e.Status, e.Pattern)
}})

// A router that can be asked names requests that are refused too. This is how
// to ask that of chi, where mux is a chi.Router:
//
//	middleware.WithRoute(func(r *http.Request) string {
//		c := chi.NewRouteContext()
//		mux.Match(c, r.Method, r.URL.Path)
//		return c.RoutePattern()
//	})
//
// that of gorilla/mux:
//
//	middleware.WithRoute(func(r *http.Request) string {
//		var m mux.RouteMatch
//		if !router.Match(r, &m) || m.Route == nil {
//			return ""
//		}
//		name, _ := m.Route.GetPathTemplate()
//		return name
//	})
//
// and that of echo, where e is an *echo.Echo:
//
//	middleware.WithRoute(func(r *http.Request) string {
//		c := e.NewContext(r, nil)
//		e.Router().Find(r.Method, r.URL.Path, c)
//		return c.Path()
//	})
//
// gin cannot be asked, but can say it later, and needs no WithRoute for that:
//
//	engine.Use(func(c *gin.Context) { c.Request.Pattern = c.FullPath() })
func ExampleWithRoute() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {},
		middleware.WithRoute(func(r *http.Request) string {
			first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			switch first {
			case "users", "orders":
				return first
			}
			return "other"
		}),
		middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 2, Per: time.Hour}}),
		named,
	)
	get(h, "/users/7")
	get(h, "/favicon.ico")
	get(h, "/orders/12")
	// Output:
	// 200 "users"
	// 200 "other"
	// 429 "orders"
}

func ExampleRouteOf() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {})
	h := wrapped(http.TimeoutHandler(mux, time.Second, "").ServeHTTP, // hands on a copy of the request
		middleware.WithRoute(middleware.RouteOf(mux)),
		middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Hour}}),
		named,
	)
	get(h, "/users/7")
	get(h, "/users/8")
	// Output:
	// 200 "GET /users/{id}"
	// 429 "GET /users/{id}"
}

// The mux sees another path than the middleware, so it cannot be asked, but it
// can hand back what it found.
func ExampleRouted() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /users/{id}", func(w http.ResponseWriter, r *http.Request) {})
	get(wrapped(http.StripPrefix("/api", mux).ServeHTTP, named), "/api/users/7")
	get(wrapped(http.StripPrefix("/api", middleware.Routed(mux)).ServeHTTP, named), "/api/users/7")
	// Output:
	// 200 ""
	// 200 "GET /users/{id}"
}
