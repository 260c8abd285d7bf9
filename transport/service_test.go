package transport_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/budget"
	"github.com/datapunk/evenkeel/headers/service"
	"github.com/datapunk/evenkeel/transport"
)

// Policies change while calls are under way; each call has one from start to
// end.
func TestSetPolicyLive(t *testing.T) {
	rt := build(t, answeringAlways(503), unlimited())
	set := func(n int) {
		for _, service := range []string{"", "b"} {
			if err := rt.SetPolicy(service, transport.Policy{MaxAttempts: n, BaseDelay: 1, MaxDelay: 1}); err != nil {
				t.Error(err)
			}
		}
	}
	set(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for n := 1; ; n = n%4 + 1 {
				select {
				case <-stop:
					return
				default:
					set(n)
				}
			}
		})
	}
	var callers sync.WaitGroup
	for _, host := range []string{"a", "b"} {
		callers.Go(func() {
			for range 1000 {
				req, _ := http.NewRequest("GET", "http://"+host+"/", nil)
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Error(err)
					return
				}
				call, _ := transport.CallOf(resp)
				want := transport.StopAttempts
				if call.Attempts == 1 {
					want = transport.StopDisabled
				}
				if call.Attempts < 1 || call.Attempts > 4 || call.Stop != want {
					t.Errorf("%+v is of no policy that was ever set", call)
					return
				}
			}
		})
	}
	callers.Wait()
	close(stop)
	wg.Wait()
}

// answeringAlways is a base for several goroutines.
func answeringAlways(code int) http.RoundTripper {
	return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: code, Header: http.Header{}, Body: http.NoBody, Request: req}, nil
	})
}

func TestSetPolicyOfOneService(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := build(t, answering(503), unlimited(), transport.WithServicePolicy("a", transport.Policy{MaxAttempts: 2}))
		attempts := func(host string) int {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/", nil)
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			call, _ := transport.CallOf(resp)
			return call.Attempts
		}
		if a, b := attempts("a"), attempts("b"); a != 2 || b != 3 {
			t.Errorf("a %d, b %d; want 2 and the default 3", a, b)
		}
		rt.SetPolicy("", transport.Policy{MaxAttempts: 5})
		if a, b := attempts("A"), attempts("b"); a != 2 || b != 5 {
			t.Errorf("a %d, b %d; want 2 of its own and 5", a, b)
		}
		rt.SetPolicy("b", transport.Policy{MaxAttempts: 1})
		if err := rt.SetPolicy("b", transport.Policy{BaseDelay: -1}); err == nil {
			t.Error("a policy that is not valid was taken")
		}
		if b := attempts("b"); b != 1 {
			t.Errorf("b %d, want 1", b)
		}
	})
}

// The zero Policy takes a service's own policy away, wherever it came from.
func TestSetPolicyClears(t *testing.T) {
	own := transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}
	for name, tt := range map[string]struct {
		opts []transport.Option
		set  func(rt *transport.Transport) error
		want int
	}{
		"set while running":     {nil, func(rt *transport.Transport) error { return rt.SetPolicy("api.test", own) }, 5},
		"in another spelling":   {nil, func(rt *transport.Transport) error { return rt.SetPolicy("API.test:80", own) }, 5},
		"an option":             {[]transport.Option{transport.WithServicePolicy("Api.Test", own)}, nil, 5},
		"never set":             {nil, nil, 5},
		"an empty list is set":  {nil, func(rt *transport.Transport) error { return rt.SetPolicy("", transport.Policy{Statuses: []int{}}) }, 1},
		"the policy of all":     {nil, func(rt *transport.Transport) error { return rt.SetPolicy("", transport.Policy{}) }, 3},
		"with names of its own": {[]transport.Option{transport.WithServiceName(func(*http.Request) string { return "api.test" })}, func(rt *transport.Transport) error { return rt.SetPolicy("api.test", own) }, 5},
	} {
		synctest.Test(t, func(t *testing.T) {
			all := transport.Policy{MaxAttempts: 5, BaseDelay: 1, MaxDelay: 1}
			rt := build(t, answering(503), append(tt.opts, unlimited(), transport.WithPolicy(all))...)
			if tt.set != nil {
				if err := tt.set(rt); err != nil {
					t.Fatal(err)
				}
			}
			if err := rt.SetPolicy("api.test", transport.Policy{}); err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			if call, _ := transport.CallOf(resp); call.Attempts != tt.want {
				t.Errorf("%s: %d attempts after the policy was cleared, want %d", name, call.Attempts, tt.want)
			}
		})
	}
}

// The name of a service is all that budgets and events go by, so that a name
// for many hosts makes one of them.
func TestServiceName(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked []string
		var told told
		rt := build(t, answering(200), told.option(),
			transport.WithBudget(func(service string) budget.Budget { asked = append(asked, service); return nil }),
			transport.WithServiceName(func(req *http.Request) string {
				if strings.HasSuffix(req.URL.Hostname(), ".cdn.test") {
					return "cdn"
				}
				return ""
			}))
		for i := range 100 {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", fmt.Sprintf("http://n%d.cdn.test/%d", i, i), nil)
			if _, err := rt.RoundTrip(req); err != nil {
				t.Fatal(err)
			}
		}
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://API.test:8080/", nil)
		if _, err := rt.RoundTrip(req); err != nil {
			t.Fatal(err)
		}
		slices.Sort(asked)
		if got := slices.Compact(asked); !slices.Equal(got, []string{"api.test:8080", "cdn"}) {
			t.Errorf("services %q, want cdn and the one with the default name", got)
		}
		if told.calls[0].Service != "cdn" || told.attempts[100].Service != "api.test:8080" {
			t.Errorf("events carry %q and %q", told.calls[0].Service, told.attempts[100].Service)
		}
	})
}

// A dial may go on in the background after its call is over, and asks its
// context for the service then.
func TestServiceIsReadAfterTheCall(t *testing.T) {
	ask := make(chan struct{})
	done := make(chan string)
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		if transport.Attempt(req.Context()) == 1 {
			go func() {
				<-ask
				done <- service.Of(req.Context())
			}()
			close(ask)
		}
		return answering(503)(req)
	})
	pass := layer(func(next http.RoundTripper, req *http.Request) (*http.Response, error) { return next.RoundTrip(req) })
	rt := build(t, base, unlimited(), transport.WithCallLayer(pass), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
	if _, err := rt.RoundTrip(get(t, t.Context())); err != nil {
		t.Fatal(err)
	}
	if got := <-done; got != "api.test" {
		t.Errorf("service %q, want api.test", got)
	}
}

// A service is its host, however that is spelt: in a request, in an option, and
// in a question.
func TestSpellingOfServices(t *testing.T) {
	circuits, err := breaker.New(breaker.WithTripRatio(1, 6))
	if err != nil {
		t.Fatal(err)
	}
	two := transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}
	rt := build(t, answeringAlways(503), unlimited(), transport.WithBreaker(circuits.Wrap), transport.WithServicePolicy("API.test", two))
	call := func(url string) transport.Call {
		req, _ := http.NewRequestWithContext(t.Context(), "GET", url, nil)
		resp, err := rt.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		return call
	}
	for _, url := range []string{"http://api.test/", "http://Api.Test:80/"} {
		if c := call(url); c.Service != "api.test" || c.Attempts != 2 {
			t.Errorf("%s: %+v, want 2 attempts to api.test", url, c)
		}
	}
	if err := rt.SetPolicy("API.test:443", transport.Policy{MaxAttempts: 1}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if c := call("https://API.TEST:443/"); c.Service != "api.test" || c.Stop != transport.StopDisabled {
			t.Errorf("%+v, want one attempt to api.test, whose policy SetPolicy changed", c)
		}
	}
	for _, service := range []string{"api.test", "API.test", "Api.test:443"} {
		if got := circuits.State(service); got != breaker.StateOpen {
			t.Errorf("the circuit of %s is %v, want open after six failures", service, got)
		}
	}
}

// A name that the user makes counts to the letter.
func TestSpellingOfNamesOfOnesOwn(t *testing.T) {
	circuits, err := breaker.New(breaker.WithTripRatio(1, 2))
	if err != nil {
		t.Fatal(err)
	}
	rt := build(t, answeringAlways(503), unlimited(), transport.WithBreaker(circuits.Wrap),
		transport.WithServiceName(func(req *http.Request) string { return "Orders:80" }),
		transport.WithPolicy(transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}),
		transport.WithServicePolicy("orders", transport.Policy{MaxAttempts: 1}))
	attempts := func() int {
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		call, _ := transport.CallOf(resp)
		return call.Attempts
	}
	if n := attempts(); n != 2 {
		t.Errorf("%d attempts, want 2: the policy is that of another service", n)
	}
	if got := circuits.State("Orders:80"); got != breaker.StateOpen {
		t.Errorf("the circuit of Orders:80 is %v, want open", got)
	}
	if got := circuits.State("orders"); got != breaker.StateClosed {
		t.Errorf("the circuit of orders is %v, want closed: it has no circuit", got)
	}
}

// The budgets that the chain makes can be looked at; those of WithBudget are the
// caller's.
func TestBudgets(t *testing.T) {
	for _, tt := range []struct {
		name string
		opts []transport.Option
		want string
	}{
		{"by default", nil, "[api.test 1]"},
		{"patient", []transport.Option{transport.Patient()}, "[api.test 1]"},
		{"none", []transport.Option{unlimited()}, "[]"},
		{"of the caller", []transport.Option{(&purse{}).option()}, "[]"},
	} {
		synctest.Test(t, func(t *testing.T) {
			rt := build(t, answeringAlways(503), append(tt.opts, transport.WithServicePolicy("api.test", transport.Policy{MaxAttempts: 2}))...)
			resp, err := rt.RoundTrip(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			var got []string
			for service, stats := range rt.Budgets() {
				got = append(got, fmt.Sprint(service, " ", stats.Spent))
			}
			if fmt.Sprint(got) != tt.want {
				t.Errorf("%s: got %v, want %s", tt.name, got, tt.want)
			}
		})
	}
	for service := range new(transport.Transport).Budgets() {
		t.Errorf("a Transport that New did not make has a budget for %q", service)
	}
}

// What a service has spent is not forgotten when names flood the chain. Services of
// which nothing is missing make room for others; those that find none share one
// budget.
func TestFloodOfNamesForgetsNoSpending(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := build(t, answeringAlways(503), transport.WithoutGuard(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
		flood := func(name string, n int, every time.Duration) {
			for i := range n {
				req := get(t, t.Context())
				req.URL.Host = fmt.Sprint(name, i, ".test")
				resp, err := rt.RoundTrip(req)
				if err != nil {
					t.Fatal(err)
				}
				resp.Body.Close()
				time.Sleep(every)
			}
		}
		known := func() (spent, services int, last string) {
			for name, s := range rt.Budgets() {
				spent += int(s.Spent)
				services, last = services+1, name
			}
			return spent, services, last
		}
		for range 4 {
			flood("spends", 100, 0)
		}
		before, _, _ := known()
		if err := rt.SetPolicy("", transport.Policy{MaxAttempts: 1}); err != nil {
			t.Fatal(err)
		}
		flood("quiet", 1300, 2*time.Millisecond)
		if spent, services, last := known(); spent != before || services >= 1024 || last == "(other services)" {
			t.Errorf("%d retries spent by %d services, %s last; want %d, and the quiet ones dropped", spent, services, last, before)
		}
		if err := rt.SetPolicy("", transport.Policy{MaxAttempts: 2, BaseDelay: 1, MaxDelay: 1}); err != nil {
			t.Fatal(err)
		}
		flood("many", 2000, 0)
		if spent, services, last := known(); spent != before+2000 || services != 1025 || last != "(other services)" {
			t.Errorf("%d retries spent by %d services, %s last; want %d by 1024 and the others", spent, services, last, before+2000)
		}
	})
}
