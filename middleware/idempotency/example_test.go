package idempotency_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/datapunk/evenkeel/middleware/idempotency"
)

// account is who the request is from, as the layer that authenticates it has found out.
func account(r *http.Request) (string, bool) {
	name := r.Header.Get("X-Account")
	return name, name != ""
}

// charges is a handler that does something each time that it is called.
func charges() http.Handler {
	n := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n++
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, "charge %d", n)
	})
}

// post sends a request of ann's, and prints what comes back.
func post(h http.Handler, key, body string) {
	r := httptest.NewRequest(http.MethodPost, "/charges", strings.NewReader(body))
	r.Header.Set("X-Account", "ann")
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	resp := w.Result()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		log.Fatal(err)
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "application/problem") {
		_, problem, _ := strings.Cut(string(answer), "#")
		problem, _, _ = strings.Cut(problem, `"`)
		answer = []byte(problem)
	}
	fmt.Print(resp.StatusCode, " ", string(answer))
	if resp.Header.Get("Idempotent-Replayed") == "true" {
		fmt.Print(", as before")
	}
	fmt.Println()
}

// A charge is made once, however often it is asked for.
func ExampleNew() {
	keys, err := idempotency.New(idempotency.NewMemory(64<<20), account)
	if err != nil {
		log.Fatal(err)
	}
	handler := keys(charges())
	post(handler, "order-17", "10 EUR")
	post(handler, "order-17", "10 EUR")
	post(handler, "order-17", "99 EUR")
	post(handler, "order-18", "10 EUR")
	// Output:
	// 201 charge 1
	// 201 charge 1, as before
	// 422 key-reused
	// 201 charge 2
}

// The mistake is one scope for all callers, here since the middleware is outside of
// the layer that knows them: bob is given the answer that was ann's.
func ExampleNew_incorrect() {
	everybody := func(*http.Request) (string, bool) { return "", true }
	for _, scope := range []func(*http.Request) (string, bool){everybody, account} {
		keys, err := idempotency.New(idempotency.NewMemory(64<<20), scope)
		if err != nil {
			log.Fatal(err)
		}
		handler := keys(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "the card of ", r.Header.Get("X-Account"))
		}))
		for _, name := range []string{"ann", "bob"} {
			r := httptest.NewRequest(http.MethodPost, "/cards", nil)
			r.Header.Set("X-Account", name)
			r.Header.Set("Idempotency-Key", "1")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			fmt.Printf("%s gets %s\n", name, w.Body)
		}
	}
	// Output:
	// ann gets the card of ann
	// bob gets the card of ann
	// ann gets the card of ann
	// bob gets the card of bob
}

func ExampleWithObserver() {
	keys, err := idempotency.New(idempotency.NewMemory(64<<20), account,
		idempotency.WithObserver(idempotency.Observer{
			OnKey: func(_ context.Context, e idempotency.Event) { fmt.Println(e.Outcome, e.Runs) },
		}))
	if err != nil {
		log.Fatal(err)
	}
	handler := keys(charges())
	post(handler, "order-17", "10 EUR")
	post(handler, "order-17", "10 EUR")
	// Output:
	// first 1
	// 201 charge 1
	// replayed 0
	// 201 charge 1, as before
}
