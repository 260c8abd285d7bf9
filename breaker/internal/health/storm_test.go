package health_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// stall is one of 8 s at 70 % of the capacity, 175 calls per second.
func stall(clients int) world {
	return world{
		clients: clients, workers: 5, load: 0.7, length: 40 * time.Second, from: 8 * time.Second, fault: 8 * time.Second,
	}
}

// seldom is the same where each client makes 0.17 calls per second.
func seldom(clients int) world {
	w := stall(clients)
	w.workers = (clients*17/70 + 49) / 50
	return w
}

// Clients that call too seldom to see anything recover together from a stall, without
// a herd, and send little meanwhile.
func TestStall(t *testing.T) {
	t.Parallel()
	cold, slow, lossy, gone, deploy := stall(400), stall(200), stall(200), stall(200), stall(200)
	cold.cold = true
	slow.link = func(int, time.Duration) (time.Duration, error) { return 400 * time.Millisecond, nil }
	lossy.link = func(int, time.Duration) (time.Duration, error) {
		if rand.IntN(10) < 3 {
			return 0, errors.New("lost")
		}
		return 5 * time.Millisecond, nil
	}
	gone.link = func(_ int, at time.Duration) (time.Duration, error) {
		if at > 12*time.Second {
			return 0, errors.New("gone")
		}
		return 5 * time.Millisecond, nil
	}
	deploy.restart = 20 * time.Second
	worlds := map[string]world{
		"200 clients": stall(200), "1000 clients": stall(1000), "200 with 0.17 calls per second": seldom(200),
		"400 that just started": cold, "a slow store": slow, "30 % of reports lost": lossy,
		"the store gone in the stall": gone, "all restart after the stall": deploy,
	}
	if *long {
		worlds["1000 with 0.17"], worlds["3000 with 0.17"] = seldom(1000), seldom(3000)
		worlds["3000 clients"], worlds["10000 clients"] = stall(3000), stall(10_000)
	}
	for name, w := range worlds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.play(t)
			t.Logf("%+v", s)
			if s.back < 0 || s.back > 8 {
				t.Errorf("back %d s after the stall, want at most 8", s.back)
			}
			if s.success < 0.65 {
				t.Errorf("success %.3f, want at least 0.65", s.success)
			}
			if s.attempts > 0.5 {
				t.Errorf("%.2f attempts per call in the stall, want at most 0.5", s.attempts)
			}
			if w.workers > 1 && s.first > 1.3 { // chance alone is more where there is next to nothing to count
				t.Errorf("%.2f times the usual rate after the stall, want at most 1.3", s.first)
			}
			if s.reports > 1.15 {
				t.Errorf("%.2f reports per client and second, want about 1", s.reports)
			}
		})
	}
}

// Clients that see enough themselves are not worse off with a fleet than without.
func TestStallOfFrequentCallers(t *testing.T) {
	t.Parallel()
	for _, n := range []int{20, 50} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			var with, without float64
			const runs = 2
			for range runs {
				w := stall(n)
				with += w.play(t).success / runs
				w.alone = true
				without += w.play(t).success / runs
			}
			t.Logf("success %.3f, alone %.3f", with, without)
			if with < without-0.02 {
				t.Errorf("success %.3f, alone %.3f: want at most 0.02 less", with, without)
			}
		})
	}
}

// Other faults: nothing is worse than without a fleet, and seldom callers are better off.
func TestOtherFaults(t *testing.T) {
	t.Parallel()
	type fault struct {
		world
		gain float64 // of success
	}
	drop, spike, later, much := stall(400), stall(400), stall(400), stall(400)
	drop.left = 1
	spike.left, spike.spike = 5, 2.2
	later.begin = func(f *farm) { f.later.Store(int64(300 * time.Millisecond)) }
	much.begin = func(f *farm) { f.later.Store(int64(600 * time.Millisecond)) }
	faults := map[string]fault{
		"four of five workers gone":           {drop, 0.02},
		"a stall, then 300 ms later for good": {later, 0.02},
	}
	if *long {
		faults["2.2 times the load"] = fault{spike, -0.01} // which never stalls
		faults["a stall, then 600 ms later"] = fault{much, 0.02}
	}
	for name, tt := range faults {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := tt.world
			with := w.play(t)
			w.alone = true
			without := w.play(t)
			t.Logf("%+v, alone %+v", with, without)
			if with.success < without.success+tt.gain {
				t.Errorf("success %.3f, alone %.3f: want at least %.2f more", with.success, without.success, tt.gain)
			}
			if with.back < 0 || with.back > 8 {
				t.Errorf("back %d s after the fault, want at most 8", with.back)
			}
		})
	}
}

// Nothing is overloaded, so nothing is refused and no overload is seen.
func TestNoFalseAlarm(t *testing.T) {
	t.Parallel()
	healthy := func(clients int, change func(*world)) world {
		w := stall(clients)
		w.fault, w.length = 0, 20*time.Second
		change(&w)
		return w
	}
	hanging := func(percent int) func(*world) {
		return func(w *world) {
			w.base = func(_ int, f http.RoundTripper) http.RoundTripper {
				return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if rand.IntN(100) < percent {
						return hangs(req)
					}
					return f.RoundTrip(req)
				})
			}
		}
	}
	ill := func(n int) func(*world) {
		return func(w *world) {
			w.ill = n
			w.base = func(i int, f http.RoundTripper) http.RoundTripper {
				if i < n {
					return transport.RoundTripperFunc(hangs)
				}
				return f
			}
		}
	}
	for name, w := range map[string]world{
		"20, 5 % hang":   healthy(20, hanging(5)),
		"20, 50 % hang":  healthy(20, hanging(50)),
		"200, 5 % hang":  healthy(200, hanging(5)),
		"200, 20 % hang": healthy(200, hanging(20)),
		"200, 50 % hang": healthy(200, hanging(50)),
		"one shard of five down": healthy(200, func(w *world) {
			w.base = func(i int, f http.RoundTripper) http.RoundTripper {
				return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
					if (i+int(time.Now().UnixNano()/1e6))%5 == 0 {
						return hangs(req)
					}
					return f.RoundTrip(req)
				})
			}
		}),
		"a deploy":            healthy(200, func(w *world) { w.restart = 10 * time.Second }),
		"1 of 3 poisoned":     healthy(3, ill(1)),
		"1 of 5 poisoned":     healthy(5, ill(1)),
		"5 of 100 poisoned":   healthy(100, ill(5)),
		"20 of 100 poisoned":  healthy(100, ill(20)),
		"100 of 200 poisoned": healthy(200, ill(100)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := w.play(t)
			if s.held > 0 || s.engaged > 0 {
				t.Errorf("%d calls refused, an overload for %d half seconds: want none", s.held, s.engaged)
			}
			if w.ill > 0 && s.success != 1 {
				t.Errorf("success of the healthy %.4f, want 1", s.success)
			}
		})
	}
}
