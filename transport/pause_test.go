package transport_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// A paused service gets each call once until its time is over, and no other service is
// touched.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := build(t, answeringAlways(503), unlimited(), transport.WithPolicy(transport.Policy{BaseDelay: 1, MaxDelay: 1}))
		attempts := func(url string) int {
			req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			call, _ := transport.CallOf(resp)
			if want := map[int]transport.StopReason{1: transport.StopDisabled, 3: transport.StopAttempts}[call.Attempts]; call.Stop != want {
				t.Errorf("%d attempts stopped by %s, want %s", call.Attempts, call.Stop, want)
			}
			return call.Attempts
		}
		a, b := "http://a.test/", "http://b.test/"
		expect := func(what string, ofA, ofB int) {
			t.Helper()
			if gotA, gotB := attempts(a), attempts(b); gotA != ofA || gotB != ofB {
				t.Errorf("%s: %d and %d attempts, want %d and %d", what, gotA, gotB, ofA, ofB)
			}
		}
		expect("before", 3, 3)
		rt.Pause("A.test:80", time.Minute)
		expect("one service", 1, 3)
		rt.Pause("b.test", time.Hour)
		time.Sleep(time.Minute)
		expect("when its time is over", 3, 1)
		rt.Pause("b.test", 0)
		expect("ended by hand", 3, 3)
		rt.Pause("", 1<<63-1)
		expect("all", 1, 1)
		rt.Pause("", time.Second)
		rt.Pause("a.test", time.Minute)
		time.Sleep(time.Second)
		expect("the newest of a name", 1, 3)
	})
}

// While a service is paused no second copies are sent.
func TestPauseHedging(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		slow := transport.RoundTripperFunc(func(req *http.Request) (*http.Response, error) {
			sent.Add(1)
			time.Sleep(100 * time.Millisecond)
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: req}, nil
		})
		rt := build(t, slow, transport.WithHedging(transport.Hedge{Delay: time.Millisecond}))
		for paused, want := range map[bool]int64{true: 1, false: 2} {
			d := time.Duration(0)
			if paused {
				d = time.Hour
			}
			rt.Pause("api.test", d)
			sent.Store(0)
			resp, err := rt.RoundTrip(get(t, t.Context()))
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if got := sent.Load(); got != want {
				t.Errorf("paused %v: sent %d copies, want %d", paused, got, want)
			}
		}
	})
}

// Pause of a Transport that New did not make does nothing.
func TestPauseOfNothing(t *testing.T) {
	new(transport.Transport).Pause("api.test", time.Hour)
	(*transport.Transport)(nil).Pause("api.test", time.Hour)
}
