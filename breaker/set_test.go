package breaker_test

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers/service"
)

// The changes of a service arrive in order and without a gap, however many
// goroutines cause them.
func TestChangesArriveInOrder(t *testing.T) {
	var mu sync.Mutex
	last := breaker.StateClosed
	set := newSet(t, breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Microsecond), breaker.WithObserver(breaker.Observer{OnStateChange: func(c breaker.StateChange) {
		mu.Lock()
		defer mu.Unlock()
		if c.From != last {
			t.Errorf("a change from %v after one to %v", c.From, last)
		}
		last = c.To
	}}))
	var n atomic.Int64
	rt := set.Wrap(roundTripper(func(*http.Request) (*http.Response, error) {
		if n.Add(1)%3 == 0 {
			return nil, errors.New("down")
		}
		return &http.Response{StatusCode: 200, Body: http.NoBody}, nil
	}))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { send(t, rt, 500) })
	}
	wg.Wait()
}

func TestServiceNames(t *testing.T) {
	for _, tt := range []struct {
		url, service string
		opts         []breaker.Option
		want         string
	}{
		{url: "http://API.test:80/x", want: "api.test"},
		{url: "https://api.test:443/x", want: "api.test"},
		{url: "https://api.test:8443/x", want: "api.test:8443"},
		{url: "http://api.test/", service: "users", want: "users"},
		{url: "http://api.test/", service: "users", opts: []breaker.Option{breaker.WithServiceName(func(*http.Request) string { return "own" })}, want: "own"},
		{url: "http://api.test/", opts: []breaker.Option{breaker.WithServiceName(func(*http.Request) string { return "" })}, want: "api.test"},
	} {
		set := newSet(t, tt.opts...)
		ctx := t.Context()
		if tt.service != "" {
			ctx = service.With(ctx, tt.service)
		}
		req, _ := http.NewRequestWithContext(ctx, "GET", tt.url, nil)
		b := &backend{}
		set.Wrap(b).RoundTrip(req)
		for name := range set.All() {
			if name != tt.want {
				t.Errorf("%s: %q, want %q", tt.url, name, tt.want)
			}
		}
	}
}

// A circuit is asked for by any spelling of the host it is for, unless the
// names are the user's own.
func TestSpellingOfServices(t *testing.T) {
	own := breaker.WithServiceName(func(req *http.Request) string { return req.URL.Host })
	for _, tt := range []struct {
		asked string
		opts  []breaker.Option
		want  breaker.State
	}{
		{"api.test", nil, breaker.StateOpen},
		{"API.test", nil, breaker.StateOpen},
		{"Api.Test:443", nil, breaker.StateOpen},
		{"api.test:8080", nil, breaker.StateClosed},
		{"API.test", []breaker.Option{own}, breaker.StateOpen},
		{"api.test", []breaker.Option{own}, breaker.StateClosed},
	} {
		set := newSet(t, append(tt.opts, breaker.WithTripRatio(1, 1))...)
		b := &backend{}
		b.status.Store(500)
		req, _ := http.NewRequestWithContext(t.Context(), "GET", "http://API.test/", nil)
		set.Wrap(b).RoundTrip(req)
		if got := set.State(tt.asked); got != tt.want {
			t.Errorf("with %d options the circuit of %s is %v, want %v", len(tt.opts), tt.asked, got, tt.want)
		}
	}
}

func TestMistakes(t *testing.T) {
	_, err := breaker.New(breaker.WithTripRatio(50, 0), breaker.WithWindow(-1), breaker.WithOpenFor(0), breaker.WithProbes(0),
		breaker.WithSlowCall(time.Second, 2), breaker.WithMaxServices(0), nil)
	for _, want := range []string{"WithTripRatio(50, 0)", "WithWindow(-1ns)", "WithOpenFor(0s)", "WithProbes(0)", "WithSlowCall(1s, 2)", "WithMaxServices(0)"} {
		if err == nil || !strings.Contains(err.Error(), "breaker: "+want+": want") {
			t.Errorf("error %v lacks %s", err, want)
		}
	}
}

// The limits of each option are allowed, and nothing beyond them.
func TestLimitsOfOptions(t *testing.T) {
	const day = 24 * time.Hour
	for name, tt := range map[string]struct{ good, bad []breaker.Option }{
		"WithTripRatio": {
			good: []breaker.Option{breaker.WithTripRatio(1, 1), breaker.WithTripRatio(0.001, 1)},
			bad:  []breaker.Option{breaker.WithTripRatio(1.001, 1), breaker.WithTripRatio(0, 1), breaker.WithTripRatio(1, 0)},
		},
		"WithWindow": {
			good: []breaker.Option{breaker.WithWindow(10), breaker.WithWindow(day)},
			bad:  []breaker.Option{breaker.WithWindow(9), breaker.WithWindow(day + 1)},
		},
		"WithOpenFor": {
			good: []breaker.Option{breaker.WithOpenFor(1), breaker.WithOpenFor(day)},
			bad:  []breaker.Option{breaker.WithOpenFor(0), breaker.WithOpenFor(day + 1)},
		},
		"WithProbes": {
			good: []breaker.Option{breaker.WithProbes(1), breaker.WithProbes(1000)},
			bad:  []breaker.Option{breaker.WithProbes(0), breaker.WithProbes(1001)},
		},
		"WithSlowCall": {
			good: []breaker.Option{breaker.WithSlowCall(1, 1), breaker.WithSlowCall(0, 0)},
			bad: []breaker.Option{breaker.WithSlowCall(1, 1.001), breaker.WithSlowCall(1, 0), breaker.WithSlowCall(0, 1),
				breaker.WithSlowCall(-1, 1), breaker.WithSlowCall(-1, 0), breaker.WithSlowCall(1, -1)},
		},
		"WithMaxServices": {
			good: []breaker.Option{breaker.WithMaxServices(1)},
			bad:  []breaker.Option{breaker.WithMaxServices(0)},
		},
	} {
		for i, opt := range tt.good {
			if _, err := breaker.New(opt); err != nil {
				t.Errorf("%s, good value %d: %v", name, i+1, err)
			}
		}
		for i, opt := range tt.bad {
			if _, err := breaker.New(opt); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s, bad value %d: got %v, want an error that names it", name, i+1, err)
			}
		}
	}
}

// A request whose URL has no host is for that of its Host field.
func TestServiceOfHostField(t *testing.T) {
	set := newSet(t)
	b := &backend{}
	set.Wrap(b).RoundTrip(&http.Request{URL: &url.URL{Path: "/"}, Host: "API.test"})
	if got, want := services(set), []string{"api.test"}; !slices.Equal(got, want) {
		t.Errorf("circuits of %q, want %q", got, want)
	}
}

// A set that New did not make would let everything through, or panic at its
// first call: it says so where it is used for the first time.
func TestSetThatNewDidNotMake(t *testing.T) {
	for name, set := range map[string]*breaker.Set{"nil": nil, "zero": {}} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if got, want := recover(), "breaker: Wrap of a Set that New did not make"; got != want {
					t.Errorf("panic %v, want %q", got, want)
				}
			}()
			set.Wrap(&backend{})
		})
	}
}
