package worlds

import (
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/datapunk/evenkeel/headers"
	"github.com/datapunk/evenkeel/middleware"
)

// An Outcome is what came of a world.
type Outcome struct {
	world *World
	calls []call
}

// call is what came of one, at times since the start.
type call struct {
	caller       string
	began, ended time.Duration
	useful       bool // a 200 in time
	refused      bool // at least one attempt was answered without the handler
	harmed       bool // refused, or made to wait before the handler
	never        bool // told not to come back
}

// Harmless is how long a request may wait before its handler and not count as
// delayed.
const Harmless = 10 * time.Millisecond

// CallerHeader is the header that names the caller of a request.
const CallerHeader = "Caller"

// stage is a world under way.
type stage struct {
	*World
	handler http.Handler
	start   time.Time
	calls   sync.WaitGroup

	mu     sync.Mutex // guards what follows
	record []call
}

type callKey struct{}

// errand is what the handler is to know of the attempt that it serves.
type errand struct {
	seed [2]uint64 // of the call

	mu      sync.Mutex // guards what follows
	reached time.Time  // when it came to the handler
}

func (e *errand) reach() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reached = time.Now()
}

func (e *errand) when() time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.reached
}

// Play lets the clients call the service in wrap, which may be nil, and returns
// when the last of them has its answer. The same seed makes the same calls.
func (w *World) Play(seed uint64, wrap func(http.Handler) http.Handler) *Outcome {
	s := &stage{World: w, start: time.Now()}
	s.handler = s.service()
	if wrap != nil {
		s.handler = wrap(s.handler)
	}
	for i := range w.Callers {
		c := &w.Callers[i]
		random := rand.New(rand.NewPCG(seed, uint64(i)))
		begin := func() {
			seed := [2]uint64{random.Uint64(), random.Uint64()}
			s.calls.Go(func() { s.call(c, i, seed) })
		}
		switch {
		case c.Clients > 0:
			for range c.Clients {
				client := rand.New(rand.NewPCG(random.Uint64(), 0))
				s.calls.Go(func() {
					time.Sleep(time.Duration(client.Float64() * float64(c.Think)))
					for time.Since(s.start) < w.Length {
						s.call(c, i, [2]uint64{client.Uint64(), client.Uint64()})
						time.Sleep(c.Think)
					}
				})
			}
		case c.Burst > 0:
			s.calls.Go(func() {
				for at := c.Every; at < w.Length; at += c.Every {
					time.Sleep(time.Until(s.start.Add(at)))
					for range c.Burst {
						begin()
					}
				}
			})
		default:
			s.calls.Go(func() { s.arrive(c.Rate, random, begin) })
		}
	}
	s.calls.Wait()
	return &Outcome{w, s.record}
}

// arrive calls begin at random times, at the rate.
func (s *stage) arrive(rate Rate, random *rand.Rand, begin func()) {
	next := time.Duration(0)
	for _, p := range rate {
		until := min(p.Until, s.Length)
		for p.PerSecond > 0 {
			gap := time.Duration(random.ExpFloat64() / p.PerSecond * float64(time.Second))
			if next+gap >= until {
				break
			}
			next += gap
			time.Sleep(time.Until(s.start.Add(next)))
			begin()
		}
		next = until
	}
}

// service is the handler without any middleware.
func (s *stage) service() http.Handler {
	visit := s.Service()
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := r.Context().Value(callKey{}).(*errand)
		e.reach()
		visit(&Visit{w, r, rand.New(rand.NewPCG(e.seed[0], e.seed[1])), s.start})
	})
	if !s.Patterns {
		return h
	}
	mux, known := http.NewServeMux(), map[string]bool{}
	for _, c := range s.Callers {
		if !known[c.path()] {
			mux.Handle(c.path(), h)
			known[c.path()] = true
		}
	}
	return mux
}

// call is a client that wants an answer.
func (s *stage) call(c *Caller, who int, seed [2]uint64) {
	random := rand.New(rand.NewPCG(seed[1], seed[0]))
	result := call{caller: c.Name, began: time.Since(s.start)}
	for n := 1; ; n++ {
		began, e := time.Now(), &errand{seed: seed}
		status, never := s.attempt(c, who, e, n)
		ended, reached := time.Now(), e.when()
		result.useful = status == http.StatusOK && ended.Sub(began) <= c.useful()
		if reached.IsZero() { // refused, or it still waits
			result.refused = result.refused || status != 0
			result.harmed = result.harmed || status != 0
			reached = ended
		}
		result.harmed = result.harmed || reached.Sub(began) > Harmless
		result.never = result.never || never
		if result.useful || n >= c.Attempts {
			break
		}
		time.Sleep(time.Duration((.5 + random.Float64()) * float64(100*time.Millisecond<<(n-1))))
	}
	result.ended = time.Since(s.start)
	s.mu.Lock()
	s.record = append(s.record, result)
	s.mu.Unlock()
}

// attempt sends a request and returns the status that came in time, or 0, and
// whether it came with the advice not to retry.
func (s *stage) attempt(c *Caller, who int, e *errand, n int) (status int, never bool) {
	ctx, hangUp := context.WithCancel(context.WithValue(context.Background(), callKey{}, e))
	defer hangUp()
	r := (&http.Request{
		Method: http.MethodGet, URL: &url.URL{Path: c.path()}, Host: "service", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{CallerHeader: {c.Name}}, Body: http.NoBody, RemoteAddr: "192.0.2." + strconv.Itoa(who+1) + ":1234",
	}).WithContext(ctx)
	if c.Upload > 0 {
		r.Method, r.ContentLength, r.Body = http.MethodPost, bodyPieces, &slowBody{ctx: ctx, gap: c.Upload / bodyPieces, left: bodyPieces}
	}
	if n > 1 {
		r.Header[headers.RetryAttempt] = []string{strconv.Itoa(n) + ";max=" + strconv.Itoa(c.Attempts)}
	}
	if c.Announce {
		r.Header[headers.RequestAttemptTimeoutMs] = []string{headers.FormatTimeout(c.Patience)}
	}
	w := &answer{header: http.Header{}, ctx: ctx, slow: c.Download}
	if c.Patience == 0 {
		s.handler.ServeHTTP(w, r)
		return w.final()
	}
	done := make(chan struct{})
	s.calls.Go(func() {
		s.handler.ServeHTTP(w, r)
		close(done)
	})
	timer := time.NewTimer(c.Patience)
	defer timer.Stop()
	select {
	case <-done:
		return w.final()
	case <-timer.C:
		return 0, false
	}
}

// bodyPieces is in how many pieces a body is sent, of a byte each.
const bodyPieces = 10

// slowBody is a body that its client sends bit by bit.
type slowBody struct {
	ctx  context.Context
	gap  time.Duration
	left int
}

func (b *slowBody) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	if err := rest(b.ctx, b.gap); err != nil {
		return 0, err
	}
	b.left--
	p[0] = 'x'
	return 1, nil
}

func (*slowBody) Close() error { return nil }

// rest waits, unless the client hangs up.
func rest(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer is a ResponseWriter whose client may take its time to read.
type answer struct {
	header http.Header
	ctx    context.Context
	slow   time.Duration
	status int
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	if a.status == 0 && status >= 200 {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	if err := rest(a.ctx, a.slow); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (a *answer) Flush() { a.WriteHeader(http.StatusOK) }

func (a *answer) final() (status int, never bool) {
	a.WriteHeader(http.StatusOK)
	return a.status, headers.VerdictOf(a.header) == headers.DoNotRetry
}

// Shedding is the shedding under test: as it comes, and fair by caller. The
// scheduler of the machine that plays the world has no part in it.
func (w *World) Shedding() (func(http.Handler) http.Handler, error) {
	s := middleware.Shedding{
		SchedulerLatency: -1, MinConcurrency: w.MinConcurrency,
		FairBy: func(r *http.Request) string { return r.Header.Get(CallerHeader) },
	}
	return middleware.New(middleware.WithShedding(s), middleware.WithDeadlines(middleware.Deadlines{}))
}
