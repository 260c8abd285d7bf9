package peers

import (
	"math"
	"net/http"
	"sync"
	"time"

	evenkeel "github.com/datapunk/evenkeel/middleware"
	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/failsafe-go/failsafe-go/failsafehttp"
	"github.com/go-chi/chi/v5/middleware"
)

// A Limiter puts a server library around a handler.
type Limiter struct {
	Name  string
	Tuned bool // it is given the number of requests that the backend serves at a time
	New   func(room int) func(http.Handler) http.Handler
}

// Limiters returns no limiter first and evenkeel second. A limiter that is not
// tuned has its defaults. Gradient2 follows the published algorithm of Netflix's
// concurrency-limits, which has no Go module.
func Limiters() []Limiter {
	return []Limiter{
		{"none", false, func(int) func(http.Handler) http.Handler {
			return func(next http.Handler) http.Handler { return next }
		}},
		{"evenkeel", false, func(int) func(http.Handler) http.Handler {
			return must(evenkeel.New(
				// A simulation does not depend on the scheduler of this machine.
				evenkeel.WithShedding(evenkeel.Shedding{SchedulerLatency: -1}),
				evenkeel.WithDeadlines(evenkeel.Deadlines{}),
			))
		}},
		{"failsafe-go", false, func(int) func(http.Handler) http.Handler {
			l := adaptivelimiter.NewWithDefaults[*http.Response]()
			return func(next http.Handler) http.Handler { return failsafehttp.NewHandler(next, l) }
		}},
		{"failsafe-go queueing", false, func(int) func(http.Handler) http.Handler {
			l := adaptivelimiter.NewBuilder[*http.Response]().WithQueueing(2, 3).Build()
			return func(next http.Handler) http.Handler { return failsafehttp.NewHandler(next, l) }
		}},
		{"Gradient2", false, func(int) func(http.Handler) http.Handler { return newGradient2().wrap }},
		{"chi Throttle", true, func(room int) func(http.Handler) http.Handler { return middleware.Throttle(room) }},
		{"chi ThrottleBacklog", true, func(room int) func(http.Handler) http.Handler {
			return middleware.ThrottleBacklog(room, 1000, time.Minute)
		}},
	}
}

// gradient2 compares the latency of each second with its long average and moves
// the limit by their ratio.
type gradient2 struct {
	mu       sync.Mutex // guards what follows
	inFlight int
	limit    float64
	long     float64 // latency, ns
	samples  int

	since time.Time // of the window
	n     int
	sum   float64
	most  int // in flight
}

// The defaults of Netflix's library.
const (
	gradientStart     = 20
	gradientLeast     = 20
	gradientMost      = 200
	gradientTolerance = 1.5
	gradientQueue     = 4
	gradientSmoothing = .2
	gradientWindow    = 600
	gradientWarmup    = 10
)

func newGradient2() *gradient2 { return &gradient2{limit: gradientStart} }

func (g *gradient2) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		if g.inFlight >= int(g.limit) {
			g.mu.Unlock()
			http.Error(w, "busy", http.StatusTooManyRequests)
			return
		}
		g.inFlight++
		inFlight, start := g.inFlight, time.Now()
		g.mu.Unlock()
		defer func() {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.inFlight--
			g.sample(start, time.Now(), inFlight)
		}()
		next.ServeHTTP(w, r)
	})
}

func (g *gradient2) sample(start, now time.Time, inFlight int) {
	if g.n == 0 {
		g.since = start
	}
	g.n++
	g.sum += float64(now.Sub(start))
	g.most = max(g.most, inFlight)
	if now.Sub(g.since) < time.Second || g.n < 10 {
		return
	}
	short, most := g.sum/float64(g.n), g.most
	g.n, g.sum, g.most = 0, 0, 0
	g.samples++
	if g.samples <= gradientWarmup {
		g.long += (short - g.long) / float64(g.samples)
	} else {
		g.long += (short - g.long) * 2 / (gradientWindow + 1)
	}
	if g.long/short > 2 {
		g.long *= .95
	}
	if float64(most) < g.limit/2 {
		return
	}
	gradient := math.Max(.5, math.Min(1, gradientTolerance*g.long/short))
	next := g.limit*gradient + gradientQueue
	g.limit = math.Max(gradientLeast, math.Min(gradientMost, g.limit*(1-gradientSmoothing)+next*gradientSmoothing))
}
