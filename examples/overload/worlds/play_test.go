package worlds_test

import (
	"math"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/examples/overload/worlds"
	"github.com/datapunk/evenkeel/headers"
)

const (
	ms = time.Millisecond
	// everything is longer than any world.
	everything = time.Hour
)

// What a middleware does shows in the figures.
func TestFigures(t *testing.T) {
	refusing := func(next http.Handler) http.Handler {
		var came atomic.Int64
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n := came.Add(1)
			if n%2 == 0 {
				next.ServeHTTP(w, r)
				return
			}
			if n%4 == 1 {
				headers.SetVerdict(w.Header(), headers.DoNotRetry)
			}
			w.WriteHeader(http.StatusServiceUnavailable)
		})
	}
	waiting := func(d time.Duration) func(http.Handler) http.Handler {
		return func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				time.Sleep(d)
				next.ServeHTTP(w, r)
			})
		}
	}
	for _, tt := range []struct {
		name                                           string
		wrap                                           func(http.Handler) http.Handler
		harmed, refused, served, never, rate, patience float64
	}{
		{name: "nothing", served: 1, rate: 10},
		{name: "half are refused", wrap: refusing, harmed: .5, refused: .5, served: .5, never: .5, rate: 5},
		{name: "a wait that does no harm", wrap: waiting(10 * ms), served: 1, rate: 10},
		{name: "a wait that does", wrap: waiting(11 * ms), harmed: 1, served: 1, rate: 10},
		{name: "too late to be of use", wrap: waiting(1000 * ms), harmed: 1},
		{name: "the client has gone", wrap: waiting(1000 * ms), harmed: 1, patience: .5},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := worlds.World{
					Length: 10 * time.Second, Service: worlds.Sleep(worlds.Exactly(5 * ms)),
					// One a second, of ten clients.
					Callers: []worlds.Caller{{Clients: 10, Think: 995 * ms, Patience: time.Duration(tt.patience * float64(time.Second))}},
				}
				o := w.Play(1, tt.wrap)
				for _, f := range []struct {
					name            string
					got, want, give float64
				}{
					{"harmed", o.Harmed("", 0, everything), tt.harmed, 0.02},
					{"refused", o.Refused("", 0, everything), tt.refused, 0.02},
					{"served", o.Served("", 0, everything), tt.served, 0.02},
					{"never", o.Never(0, everything), tt.never, 0.02},
					{"rate", o.Rate("", 0, 10*time.Second), tt.rate, 0.6},
				} {
					if math.Abs(f.got-f.want) > f.give {
						t.Errorf("%s %.3f, want %.3f", f.name, f.got, f.want)
					}
				}
			})
		})
	}
}

// A pool does as much as its workers can, and as they are.
func TestPool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := worlds.World{
			Length: 30 * time.Second,
			Service: worlds.Pool(4, worlds.Exactly(20*ms), worlds.Resize{At: 10 * time.Second, Workers: 0},
				worlds.Resize{At: 20 * time.Second, Workers: 8}),
			Callers: []worlds.Caller{{Rate: worlds.Steady(1000), Useful: time.Hour}},
		}
		o := w.Play(1, nil)
		for _, part := range []struct {
			from, to time.Duration
			want     float64
		}{{0, 10 * time.Second, 200}, {10 * time.Second, 20 * time.Second, 0}, {20 * time.Second, 30 * time.Second, 400}} {
			if got := o.Rate("", part.from, part.to); math.Abs(got-part.want) > 1 {
				t.Errorf("%.1f a second from %v on, want %.0f", got, part.from, part.want)
			}
		}
	})
}

// The same seed asks for the same work, whatever the middleware does.
func TestSeeds(t *testing.T) {
	play := func(seed uint64) (worked time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			draw := worlds.Exponential(20 * ms)
			w := worlds.World{
				Length: 5 * time.Second, Service: worlds.Sleep(func(v *worlds.Visit) time.Duration {
					d := draw(v)
					worked += d
					return d
				}),
				Callers: []worlds.Caller{{Clients: 1, Think: 100 * ms}},
			}
			w.Play(seed, nil)
		})
		return worked
	}
	if a, b := play(1), play(1); a != b {
		t.Errorf("work of %v and %v from one seed", a, b)
	}
	if a, b := play(1), play(2); a == b {
		t.Errorf("work of %v from two seeds", a)
	}
}
