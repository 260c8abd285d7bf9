// Package sim measures what middleware for HTTP servers does in an overload. Its
// clients are many and impatient, its backends are those that real services have;
// what is between them is the real code. It is meant for a testing/synctest
// bubble, where minutes of load take seconds and no other process disturbs them.
package sim

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
)

// A Scenario is load on a backend. Calls begin at random times, whether or not
// others have ended.
type Scenario struct {
	Name     string
	Capacity float64 // calls per second that the backend can serve
	Backend  func() Backend
	// Work returns the path and the work of a request that arrives some time
	// after the start.
	Work func(at time.Duration, r *rand.Rand) (path string, work time.Duration)

	Timeout  time.Duration // after which a client gives up on an attempt
	Attempts int           // that a client makes in all
	Obey     bool          // clients do what the server says about retries; else they retry after 100 and 200 ms, ±50 %
	Announce bool          // clients send Request-Timeout-Ms
	Phases   []Phase
	Bursts   []Burst
}

// A Phase is a load for some time.
type Phase struct {
	Load float64 // as a part of Capacity
	For  time.Duration
}

// A Burst is a number of calls at one moment.
type Burst struct {
	At    time.Duration
	Calls int
}

// Exponential is the work of a service with many kinds of requests.
func Exponential(mean time.Duration) func(time.Duration, *rand.Rand) (string, time.Duration) {
	return func(_ time.Duration, r *rand.Rand) (string, time.Duration) {
		return "/", time.Duration(r.ExpFloat64() * float64(mean))
	}
}

// run is a scenario under way.
type run struct {
	Scenario
	handler http.Handler
	start   time.Time
	calls   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	rand   *rand.Rand
	record []call
}

type call struct {
	began, ended time.Duration
	ok           bool
	attempts     []attempt
}

type attempt struct {
	at, took time.Duration
	ok       bool // a 200 in time
	refused  bool // 429, 503 or 504
}

type workKey struct{}

// Run plays the scenario against a handler in wrap, which may be nil, and
// returns when the last call has ended. The same seed gives the same load.
func (s Scenario) Run(seed uint64, wrap func(http.Handler) http.Handler) *Result {
	backend := s.Backend()
	mux := http.NewServeMux()
	serve := func(w http.ResponseWriter, r *http.Request) {
		backend.Do(r.Context().Value(workKey{}).(time.Duration))
		w.WriteHeader(http.StatusOK)
	}
	mux.HandleFunc("/", serve)
	mux.HandleFunc("/slow", serve)
	r := &run{Scenario: s, handler: mux, start: time.Now(), rand: rand.New(rand.NewPCG(seed, 1))}
	if wrap != nil {
		r.handler = wrap(mux)
	}
	for _, b := range s.Bursts {
		r.calls.Go(func() {
			time.Sleep(b.At)
			for range b.Calls {
				r.calls.Go(r.call)
			}
		})
	}
	arrivals := rand.New(rand.NewPCG(seed, 2))
	at := time.Duration(0)
	next := at
	for _, p := range s.Phases {
		at += p.For
		for p.Load > 0 {
			gap := time.Duration(arrivals.ExpFloat64() / (p.Load * s.Capacity) * float64(time.Second))
			if next+gap >= at {
				break
			}
			next += gap
			time.Sleep(time.Until(r.start.Add(next)))
			r.calls.Go(r.call)
		}
		next = at
	}
	time.Sleep(time.Until(r.start.Add(at)))
	r.calls.Wait()
	return &Result{Capacity: s.Capacity, Length: at, calls: r.record}
}

// call is a client that wants an answer.
func (r *run) call() {
	c := call{began: time.Since(r.start)}
	r.mu.Lock()
	path, work := r.Work(c.began, r.rand)
	jitter := [2]float64{r.rand.Float64(), r.rand.Float64()}
	r.mu.Unlock()
	for n := 1; n <= max(1, r.Attempts); n++ {
		a := attempt{at: time.Since(r.start)}
		status, header := r.attempt(path, work, n)
		a.took = time.Since(r.start) - a.at
		a.ok, a.refused = status == http.StatusOK, status > 0 && status != http.StatusOK
		c.attempts = append(c.attempts, a)
		c.ok = a.ok
		if a.ok || n == r.Attempts {
			break
		}
		wait := time.Duration((.5 + jitter[(n-1)%2]) * float64(100*time.Millisecond<<(n-1)))
		if r.Obey && header != nil {
			if headers.VerdictOf(header) == headers.DoNotRetry {
				break
			}
			if d, ok := headers.RetryAfterOf(header, time.Now()); ok {
				wait = d
			}
		}
		time.Sleep(wait)
	}
	c.ended = time.Since(r.start)
	r.mu.Lock()
	r.record = append(r.record, c)
	r.mu.Unlock()
}

// attempt sends a request and returns what is answered in time; a status of 0
// means nothing.
func (r *run) attempt(path string, work time.Duration, n int) (int, http.Header) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), workKey{}, work))
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, path, nil)
	req.RemoteAddr = "192.0.2.1:1234"
	if n > 1 {
		req.Header[headers.RetryAttempt] = []string{strconv.Itoa(n) + ";max=" + strconv.Itoa(r.Attempts)}
	}
	if r.Announce {
		req.Header[headers.RequestTimeoutMs] = []string{headers.FormatTimeout(r.Timeout)}
	}
	w := &answer{header: http.Header{}}
	done := make(chan struct{})
	r.calls.Go(func() {
		r.handler.ServeHTTP(w, req)
		close(done)
	})
	timer := time.NewTimer(r.Timeout)
	defer timer.Stop()
	defer cancel()
	select {
	case <-done:
		return w.status, w.header
	case <-timer.C:
		return 0, nil
	}
}

// answer is a ResponseWriter that nobody reads the body of.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	return len(p), nil
}

// A Result is what came of a scenario.
type Result struct {
	Capacity float64
	Length   time.Duration // of the phases together
	calls    []call
}

// Goodput is the number of calls that succeeded between two moments, as a part
// of what the backend could have served in that time.
func (r *Result) Goodput(from, to time.Duration) float64 {
	n := 0
	for _, c := range r.calls {
		if c.ok && c.ended >= from && c.ended < to {
			n++
		}
	}
	return float64(n) / (r.Capacity * (to - from).Seconds())
}

// Served is the part of the calls begun between two moments that succeeded.
func (r *Result) Served(from, to time.Duration) float64 {
	n, ok := 0, 0
	for _, c := range r.calls {
		if c.began >= from && c.began < to {
			n++
			if c.ok {
				ok++
			}
		}
	}
	return float64(ok) / float64(max(n, 1))
}

// AttemptsPerCall is how many attempts the calls begun between two moments made
// on average.
func (r *Result) AttemptsPerCall(from, to time.Duration) float64 {
	n, attempts := 0, 0
	for _, c := range r.calls {
		if c.began >= from && c.began < to {
			n++
			attempts += len(c.attempts)
		}
	}
	return float64(attempts) / float64(max(n, 1))
}

// Refused is the part of the attempts begun between two moments that the server
// turned away.
func (r *Result) Refused(from, to time.Duration) float64 {
	n, refused := 0, 0
	r.each(from, to, func(a attempt) {
		n++
		if a.refused {
			refused++
		}
	})
	return float64(refused) / float64(max(n, 1))
}

// Percentile is the latency that a part p of the successful attempts begun
// between two moments stayed within.
func (r *Result) Percentile(p float64, from, to time.Duration) time.Duration {
	var took []time.Duration
	r.each(from, to, func(a attempt) {
		if a.ok {
			took = append(took, a.took)
		}
	})
	if len(took) == 0 {
		return 0
	}
	slices.Sort(took)
	return took[min(int(p*float64(len(took))), len(took)-1)]
}

// Peak is the greatest number of attempts that arrived in one of the periods
// of the given length between two moments.
func (r *Result) Peak(period, from, to time.Duration) int {
	counts := make([]int, (to-from)/period+1)
	r.each(from, to, func(a attempt) { counts[(a.at-from)/period]++ })
	return slices.Max(counts)
}

func (r *Result) each(from, to time.Duration, f func(attempt)) {
	for _, c := range r.calls {
		for _, a := range c.attempts {
			if a.at >= from && a.at < to {
				f(a)
			}
		}
	}
}
