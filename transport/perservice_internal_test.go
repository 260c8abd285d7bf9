package transport

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Every service keeps its own state, whichever is found without looking, and
// one that made room is not found any more.
func TestPerServiceStates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		type state struct {
			service string
			busy    bool
		}
		s := perService[state]{
			make: func(service string) *state { return &state{service: service} },
			idle: func(s *state) bool { return !s.busy },
		}
		kept := s.of("busy")
		kept.busy = true
		old := s.of("idle")
		for i := range 1000 {
			name := []string{"busy", "idle"}[i%2]
			if got := s.of(name); got.service != name {
				t.Fatalf("got the state of %q for %q", got.service, name)
			}
		}
		for i := range defaultServices - 2 {
			s.of(fmt.Sprint(i))
		}
		for range 1000 { // so that it is found without looking
			s.of("idle")
		}
		time.Sleep(time.Minute)
		if got := s.of("new"); got.service != "new" {
			t.Errorf("got the state of %q, want room for a new service", got.service)
		}
		if s.of("idle") == old {
			t.Error("found a state that was dropped")
		}
		if s.of("busy") != kept {
			t.Error("lost a state that was in use")
		}
		if got, want := s.of("idle"), s.peek("idle"); got != want {
			t.Errorf("of returns %p and peek %p", got, want)
		}
	})
}
