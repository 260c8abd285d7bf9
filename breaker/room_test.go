package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/headers/service"
)

// call calls a service by its name.
func call(t testing.TB, rt http.RoundTripper, name string) error {
	t.Helper()
	resp, err := rt.RoundTrip(request(t, named(t, name)))
	if err == nil {
		resp.Body.Close()
	}
	return err
}

// named returns a context for calls to a service.
func named(t testing.TB, name string) context.Context { return service.With(t.Context(), name) }

func services(set *breaker.Set) (names []string) {
	for name := range set.All() {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Calls for which there is no circuit pass, however many of them fail.
func TestNoRoomIsNoVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, breaker.WithMaxServices(10), breaker.WithTripRatio(0.5, 1))
		b := &backend{}
		rt := set.Wrap(b)
		for i := range 10 {
			call(t, rt, fmt.Sprint("dead", i))
		}
		for i := range 1000 {
			if err := call(t, rt, fmt.Sprint("dead", 10+i%100)); err == nil || errors.Is(err, breaker.ErrOpen) {
				t.Fatalf("a call without room ended with %v, want a failure that is no refusal", err)
			}
		}
		if got := set.State("dead10"); got != breaker.StateClosed {
			t.Errorf("a service without room is %v, want closed", got)
		}
		opener := rt.(interface {
			OpenFor(*http.Request) time.Duration
		})
		if d := opener.OpenFor(request(t, service.With(t.Context(), "dead10"))); d != 0 {
			t.Errorf("OpenFor = %v without room, want 0", d)
		}
		b.set(200)
		for i := range 50 {
			if err := call(t, rt, fmt.Sprint("healthy", i)); err != nil {
				t.Fatalf("a healthy service without room: %v", err)
			}
		}
		if n := len(services(set)); n != 10 {
			t.Errorf("%d circuits, want 10", n)
		}
		for range set.All() {
			break
		}
	})
}

// A circuit that is open is kept. One whose open time has ended makes room once
// nobody has asked for a window, and its service may come back.
func TestDeadServicesMakeRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		set := newSet(t, breaker.WithMaxServices(3), breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Minute))
		b := &backend{}
		rt := set.Wrap(b)
		for _, name := range []string{"dead", "busy", "quiet"} {
			if name != "dead" {
				b.set(200)
			}
			call(t, rt, name)
		}
		keep := func(d time.Duration) { // in use, every second
			for range int(d / time.Second) {
				time.Sleep(time.Second)
				call(t, rt, "busy")
			}
		}
		keep(9 * time.Second)
		call(t, rt, "new")
		if got, want := services(set), []string{"busy", "dead", "quiet"}; !slices.Equal(got, want) {
			t.Errorf("circuits of %q within a window, want %q", got, want)
		}
		keep(2 * time.Second)
		call(t, rt, "new")
		if got, want := services(set), []string{"busy", "dead", "new"}; !slices.Equal(got, want) {
			t.Errorf("circuits of %q after a window, want %q", got, want)
		}
		for range 56 { // until 67s
			keep(time.Second)
			call(t, rt, "new")
			call(t, rt, "newer")
		}
		if got := set.State("dead"); got != breaker.StateHalfOpen {
			t.Errorf("the circuit is %v within a window after its open time, want half-open", got)
		}
		for range 4 {
			keep(time.Second)
			call(t, rt, "new")
			call(t, rt, "newer")
		}
		if got, want := services(set), []string{"busy", "new", "newer"}; !slices.Equal(got, want) {
			t.Errorf("circuits of %q a window after the open time, want %q", got, want)
		}
		b.set(0)
		if err := call(t, rt, "dead"); err == nil || errors.Is(err, breaker.ErrOpen) {
			t.Errorf("a service that comes back: %v, want a failure that is no refusal", err)
		}
	})
}

// A flood of names must not wash away a circuit that is open.
func TestSetIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &backend{}
		set := newSet(t, breaker.WithMaxServices(50), breaker.WithTripRatio(0.5, 1), breaker.WithOpenFor(time.Hour))
		rt := set.Wrap(b)
		call(t, rt, "open")
		b.set(200)
		flood := func(prefix string) {
			for i := range 10_000 {
				if err := call(t, rt, fmt.Sprint(prefix, i)); err != nil {
					t.Fatal(err)
				}
			}
		}
		flood("a")
		time.Sleep(time.Minute)
		flood("b")
		if n := len(services(set)); n != 50 || set.State("open") != breaker.StateOpen {
			t.Errorf("%d circuits and the first %v, want 50, and open", n, set.State("open"))
		}
		if call(t, rt, "open") == nil {
			t.Error("the open circuit lets a call pass")
		}
	})
}
