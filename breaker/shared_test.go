package breaker_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
)

// A village says what a test wants and notes what it is told.
type village struct {
	open    bool
	tickets int
	saw     []bool
	names   []string
}

func (v *village) Service(name string) breaker.SharedService {
	v.names = append(v.names, name)
	return v
}

func (v *village) Saw(ok bool)                    { v.saw = append(v.saw, ok) }
func (v *village) Verdict() (bool, time.Duration) { return v.open, 2 * time.Second }
func (v *village) Ticket() bool {
	v.tickets--
	return v.tickets >= 0
}

// The others hear of each success and failure, and of nothing else.
func TestSharedSees(t *testing.T) {
	v, b := &village{}, &backend{}
	rt := newSet(t, breaker.WithShared(v)).Wrap(b)
	for _, code := range []int{200, 500, 404, 0} {
		b.set(code)
		send(t, rt, 1)
	}
	b.set(503)
	b.header = http.Header{"X-Should-Retry": {"true"}}
	send(t, rt, 1)
	if want := []bool{true, false, true, false}; !slices.Equal(v.saw, want) {
		t.Errorf("the others saw %v, want %v", v.saw, want)
	}
	if want := []string{"api.test"}; !slices.Equal(v.names, want) {
		t.Errorf("services %q, want %q", v.names, want)
	}
}

// While the others refuse calls so does the circuit, except for the probes that they
// hand out. Then the circuit decides alone again.
func TestSharedVerdict(t *testing.T) {
	v, b := &village{open: true, tickets: 1}, &backend{}
	b.set(200)
	set := newSet(t, breaker.WithShared(v))
	rt := set.Wrap(b)
	if got := send(t, rt, 3); got != 2 || b.calls.Load() != 1 {
		t.Errorf("%d of 3 refused, %d sent, want 2 and 1", got, b.calls.Load())
	}
	_, err := rt.RoundTrip(request(t, t.Context()))
	refused, ok := errors.AsType[*breaker.OpenError](err)
	if !ok || !refused.Fleet || refused.RetryIn != 2*time.Second || !strings.Contains(err.Error(), "whole fleet") {
		t.Errorf("got %v, want an OpenError of the fleet", err)
	}
	if got := set.State("api.test"); got != breaker.StateOpen {
		t.Errorf("state %v, want open", got)
	}
	if got := openFor(t, rt); got != 2*time.Second {
		t.Errorf("open for %v, want 2s", got)
	}
	before := v.tickets
	openFor(t, rt)
	set.State("api.test")
	if v.tickets != before {
		t.Error("a question took a ticket")
	}
	v.open = false
	if got := send(t, rt, 3); got != 0 || set.State("api.test") != breaker.StateClosed {
		t.Errorf("%d of 3 refused in state %v, want none", got, set.State("api.test"))
	}
}

// An isolated service gets nothing, known or not, until its time is over or it is
// released. Others are not touched.
func TestIsolate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		b.set(200)
		set := newSet(t, breaker.WithMaxServices(1))
		rt := set.Wrap(b)
		get := func(url string) error {
			req, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := rt.RoundTrip(req)
			if err == nil {
				resp.Body.Close()
			}
			return err
		}
		set.Isolate("API.test:443", time.Minute) // not known yet
		set.Isolate("crowd.test", time.Hour)     // for which there will be no room
		err := get("https://api.test/")
		refused, ok := errors.AsType[*breaker.OpenError](err)
		if !ok || refused.RetryIn != time.Minute || refused.Fleet || b.calls.Load() != 0 {
			t.Errorf("got %v after %d calls, want it refused for a minute", err, b.calls.Load())
		}
		if get("http://other.test/") != nil || get("http://crowd.test/") == nil {
			t.Error("want only the isolated services refused")
		}
		if got := set.State("api.test"); got != breaker.StateOpen {
			t.Errorf("state %v, want open", got)
		}
		if got := openFor(t, rt); got != time.Minute {
			t.Errorf("open for %v, want 1m", got)
		}
		time.Sleep(time.Minute)
		if err := get("https://api.test/"); err != nil || set.State("api.test") != breaker.StateClosed {
			t.Errorf("got %v when the time was over", err)
		}
		set.Isolate("other.test", time.Hour)
		for name, state := range set.All() {
			if name == "other.test" && state != breaker.StateOpen {
				t.Errorf("All says that %s is %v, want open", name, state)
			}
		}
		set.Release("crowd.test")
		set.Release("OTHER.test")
		if err := errors.Join(get("http://crowd.test/"), get("http://other.test/")); err != nil {
			t.Errorf("after their release: %v", err)
		}
	})
}

// The circuit opens for what the other processes see.
func ExampleWithShared() {
	others := &village{open: true} // the Circuits of a redisbreaker.Fleet in a program
	circuits, err := breaker.New(breaker.WithShared(others))
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	_, err = client.Get("http://users.test/")
	refused, _ := errors.AsType[*breaker.OpenError](err)
	fmt.Println(refused.Fleet, refused.RetryIn)
	// Output:
	// true 2s
}

// An operator takes a service out for maintenance.
func ExampleSet_Isolate() {
	circuits, err := breaker.New()
	if err != nil {
		fmt.Println(err)
		return
	}
	client := &http.Client{Transport: circuits.Wrap(nil)}
	circuits.Isolate("users.test", time.Hour)
	_, err = client.Get("http://users.test/")
	fmt.Println(errors.Is(err, breaker.ErrOpen), circuits.State("users.test"))
	circuits.Release("users.test")
	fmt.Println(circuits.State("users.test"))
	// Output:
	// true open
	// closed
}
