// Overload shows what a server does that gets twice the load it can take, with
// and without the middleware. Both have the same eight workers, of 100 requests
// per second together, and the same impatient clients, who give up after half a
// second and try up to three times. Watch the goodput: what is answered in time.
//
//	go run ./examples/overload
//
// What was measured with it is in the tests beside it, on backends of other
// kinds and by a clock that no other process disturbs.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

const (
	workers  = 8
	work     = 80 * time.Millisecond
	capacity = float64(workers) * float64(time.Second/work) // requests per second
	patience = 500 * time.Millisecond
	attempts = 3
)

func main() {
	seconds := flag.Int("seconds", 5, "of each phase: calm, overload, calm again")
	flag.Parse()
	if err := run(os.Stdout, time.Duration(*seconds)*time.Second); err != nil {
		log.Fatal(err)
	}
}

// run plays the phases against both servers, one after the other, and writes a
// line each second.
func run(out io.Writer, phase time.Duration) error {
	wrap, err := middleware.New(
		middleware.WithShedding(middleware.Shedding{}),
		middleware.WithDeadlines(middleware.Deadlines{Max: 10 * time.Second}),
	)
	if err != nil {
		return err
	}
	for _, c := range []struct {
		name    string
		handler http.Handler
	}{
		{"without", service()},
		{"with evenkeel", wrap(service())},
	} {
		fmt.Fprintf(out, "\n%s\n%-8s%-8s%s\n", c.name, "second", "load", "goodput")
		if _, err := play(out, c.handler, phase); err != nil {
			return err
		}
	}
	return nil
}

// play loads a handler and returns how many calls were answered in time in each
// of the phases.
func play(out io.Writer, h http.Handler, phase time.Duration) (answered [3]int64, err error) {
	s, err := start(h)
	if err != nil {
		return answered, err
	}
	defer s.stop()
	var calls sync.WaitGroup
	defer calls.Wait()
	second := 0
	for i, load := range [...]float64{.7, 2, .7} {
		for end := time.Now().Add(phase); time.Now().Before(end); {
			second++
			length := min(time.Second, time.Until(end))
			arrive(&calls, load, length, s)
			n := s.answered.Swap(0)
			answered[i] += n
			rate := float64(n) / length.Seconds()
			fmt.Fprintf(out, "%-8d%3.0f %%   %-20s %4.0f/s\n", second, 100*load, strings.Repeat("█", min(20, int(20*rate/capacity+.5))), rate)
		}
	}
	return answered, nil
}

// service is a handler with few workers. It does not notice that a client has
// gone, as most do not.
func service() http.Handler {
	free := make(chan struct{}, workers)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		free <- struct{}{}
		time.Sleep(work)
		<-free
		io.WriteString(w, "done\n")
	})
}

// arrive lets clients come in at random times.
func arrive(calls *sync.WaitGroup, load float64, d time.Duration, s *server) {
	next := time.Now()
	for end := next.Add(d); ; {
		next = next.Add(time.Duration(rand.ExpFloat64() / (load * capacity) * float64(time.Second)))
		if next.After(end) {
			time.Sleep(time.Until(end))
			return
		}
		time.Sleep(time.Until(next))
		calls.Go(s.call)
	}
}

type server struct {
	http     *http.Server
	client   *http.Client
	url      string
	answered atomic.Int64 // calls, in time
}

func start(h http.Handler) (*server, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &server{
		http:   &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second},
		client: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 1000}},
		url:    "http://" + l.Addr().String(),
	}
	go s.http.Serve(l)
	return s, nil
}

func (s *server) stop() {
	s.client.CloseIdleConnections()
	s.http.Close()
}

// call is a client that wants an answer.
func (s *server) call() {
	for attempt := range attempts {
		if s.attempt() {
			s.answered.Add(1)
			return
		}
		backoff := 100 * time.Millisecond << attempt
		time.Sleep(backoff/2 + rand.N(backoff))
	}
}

func (s *server) attempt() bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url, nil)
	if err != nil {
		return false
	}
	resp, err := s.client.Do(req)
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	io.Copy(io.Discard, resp.Body)
	return resp.StatusCode == http.StatusOK
}
