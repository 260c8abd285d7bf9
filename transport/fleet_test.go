package transport_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A village is a fleet that says what a test wants and notes what it is told.
type village struct {
	refuse func(attempt int) bool // nil: nothing is refused
	named  []string
	asked  []int
	seen   []sighting
}

type sighting struct {
	sight transport.Sight
	ago   time.Duration
}

func (v *village) Service(name string) transport.FleetService {
	v.named = append(v.named, name)
	return v
}

func (v *village) Admit(attempt int) (time.Duration, bool) {
	v.asked = append(v.asked, attempt)
	if v.refuse != nil && v.refuse(attempt) {
		return 3 * time.Second, false
	}
	return 0, true
}

func (v *village) Saw(s transport.Sight, sent time.Time) {
	v.seen = append(v.seen, sighting{s, time.Since(sent)})
}

// What each kind of attempt shows the fleet, and when it was sent.
func TestFleetSees(t *testing.T) {
	const T = time.Second
	after := func(d time.Duration, code int, header ...string) http.RoundTripper {
		return transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			h := http.Header{}
			for i := 0; i < len(header); i += 2 {
				h.Set(header[i], header[i+1])
			}
			select {
			case <-time.After(d):
			case <-req.Context().Done():
				return nil, req.Context().Err()
			}
			return &http.Response{StatusCode: code, Header: h, Body: http.NoBody, Request: req}, nil
		})
	}
	for _, tt := range []struct {
		what     string
		base     http.RoundTripper
		deadline time.Duration
		want     []sighting
	}{
		{"a quick success", after(20*time.Millisecond, 200), 0, []sighting{{transport.SightFast, 20 * time.Millisecond}}},
		{"an error of the caller", after(20*time.Millisecond, 404), 0, []sighting{{transport.SightFast, 20 * time.Millisecond}}},
		{"a success in half of the time", after(T/2, 200), 0, []sighting{{transport.SightFast, T / 2}}},
		{"a success in more", after(T/2+1, 200), 0, []sighting{{transport.SightSlow, T/2 + 1}}},
		{"a timeout", after(2*T, 200), 0, []sighting{{transport.SightLate, T}}},
		{"a deadline that leaves too little time", after(2*T, 200), T / 2, nil},
		{"a failure", after(20*time.Millisecond, 500), 0, nil},
		{"a refusal of a server that sheds", after(20*time.Millisecond, 503, "Retry-After", "9"), 0, nil},
		{"an error", transport.RoundTripperFunc(func(*http.Request) (*http.Response, error) { return nil, errors.New("reset") }), 0, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			v := &village{}
			rt := build(t, tt.base, transport.WithFleet(v), transport.WithPolicy(transport.Policy{MaxAttempts: 1, AttemptTimeout: T}))
			ctx := t.Context()
			if tt.deadline > 0 {
				var cancel func()
				ctx, cancel = context.WithTimeout(ctx, tt.deadline)
				defer cancel()
			}
			time.Sleep(time.Minute)
			if resp, err := rt.RoundTrip(get(t, ctx)); err == nil {
				resp.Body.Close()
			}
			if !reflect.DeepEqual(v.seen, tt.want) {
				t.Errorf("%s: the fleet saw %v, want %v", tt.what, v.seen, tt.want)
			}
			if want := []int{1}; !reflect.DeepEqual(v.asked, want) {
				t.Errorf("%s: the fleet was asked for attempts %v, want %v", tt.what, v.asked, want)
			}
			if want := []string{"api.test"}; !reflect.DeepEqual(v.named, want) {
				t.Errorf("%s: services %q, want %q", tt.what, v.named, want)
			}
		})
	}
}

// What the fleet refuses is not sent. A first attempt ends with a GuardError, a retry
// with what the first attempt came to.
func TestFleetRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: statuses(503, 200)}
		v := &village{refuse: func(int) bool { return true }}
		rt := build(t, s, transport.WithFleet(v), unlimited())
		body := &closeCounter{}
		req := get(t, t.Context())
		req.Method, req.Body = "PUT", body
		_, err := rt.RoundTrip(req)
		held, ok := errors.AsType[*transport.GuardError](err)
		if !ok || !held.Fleet || held.RetryIn != 3*time.Second || held.Service != "api.test" {
			t.Fatalf("got %v, want a GuardError of the fleet", err)
		}
		if !strings.Contains(err.Error(), "whole fleet") {
			t.Errorf("%q does not say that it is about the fleet", err)
		}
		if len(s.seen) != 0 || body.n.Load() != 1 {
			t.Errorf("sent %d, closed %d bodies; want 0 and 1", len(s.seen), body.n.Load())
		}

		v.refuse = func(attempt int) bool { return attempt > 1 }
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		call, _ := transport.CallOf(resp)
		if resp.StatusCode != 503 || call.Stop != transport.StopGuard || call.Attempts != 1 || len(s.seen) != 1 {
			t.Errorf("got %d, stop %s, %d attempts, %d sent; want the first response, and no retry", resp.StatusCode, call.Stop, call.Attempts, len(s.seen))
		}
	})
}

// Second copies are refused as retries are, and a dry run refuses nothing.
func TestFleetAndOtherLayers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		sent := 0
		slow := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent++
			time.Sleep(100 * time.Millisecond)
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		})
		v := &village{refuse: func(attempt int) bool { return attempt > 1 }}
		rt := build(t, slow, transport.WithFleet(v), transport.WithHedging(transport.Hedge{Delay: time.Millisecond}))
		resp, err := rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if sent != 1 {
			t.Errorf("sent %d copies, want 1", sent)
		}

		v.refuse = func(int) bool { return true }
		rt = build(t, slow, transport.WithFleet(v), transport.WithDryRun())
		resp, err = rt.RoundTrip(get(t, t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if call, _ := transport.CallOf(resp); call.WouldRefuse != transport.StopGuard {
			t.Errorf("would refuse with %q, want guard", call.WouldRefuse)
		}
	})
}

// A fleet needs the guard, and may know nothing of a service.
func TestFleetOptions(t *testing.T) {
	_, err := transport.New(nil, transport.WithFleet(&village{}), transport.WithoutGuard())
	if err == nil || !strings.Contains(err.Error(), "WithFleet") || !strings.Contains(err.Error(), "WithoutGuard") {
		t.Errorf("got %v, want an error that names both options", err)
	}
	rt := build(t, answeringAlways(200), transport.WithFleet(nil), transport.WithFleet(ignorant{}))
	resp, err := rt.RoundTrip(get(t, t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, resp.Body)
	resp.Body.Close()
}

type ignorant struct{}

func (ignorant) Service(string) transport.FleetService { return nil }

// While others see that a service is over capacity, a share of first attempts is sent.
func ExampleWithFleet() {
	base := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: 503, Body: http.NoBody, Request: req}, nil
	})
	others := &village{refuse: func(attempt int) bool { return attempt > 1 }} // a redisbreaker.Fleet's Guard() in a program
	rt, err := transport.New(base, transport.WithFleet(others))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp, err := rt.RoundTrip(newGet("http://api.test/"))
	if err != nil {
		fmt.Println(err)
		return
	}
	resp.Body.Close()
	call, _ := transport.CallOf(resp)
	fmt.Println(resp.StatusCode, call.Attempts, call.Stop)
	// Output:
	// 503 1 guard
}

// The guard refuses what the fleet refuses, although it has seen nothing itself.
func ExampleTransport_GuardState_fleet() {
	others := &village{refuse: func(int) bool { return true }}
	rt, err := transport.New(nil, transport.WithFleet(others))
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = rt.RoundTrip(newGet("http://api.test/"))
	held, _ := errors.AsType[*transport.GuardError](err)
	fmt.Println("refused by the fleet:", held.Fleet, "- engaged:", rt.GuardState("api.test").Engaged)
	// Output:
	// refused by the fleet: true - engaged: false
}

func newGet(url string) *http.Request {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		panic(err)
	}
	return req
}
