package middleware_test

import (
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/middleware"
)

// demand is what callers ask for: each so many requests a second.
type demand struct {
	name    string
	callers int
	rate    float64
	work    time.Duration
	want    float64 // share of its requests that are answered, at least
}

// Four workers of 20 ms serve 200 requests a second. Callers who ask for less than
// their share get all of it, whatever others ask for, and nothing is lost by it.
func TestFairShedding(t *testing.T) {
	const work = 20 * time.Millisecond
	for _, tt := range []struct {
		name    string
		demands []demand
		goodput float64 // of 200 a second
	}{
		{"a flood beside a quiet caller", []demand{{"flood", 1, 1500, work, 0}, {"quiet", 1, 20, work, .97}}, 170},
		{"twice the capacity", []demand{{"flood", 1, 400, work, 0}, {"quiet", 1, 20, work, .97}}, 170},
		{"two floods of unequal size", []demand{{"large", 1, 1000, work, 0}, {"small", 1, 500, work, 0}, {"quiet", 1, 20, work, .97}}, 170},
		{"one heavy and many quiet", []demand{{"flood", 1, 1000, work, 0}, {"quiet", 50, 2, work, .97}}, 170},
		{"many heavy and many quiet", []demand{{"flood", 10, 100, work, 0}, {"quiet", 10, 2, work, .97}}, 170},
		{"a caller whose requests take long", []demand{{"slow", 1, 100, 400 * time.Millisecond, 0}, {"quiet", 1, 20, work, .6}}, 0},
		{"nobody's requests are those of one caller", []demand{{"", 1, 1000, work, 0}, {"quiet", 1, 20, work, .97}}, 170},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				workers := make(chan struct{}, 4)
				h := build(t, func(w http.ResponseWriter, r *http.Request) {
					workers <- struct{}{}
					d, _ := time.ParseDuration(r.URL.RawQuery)
					time.Sleep(d)
					<-workers
				}, middleware.WithConcurrency(6), middleware.WithShedding(middleware.Shedding{
					SchedulerLatency: -1,
					FairBy:           func(r *http.Request) string { return r.Header.Get("Account") },
				}))
				var wg sync.WaitGroup
				var mu sync.Mutex
				answered, asked := make(map[string]int), make(map[string]int)
				begin, random := time.Now(), rand.New(rand.NewPCG(1, 2))
				const warm, lasts = 2 * time.Second, 8 * time.Second
				for _, d := range tt.demands {
					for i := range d.callers {
						account := d.name
						if d.name != "" {
							account += strconv.Itoa(i)
						}
						wg.Go(func() {
							for time.Since(begin) < lasts {
								mu.Lock()
								pause := time.Duration(random.ExpFloat64() / d.rate * float64(time.Second))
								mu.Unlock()
								time.Sleep(pause)
								counts := time.Since(begin) > warm
								wg.Go(func() {
									w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/?"+d.work.String(), nil)
									r.Header.Set("Account", account)
									sent := time.Now()
									h.ServeHTTP(w, r)
									mu.Lock()
									defer mu.Unlock()
									if counts {
										asked[d.name]++
									}
									if counts && w.Code == 200 && time.Since(sent) < time.Second {
										answered[d.name]++
									}
								})
							}
						})
					}
				}
				wg.Wait()
				all := 0
				for _, d := range tt.demands {
					share := float64(answered[d.name]) / float64(asked[d.name])
					all += answered[d.name]
					t.Logf("%q: %.1f%% of %d", d.name, 100*share, asked[d.name])
					if share < d.want {
						t.Errorf("%q: %.1f%% answered, want at least %.0f%%", d.name, 100*share, 100*d.want)
					}
				}
				if got := float64(all) / (lasts - warm).Seconds(); got < tt.goodput {
					t.Errorf("%.0f answers a second, want at least %.0f", got, tt.goodput)
				}
			})
		})
	}
}
