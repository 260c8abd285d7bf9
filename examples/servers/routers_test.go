package servers_test

import (
	"cmp"
	"io"
	"log"
	"net/http"
	"testing"

	"github.com/datapunk/evenkeel/middleware"
	"github.com/gin-gonic/gin"
	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware"
	"github.com/gorilla/mux"
	"github.com/labstack/echo/v4"
	"github.com/urfave/negroni/v3"
)

var silent = log.New(io.Discard, "", 0)

func chiHandler(router chi.Router, options []middleware.Option) (http.Handler, error) {
	// README: chi
	wrap, err := middleware.New(append(options, middleware.WithRoute(func(r *http.Request) string {
		c := chi.NewRouteContext()
		router.Match(c, r.Method, cmp.Or(r.URL.RawPath, r.URL.Path))
		return c.RoutePattern()
	}))...)
	if err != nil {
		return nil, err
	}
	handler := wrap(router)
	// README: end
	return handler, nil
}

func TestChi(t *testing.T) {
	a := newApp()
	router := chi.NewRouter()
	router.Use(chimiddleware.Recoverer, chimiddleware.Compress(5))
	users := chi.NewRouter()
	users.HandleFunc("/{id}", a.user)
	router.Mount("/users", users)
	router.HandleFunc("/events", a.stream)
	router.HandleFunc("/socket", a.socket)
	router.HandleFunc("/block", a.block)
	h, err := chiHandler(router, a.options())
	if err != nil {
		t.Fatal(err)
	}
	a.drive(t, h, "/users/{id}", "/users/{id}")
	url := start(t, h)
	for path, want := range map[string]string{"/users/a%2Fb": "/users/{id}", "/nowhere": ""} {
		get(t, url+path)
		if e := a.event(t); e.Pattern != want {
			t.Errorf("the route of %s is %q, want %q", path, e.Pattern, want)
		}
	}
}

func gorillaHandler(router *mux.Router, options []middleware.Option) (http.Handler, error) {
	// README: gorilla
	wrap, err := middleware.New(append(options, middleware.WithRoute(func(r *http.Request) string {
		var match mux.RouteMatch
		if !router.Match(r, &match) || match.Route == nil {
			return ""
		}
		name, _ := match.Route.GetPathTemplate()
		return name
	}))...)
	if err != nil {
		return nil, err
	}
	handler := wrap(router)
	// README: end
	return handler, nil
}

func TestGorilla(t *testing.T) {
	a := newApp()
	router := mux.NewRouter()
	router.PathPrefix("/users").Subrouter().HandleFunc("/{id}", a.user)
	router.HandleFunc("/events", a.stream)
	router.HandleFunc("/socket", a.socket)
	router.HandleFunc("/block", a.block)
	h, err := gorillaHandler(router, a.options())
	if err != nil {
		t.Fatal(err)
	}
	a.drive(t, h, "/users/{id}", "/users/{id}")
	get(t, start(t, h)+"/nowhere")
	if e := a.event(t); e.Pattern != "" {
		t.Errorf("the route of no handler is %q, want none", e.Pattern)
	}
}

func ginHandler(engine *gin.Engine, options []middleware.Option) (http.Handler, error) {
	// README: gin
	engine.Use(func(c *gin.Context) { c.Request.Pattern = c.FullPath() })
	wrap, err := middleware.New(options...)
	if err != nil {
		return nil, err
	}
	handler := wrap(engine)
	// README: end
	return handler, nil
}

func TestGin(t *testing.T) {
	a := newApp()
	gin.SetMode(gin.ReleaseMode)
	engine := gin.New()
	h, err := ginHandler(engine, a.options())
	if err != nil {
		t.Fatal(err)
	}
	engine.GET("/users/:id", gin.WrapF(a.user))
	engine.GET("/events", func(c *gin.Context) {
		n := 0
		c.Stream(func(io.Writer) bool { // asks for CloseNotify
			if n++; n == 2 {
				a.await(c.Request)
			}
			c.SSEvent("", n)
			return n < 2
		})
	})
	engine.GET("/socket", gin.WrapF(a.socket))
	engine.GET("/block", gin.WrapF(a.block))
	a.drive(t, h, "/users/:id", "")
}

func echoHandler(e *echo.Echo, options []middleware.Option) (http.Handler, error) {
	// README: echo
	wrap, err := middleware.New(append(options, middleware.WithRoute(func(r *http.Request) string {
		c := e.NewContext(r, nil)
		e.Router().Find(r.Method, echo.GetPath(r), c)
		return c.Path()
	}))...)
	if err != nil {
		return nil, err
	}
	handler := wrap(e)
	// README: end
	return handler, nil
}

func TestEcho(t *testing.T) {
	a := newApp()
	e := echo.New()
	e.GET("/users/:id", func(c echo.Context) error { return c.String(200, "Ann") })
	for path, h := range map[string]http.HandlerFunc{"/events": a.stream, "/socket": a.socket, "/block": a.block} {
		e.GET(path, func(c echo.Context) error {
			h(c.Response(), c.Request())
			return nil
		})
	}
	h, err := echoHandler(e, a.options())
	if err != nil {
		t.Fatal(err)
	}
	a.drive(t, h, "/users/:id", "/users/:id")
	get(t, start(t, h)+"/nowhere")
	if e := a.event(t); e.Pattern != "" {
		t.Errorf("the route of no handler is %q, want none", e.Pattern)
	}
}

func negroniHandler(recovery *negroni.Recovery, mux *http.ServeMux, options []middleware.Option) (http.Handler, error) {
	// README: negroni
	wrap, err := middleware.New(append(options, middleware.WithRoute(middleware.RouteOf(mux)))...)
	if err != nil {
		return nil, err
	}
	n := negroni.New(recovery)
	n.UseHandler(mux)
	handler := wrap(n)
	// README: end
	return handler, nil
}

func TestNegroni(t *testing.T) {
	a := newApp()
	recovery := negroni.NewRecovery()
	recovery.Logger = silent
	h, err := negroniHandler(recovery, a.mux(), a.options())
	if err != nil {
		t.Fatal(err)
	}
	a.drive(t, h, "/users/{id}", "/users/{id}")

	wrap, err := middleware.New(a.options()...)
	if err != nil {
		t.Fatal(err)
	}
	outside := negroni.New(recovery)
	outside.UseHandler(wrap(a.mux()))
	for _, tt := range []struct {
		name   string
		h      http.Handler
		result middleware.Result
	}{
		{"recovery inside", h, middleware.ResultServerError},
		{"recovery outside", outside, middleware.ResultPanicked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if resp, _ := get(t, start(t, tt.h)+"/fail"); resp.StatusCode != 500 {
				t.Errorf("a bug gives %s, want 500", resp.Status)
			}
			if got := a.event(t).Result(); got != tt.result {
				t.Errorf("the middleware says %s, want %s", got, tt.result)
			}
		})
	}
}
