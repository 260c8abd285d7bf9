package middleware_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func Example() {
	wrap, err := middleware.New(
		middleware.WithShedding(middleware.Shedding{}),
		middleware.WithAttempts(),
		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
	)
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hello", func(w http.ResponseWriter, r *http.Request) {
		info, _ := middleware.FromContext(r.Context())
		fmt.Fprintf(w, "attempt %d of %d, deadline %v", info.Attempt, info.MaxAttempts, !info.Deadline.IsZero())
	})
	handler := wrap(mux)

	r := httptest.NewRequest("GET", "/hello", nil)
	r.Header.Set("Retry-Attempt", "2;max=3")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	r.Header.Set("Request-Timeout-Ms", "0")
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("X-Should-Retry"))
	// Output:
	// 200 attempt 2 of 3, deadline true
	// 504 false
}

// The mistake is to call New for each route or request: each has a limit of
// its own, so that together they admit far more than the server can take. Call
// it once and wrap with what it returns.
func ExampleNew_incorrect() {
	served := 0
	var nested func(depth int) http.Handler
	nested = func(depth int) http.Handler {
		wrap, _ := middleware.New(middleware.WithConcurrency(1))
		return wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			served++
			if depth > 1 { // a second and a third request while this one is served
				nested(depth-1).ServeHTTP(httptest.NewRecorder(), r)
			}
		}))
	}
	nested(3).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
	fmt.Println(served, "requests at once with a limit of 1")
	// Output:
	// 3 requests at once with a limit of 1
}

// get is a request to a handler from within an example.
func get(h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// wrapped is a handler in the middleware.
func wrapped(h http.HandlerFunc, opts ...middleware.Option) http.Handler {
	wrap, err := middleware.New(opts...)
	if err != nil {
		panic(err)
	}
	return wrap(h)
}

// There is nothing to set. A request that finds the handler busy waits for a
// moment rather than being refused.
func ExampleWithShedding() {
	busy, release := make(chan struct{}), make(chan struct{})
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(busy)
			<-release
		}
		fmt.Fprint(w, "served ", r.URL.Path)
	},
		middleware.WithShedding(middleware.Shedding{}),
		middleware.WithConcurrency(1), // only so that the example needs no load
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			fmt.Printf("%d, waited: %v, shed: %q\n", e.Status, e.QueueWait > 0, e.Shed)
		}}),
	)
	done := make(chan struct{})
	go func() { get(h, "/slow"); close(done) }()
	<-busy
	time.AfterFunc(10*time.Millisecond, func() { close(release) })
	fmt.Println(get(h, "/").Body)
	<-done
	// Unordered output:
	// 200, waited: false, shed: ""
	// 200, waited: true, shed: ""
	// served /
}

// A fixed number without a queue: one more is refused at once.
func ExampleWithConcurrency() {
	var h http.Handler
	h = wrapped(func(w http.ResponseWriter, r *http.Request) {
		refused := get(h, "/second") // while the first is served
		fmt.Println(refused.Code, refused.Header().Get("X-Should-Retry"), refused.Header().Get("Retry-After") != "")
	}, middleware.WithConcurrency(1))
	fmt.Println(get(h, "/first").Code)
	// Output:
	// 503 true true
	// 200
}

func ExampleWithAttempts() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {
		info, _ := middleware.FromContext(r.Context())
		fmt.Println(info.Attempt, info.MaxAttempts, info.CallID)
	}, middleware.WithAttempts())
	w := get(h, "/", `Retry-Attempt: 2;max=3;id="k3v9"`)
	fmt.Println("echoed:", w.Header().Get("Retry-Attempt"))
	get(h, "/", "X-Stainless-Retry-Count: 1") // another dialect
	// Output:
	// 2 3 k3v9
	// echoed: 2
	// 2 0
}

func ExampleWithDeadlines() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {
		deadline, _ := r.Context().Deadline()
		fmt.Println("more than 1 s left:", time.Until(deadline) > time.Second)
	}, middleware.WithDeadlines(middleware.Deadlines{Max: time.Minute}))
	get(h, "/")
	get(h, "/", "Request-Timeout-Ms: 900")
	fmt.Println(get(h, "/", "Request-Timeout-Ms: 0").Code)
	// Output:
	// more than 1 s left: true
	// more than 1 s left: false
	// 504
}

// The priority may come from anything about a request: here from its path, and
// from the header for the rest.
func ExampleWithPriority() {
	priority := func(r *http.Request) int {
		if strings.HasPrefix(r.URL.Path, "/reports/") {
			return 0
		}
		return middleware.HeaderPriority(r)
	}
	_, err := middleware.New(middleware.WithShedding(middleware.Shedding{}), middleware.WithPriority(priority))
	fmt.Println(err)
	r := httptest.NewRequest("GET", "/", nil)
	fmt.Println(priority(r))
	r.Header.Set("X-Failsafe-Priority", "4")
	fmt.Println(priority(r))
	// Output:
	// <nil>
	// 250
	// 450
}

func ExampleWithRate() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {}, middleware.WithRate(middleware.Rate{
		Quota: middleware.Quota{Requests: 2, Per: time.Hour},
		Key:   func(r *http.Request) string { return r.Header.Get("X-Api-Key") },
	}))
	for range 3 {
		w := get(h, "/", "X-Api-Key: k7")
		fmt.Println(w.Code, w.Header().Get("RateLimit"))
	}
	fmt.Println(get(h, "/", "X-Api-Key: another").Header().Get("RateLimit-Policy"))
	// Output:
	// 200 "default";r=1;t=1800
	// 200 "default";r=0;t=3600
	// 429 "default";r=0;t=1800
	// "default";q=2;w=3600
}

func ExampleWithDrain() {
	drain := new(middleware.Drain)
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {}, middleware.WithDrain(drain))
	srv := &http.Server{Handler: h}
	srv.RegisterOnShutdown(drain.Start)
	mux := http.NewServeMux()
	mux.Handle("/readyz", drain)

	fmt.Println(get(h, "/").Code, get(mux, "/readyz").Code)
	drain.Start() // or srv.Shutdown
	w := get(h, "/")
	fmt.Println(w.Code, get(mux, "/readyz").Code, w.Header().Get("X-Should-Retry"), w.Header().Get("Connection"))
	// Output:
	// 200 200
	// 503 503 true close
}

func ExampleWithExempt() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {},
		middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Hour}}),
		middleware.WithExempt(func(r *http.Request) bool { return r.URL.Path == "/healthz" }),
	)
	for range 2 {
		fmt.Println(get(h, "/healthz").Code, get(h, "/").Code)
	}
	// Output:
	// 200 200
	// 200 429
}

func ExampleWithTrust() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {
		info, _ := middleware.FromContext(r.Context())
		fmt.Println(info.Attempt)
	},
		middleware.WithAttempts(),
		middleware.WithTrust(func(r *http.Request) bool { return strings.HasPrefix(r.RemoteAddr, "10.") }),
	)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Retry-Attempt", "2")
	for _, r.RemoteAddr = range []string{"192.0.2.1:1", "10.0.0.1:1"} {
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	// Output:
	// 0
	// 2
}

func ExampleWithObserver() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(201) },
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			fmt.Println(e.Method, e.Status, e.Shed == middleware.ShedNone)
		}}))
	get(h, "/")
	// Output:
	// GET 201 true
}

// A dry run shows what would be refused before anything is.
func ExampleWithDryRun() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {},
		middleware.WithRate(middleware.Rate{Quota: middleware.Quota{Requests: 1, Per: time.Hour}}),
		middleware.WithDryRun(),
		middleware.WithObserver(middleware.Observer{OnRequest: func(_ context.Context, e middleware.Event) {
			fmt.Printf("%d %q\n", e.Status, e.Shed)
		}}))
	get(h, "/")
	get(h, "/")
	// Output:
	// 200 ""
	// 200 "rate"
}

func ExampleFromContext() {
	h := wrapped(func(w http.ResponseWriter, r *http.Request) {
		info, ok := middleware.FromContext(r.Context())
		fmt.Println(ok, info.Attempt > 1)
	}, middleware.WithAttempts())
	get(h, "/", "Retry-Attempt: 3")
	_, ok := middleware.FromContext(context.Background())
	fmt.Println(ok)
	// Output:
	// true true
	// false
}

func ExampleNewLocalLimiter() {
	l, err := middleware.NewLocalLimiter(middleware.Quota{Requests: 60, Per: time.Minute, Burst: 2}, 0)
	if err != nil {
		fmt.Println(err)
		return
	}
	for range 3 {
		g := l.Take(context.Background(), "k7")
		fmt.Println(g.OK, g.Remaining, g.RetryIn.Round(time.Second))
	}
	// Output:
	// true 1 0s
	// true 0 0s
	// false 0 1s
}

func ExampleHeaderPriority() {
	r := httptest.NewRequest("GET", "/", nil)
	fmt.Println(middleware.HeaderPriority(r))
	r.Header.Set("X-Failsafe-Level", "120")
	fmt.Println(middleware.HeaderPriority(r))
	r.Header.Set("X-Failsafe-Level", "a lot")
	fmt.Println(middleware.HeaderPriority(r))
	// Output:
	// 250
	// 120
	// 250
}

// Callers are told apart by who they are proved to be, and by their address otherwise.
// A name that clients can choose would let one of them pass for many.
func ExampleShedding_fairBy() {
	caller := func(r *http.Request) string {
		if user, ok := r.Context().Value(userKey{}).(string); ok { // of a layer that authenticates
			return "user " + user
		}
		host, _, _ := net.SplitHostPort(r.RemoteAddr)
		return host
	}
	_, err := middleware.New(middleware.WithShedding(middleware.Shedding{FairBy: caller}))
	fmt.Println(err)
	r := httptest.NewRequest("GET", "/", nil)
	fmt.Println(caller(r))
	fmt.Println(caller(r.WithContext(context.WithValue(r.Context(), userKey{}, "ada"))))
	// Output:
	// <nil>
	// 192.0.2.1
	// user ada
}

type userKey struct{}
