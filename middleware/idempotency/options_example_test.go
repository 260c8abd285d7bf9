package idempotency_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// guard returns the handler with keys, or ends the program.
func guard(handler http.Handler, opts ...idempotency.Option) http.Handler {
	keys, err := idempotency.New(idempotency.NewMemory(64<<20), account, opts...)
	if err != nil {
		log.Fatal(err)
	}
	return keys(handler)
}

func ExampleRequired() {
	handler := guard(charges(), idempotency.Required(func(r *http.Request) bool { return r.URL.Path == "/charges" }))
	post(handler, "", "10 EUR")
	// Output: 400 key-missing
}

// The process dies after the charge. The handler looks whether it was made, so it can
// be run again.
func ExampleResume() {
	charged := make(map[string]bool)
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		info, _ := idempotency.FromContext(r.Context())
		if info.Runs > 1 && charged[info.Key] {
			fmt.Fprintf(w, "found it in run %d", info.Runs)
			return
		}
		charged[info.Key] = true
		panic(http.ErrAbortHandler)
	}), idempotency.Resume(func(r *http.Request) bool { return r.URL.Path == "/charges" }))
	func() {
		defer func() { fmt.Println("the first run:", recover()) }()
		post(handler, "order-17", "10 EUR")
	}()
	post(handler, "order-17", "10 EUR")
	// Output:
	// the first run: net/http: abort Handler
	// 200 found it in run 2
}

// A transaction needs a store in the handler's database, such as sqlstore.
func ExampleInTransaction() {
	_, err := idempotency.New(idempotency.NewMemory(64<<20), account,
		idempotency.InTransaction(func(r *http.Request) bool { return r.URL.Path == "/charges" }))
	fmt.Println(err)
	// Output: idempotency: InTransaction: want a store that is a Transactor, which *idempotency.Memory is not
}

// A duplicate waits for the first request, and gets its answer.
func ExampleWait() {
	began, end := make(chan struct{}), make(chan struct{})
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-end
		fmt.Fprint(w, "charged")
	}), idempotency.Wait(5*time.Second))
	first := make(chan struct{})
	go func() {
		defer close(first)
		handler.ServeHTTP(httptest.NewRecorder(), exampleRequest("order-17"))
	}()
	<-began
	time.AfterFunc(10*time.Millisecond, func() { close(end) })
	post(handler, "order-17", "10 EUR")
	<-first
	// Output: 200 charged, as before
}

func exampleRequest(key string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader("10 EUR"))
	r.Header.Set("X-Account", "ann")
	r.Header.Set("Idempotency-Key", key)
	return r
}

// Clients may send a request again for a week.
func ExampleKeep() {
	handler := guard(charges(), idempotency.Keep(7*24*time.Hour))
	post(handler, "order-17", "10 EUR")
	// Output: 201 charge 1
}

// A lease that is longer than any pause of a process saves work that would be lost.
func ExampleLease() {
	handler := guard(charges(), idempotency.Lease(2*time.Minute), idempotency.Wait(time.Minute))
	post(handler, "order-17", "10 EUR")
	// Output: 201 charge 1
}

func ExampleMaxBody() {
	handler := guard(charges(), idempotency.MaxBody(10, 1<<20))
	post(handler, "order-17", "10 EUR, and a long letter")
	// Output: 413 body-too-large
}

// The handler answers 409 if the order is not yet there. That says nothing about a
// later try.
func ExampleReleaseOn() {
	there := false
	handler := guard(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if !there {
			there = true
			w.WriteHeader(http.StatusConflict)
			fmt.Fprint(w, "no such order yet")
			return
		}
		fmt.Fprint(w, "charged")
	}), idempotency.ReleaseOn(func(status int) bool { return status == http.StatusConflict || status == http.StatusTooManyRequests }))
	post(handler, "order-17", "10 EUR")
	post(handler, "order-17", "10 EUR")
	// Output:
	// 409 no such order yet
	// 200 charged
}

// Clients of this service send the time with each attempt. It is not compared.
func ExampleFingerprint() {
	handler := guard(charges(), idempotency.Fingerprint(func(r *http.Request, body []byte) []byte {
		amount, _, _ := strings.Cut(string(body), " at ")
		return []byte(r.Method + " " + r.URL.Path + " " + amount)
	}))
	post(handler, "order-17", "10 EUR at 12:00")
	post(handler, "order-17", "10 EUR at 12:01")
	post(handler, "order-17", "99 EUR at 12:02")
	// Output:
	// 201 charge 1
	// 201 charge 1, as before
	// 422 key-reused
}

// A header that says the same to everybody may be repeated; Set-Cookie may not.
func ExampleKeepHeaders() {
	_, err := idempotency.New(idempotency.NewMemory(64<<20), account, idempotency.KeepHeaders("X-Charge-Id", "Set-Cookie"))
	fmt.Println(err)
	// Output: idempotency: KeepHeaders("Set-Cookie"): want a header that any sender of the request may see
}

// A route that may rather run twice than not at all.
func ExampleFailOpen() {
	keys, err := idempotency.New(&faulty{Store: idempotency.NewMemory(64 << 20), begin: func(int) (error, bool) {
		return errors.New("the store is away"), false
	}}, account, idempotency.FailOpen())
	if err != nil {
		log.Fatal(err)
	}
	handler := keys(charges())
	post(handler, "order-17", "10 EUR")
	post(handler, "order-17", "10 EUR")
	// Output:
	// 201 charge 1
	// 201 charge 2
}

// The type of a problem leads to a section of your own page.
func ExampleDocsURL() {
	handler := guard(charges(), idempotency.DocsURL("https://api.example.com/docs/keys"), idempotency.Required(func(*http.Request) bool { return true }))
	r := exampleRequest("")
	r.Header.Del("Idempotency-Key")
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Print(w.Body)
	// Output: {"type":"https://api.example.com/docs/keys#key-missing","title":"Bad Request","status":400,"detail":"This request needs an Idempotency-Key header."}
}

// A call that the handler makes has a key of its own, which is the same when the
// request is resumed.
func ExampleDerive() {
	handler := guard(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		charge, receipt := idempotency.Derive(r.Context(), "charge"), idempotency.Derive(r.Context(), "receipt")
		fmt.Println(charge == idempotency.Derive(r.Context(), "charge"), charge == receipt)
	}))
	handler.ServeHTTP(httptest.NewRecorder(), exampleRequest("order-17"))
	// Output: true false
}
