// README: server

// Server answers on localhost:8080. It sheds load that it cannot serve, and ends
// a request at the client's deadline.
//
//	go run ./examples/quickstart/server
package main

import (
	"fmt"
	"log"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

func main() {
	handler, err := newHandler()
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("starting on http://localhost:8080")
	log.Fatal(http.ListenAndServe("localhost:8080", handler))
}

func newHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	mux.HandleFunc("/flaky", flaky)
	mux.HandleFunc("/slow", slow)
	wrap, err := middleware.New(
		middleware.WithShedding(middleware.Shedding{}),
		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
		middleware.WithAttempts(),
	)
	if err != nil {
		return nil, err
	}
	return wrap(mux), nil
}

var requests atomic.Int64

// flaky fails every second request.
func flaky(w http.ResponseWriter, _ *http.Request) {
	if requests.Add(1)%2 == 1 {
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	fmt.Fprintln(w, "hello")
}

// slow takes a second, or stops when the deadline of the request has passed.
func slow(w http.ResponseWriter, r *http.Request) {
	select {
	case <-time.After(time.Second):
		fmt.Fprintln(w, "done")
	case <-r.Context().Done():
	}
}

// README: end
