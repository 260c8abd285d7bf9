package breaker_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
)

// failures are how many calls a service fails before its circuit opens, or -1.
func failures(t *testing.T, rt http.RoundTripper, state func() breaker.State, most int) int {
	t.Helper()
	for n := 1; n <= most; n++ {
		plan{status: 500}.send(t, rt, 1)
		if state() == breaker.StateOpen {
			return n
		}
	}
	return -1
}

// Settings of a service change while the set is in use, whether it was called before or
// not, and are taken away. Those for all others change too.
func TestConfigure(t *testing.T) {
	configure := func(service string, opts ...breaker.Option) func(*testing.T, *breaker.Set) {
		return func(t *testing.T, s *breaker.Set) {
			if err := s.Configure(service, opts...); err != nil {
				t.Error(err)
			}
		}
	}
	for name, tt := range map[string]struct {
		changes []func(*testing.T, *breaker.Set)
		want    int // failures until the circuit opens
	}{
		"not at all":   {nil, 10},
		"this service": {[]func(*testing.T, *breaker.Set){configure("api.test", breaker.WithTripRatio(0.5, 3))}, 3},
		"by another spelling": {[]func(*testing.T, *breaker.Set){
			configure("API.test:80", breaker.WithTripRatio(0.5, 3))}, 3},
		"another service":           {[]func(*testing.T, *breaker.Set){configure("b.test", breaker.WithTripRatio(0.5, 3))}, 10},
		"all services":              {[]func(*testing.T, *breaker.Set){configure("", breaker.WithTripRatio(0.5, 4))}, 4},
		"all, but this one":         {[]func(*testing.T, *breaker.Set){configure("api.test", breaker.WithTripRatio(0.5, 3)), configure("", breaker.WithTripRatio(0.5, 5))}, 3},
		"all, then another service": {[]func(*testing.T, *breaker.Set){configure("", breaker.WithTripRatio(0.5, 4)), configure("b.test", breaker.WithTripRatio(0.5, 3))}, 4},
		"another setting":           {[]func(*testing.T, *breaker.Set){configure("api.test", breaker.WithOpenFor(time.Minute))}, 10},
		"twice":                     {[]func(*testing.T, *breaker.Set){configure("api.test", breaker.WithTripRatio(0.5, 3)), configure("api.test", breaker.WithOpenFor(time.Minute))}, 10},
		"taken away":                {[]func(*testing.T, *breaker.Set){configure("api.test", breaker.WithTripRatio(0.5, 3)), configure("api.test")}, 10},
		"taken away in another spelling": {[]func(*testing.T, *breaker.Set){
			configure("api.test", breaker.WithTripRatio(0.5, 3)), configure("api.test:80")}, 10},
		"taken away from all": {[]func(*testing.T, *breaker.Set){configure("", breaker.WithTripRatio(0.5, 3)), configure("")}, 10},
		"what New does not take": {[]func(*testing.T, *breaker.Set){func(t *testing.T, s *breaker.Set) {
			if err := s.Configure("api.test", breaker.WithTripRatio(0.5, 3), breaker.WithProbes(0)); err == nil {
				t.Error("no error for 0 probes")
			}
		}}, 10},
	} {
		for _, called := range []bool{true, false} {
			t.Run(fmt.Sprint(name, ", called before ", called), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					set := newSet(t, breaker.WithTripRatio(0.5, 10))
					rt := set.Wrap(planned)
					want := tt.want
					if called { // and what was counted stays
						plan{status: 500}.send(t, rt, 1)
						want--
					}
					for _, change := range tt.changes {
						change(t, set)
					}
					if got := failures(t, rt, func() breaker.State { return set.State("api.test") }, 20); got != want {
						t.Errorf("open after %d more failures, want %d", got, want)
					}
				})
			})
		}
	}
}

// What concerns an open circuit, a half-open one and calls in flight.
func TestConfigureUnderWay(t *testing.T) {
	down, up := plan{status: 500}, plan{status: 200}
	for name, tt := range map[string]struct {
		opts []breaker.Option
		play func(t *testing.T, set *breaker.Set, rt http.RoundTripper)
	}{
		"an open time is shortened": {
			[]breaker.Option{breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Hour)},
			func(t *testing.T, set *breaker.Set, rt http.RoundTripper) {
				down.send(t, rt, 1)
				time.Sleep(time.Minute)
				configured(t, set, breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(5*time.Second))
				if left := openFor(t, rt); left != 5*time.Second {
					t.Errorf("refused for %v more, want 5s", left)
				}
				time.Sleep(2 * time.Second)
				configured(t, set, breaker.WithOpenFor(time.Hour))
				if left := openFor(t, rt); left != 3*time.Second {
					t.Errorf("refused for %v more after a longer open time was set, want the 3s that were left", left)
				}
				time.Sleep(3 * time.Second)
				up.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateClosed {
					t.Errorf("%v after a probe, want closed", got)
				}
			}},
		"fewer probes": {
			[]breaker.Option{breaker.WithTripRatio(0.5, 1), breaker.WithProbes(5)},
			func(t *testing.T, set *breaker.Set, rt http.RoundTripper) {
				down.send(t, rt, 1)
				time.Sleep(time.Second)
				up.send(t, rt, 2)
				if got := set.State("api.test"); got != breaker.StateHalfOpen {
					t.Fatalf("%v after 2 of 5 probes, want half-open", got)
				}
				configured(t, set, breaker.WithProbes(3))
				up.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateClosed {
					t.Errorf("%v after 3 of 3 probes, want closed", got)
				}
			}},
		"more probes": {
			[]breaker.Option{breaker.WithTripRatio(0.5, 1)},
			func(t *testing.T, set *breaker.Set, rt http.RoundTripper) {
				down.send(t, rt, 1)
				time.Sleep(time.Second)
				configured(t, set, breaker.WithProbes(2))
				up.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateHalfOpen {
					t.Fatalf("%v after 1 of 2 probes, want half-open", got)
				}
				up.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateClosed {
					t.Errorf("%v after 2 of 2 probes, want closed", got)
				}
			}},
		"calls in flight count, and are not slow": {
			[]breaker.Option{breaker.WithTripRatio(0.5, 3)},
			func(t *testing.T, set *breaker.Set, rt http.RoundTripper) {
				var calls sync.WaitGroup
				calls.Go(func() { plan{status: 200, after: time.Minute}.send(t, rt, 1) })
				calls.Go(func() { plan{status: 500, after: time.Minute}.send(t, rt, 1) })
				time.Sleep(time.Second)
				configured(t, set, breaker.WithTripRatio(0.9, 2), breaker.WithSlowCall(2*time.Second, 0.1))
				calls.Wait()
				synctest.Wait()
				up.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateClosed {
					t.Errorf("%v, want closed: calls that were under way are not slow", got)
				}
				configured(t, set, breaker.WithTripRatio(0.5, 4))
				down.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateOpen {
					t.Errorf("%v after 2 of 4 failures, want open", got)
				}
			}},
		"another window starts empty": {
			[]breaker.Option{breaker.WithTripRatio(0.5, 3)},
			func(t *testing.T, set *breaker.Set, rt http.RoundTripper) {
				down.send(t, rt, 2)
				configured(t, set, breaker.WithWindow(time.Minute))
				down.send(t, rt, 2)
				if got := set.State("api.test"); got != breaker.StateClosed {
					t.Errorf("%v after 2 failures, want closed", got)
				}
				time.Sleep(50 * time.Second)
				down.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateOpen {
					t.Errorf("%v after 3 failures within a minute, want open", got)
				}
			}},
		"other failures": {
			[]breaker.Option{breaker.WithTripRatio(0.5, 3)},
			func(t *testing.T, set *breaker.Set, rt http.RoundTripper) {
				configured(t, set, breaker.WithFailureIf(func(resp *http.Response, err error) bool { return resp.StatusCode == 404 }))
				down.send(t, rt, 5)
				plan{status: 404}.send(t, rt, 4)
				if got := set.State("api.test"); got != breaker.StateClosed {
					t.Errorf("%v after 4 of 9, want closed", got)
				}
				plan{status: 404}.send(t, rt, 1)
				if got := set.State("api.test"); got != breaker.StateOpen {
					t.Errorf("%v after 5 of 10, want open", got)
				}
			}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := newSet(t, tt.opts...)
				tt.play(t, set, set.Wrap(planned))
			})
		})
	}
}

func configured(t *testing.T, set *breaker.Set, opts ...breaker.Option) {
	t.Helper()
	if err := set.Configure("api.test", opts...); err != nil {
		t.Fatal(err)
	}
}

// All mistakes are told, by name.
func TestConfigureMistakes(t *testing.T) {
	set := newSet(t)
	err := set.Configure("api.test",
		breaker.WithTripRatio(2, 0), breaker.WithWindow(0), nil,
		breaker.WithServiceName(func(*http.Request) string { return "x" }), breaker.WithMaxServices(10),
		breaker.WithShared(&village{}), breaker.WithObserver(breaker.Observer{OnStateChange: func(breaker.StateChange) {}}))
	got := fmt.Sprint(err)
	for _, want := range []string{"WithTripRatio(2, 0)", "WithWindow(0s)", "WithServiceName", "WithMaxServices", "WithShared", "WithObserver"} {
		if !strings.Contains(got, `breaker: Configure("api.test"): `+want) {
			t.Errorf("got %v\nwant %s named", got, want)
		}
	}
	if err := new(breaker.Set).Configure(""); err == nil {
		t.Error("no error for a set that New did not make")
	}
}

// Changes and calls at the same time.
func TestConfigureConcurrently(t *testing.T) {
	set := newSet(t, breaker.WithTripRatio(0.5, 3), breaker.WithOpenFor(time.Microsecond))
	rt := set.Wrap(planned)
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			for n := range 300 {
				p := plan{status: 200 + 300*(n/7%2)}
				if resp, err := rt.RoundTrip(request(t, context.WithValue(t.Context(), planKey{}, p))); err == nil {
					resp.Body.Close()
				}
				set.State("api.test")
			}
		})
		all.Go(func() {
			for n := range 300 {
				opts := []breaker.Option{breaker.WithTripRatio(0.5, 1+n%5), breaker.WithProbes(1 + n%3), breaker.WithWindow(time.Duration(1+n%2) * time.Minute), breaker.WithSlowCall(time.Hour, 0.5)}
				if err := set.Configure([]string{"", "api.test"}[i%2], opts[:n%5]...); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	for _, service := range []string{"", "api.test"} {
		if err := set.Configure(service, breaker.WithTripRatio(0.5, 2)); err != nil {
			t.Fatal(err)
		}
	}
	if got := failures(t, rt, func() breaker.State { return set.State("api.test") }, 1000); got < 0 {
		t.Error("1000 failures, and the circuit is closed")
	}
}
