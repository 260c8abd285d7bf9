// Package fleettest tests what plugs into transport.WithFleet and breaker.WithShared: a
// conformance suite, [Test], and a fleet in memory whose delays and losses a test decides.
//
// With [New] a test sees a program's own behaviour in a fleet, without Redis and, in a
// bubble of testing/synctest, in no time. Each [Member] stands for a process.
package fleettest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/datapunk/evenkeel/transport"
)

// Test checks that members of one fleet keep its promises. The func join adds one more
// process to the fleet, with the default settings. Test makes five and closes them. It
// takes 15 to 30 seconds, or no time in a bubble of testing/synctest. It uses services of
// its own, so the fleet may be in use.
func Test(t *testing.T, join func(t *testing.T) Member) {
	s := &suite{t: t, prefix: t.Name() + time.Now().Format("150405.000000")}
	for range 5 {
		s.members = append(s.members, join(t))
	}
	var checks sync.WaitGroup
	for name, check := range map[string]func(name string){
		"open": s.open, "overload": s.overload, "overtaken": s.overtaken, "frequent": s.frequent,
		"outage": s.outage, "isolated": s.isolated,
	} {
		checks.Go(func() { check(s.prefix + name) })
	}
	checks.Wait()
	s.close(s.prefix + "closed")
}

type suite struct {
	t       *testing.T
	prefix  string
	members []Member
}

func (s *suite) guards(service string) (all []transport.FleetService) {
	for _, m := range s.members {
		all = append(all, m.Guard().Service(service))
	}
	return all
}

const (
	often    = 50 * time.Millisecond
	watched  = 5 * time.Second  // what must not happen does not for so long
	soon     = 20 * time.Second // what must happen does within this, on a busy machine
	patience = 60 * time.Second // and an outage is proved within this
)

// until calls step, until done or for a time. It reports whether done was reached.
func until(d time.Duration, step func(), done func() bool) bool {
	tick := time.NewTicker(often)
	defer tick.Stop()
	for end := time.Now().Add(d); time.Now().Before(end); <-tick.C {
		if step(); done() {
			return true
		}
	}
	return false
}

// late is a call that timed out.
func late(g transport.FleetService) {
	g.Admit(1)
	g.Saw(transport.SightLate, time.Now().Add(-time.Second))
}

func fast(g transport.FleetService) { g.Saw(transport.SightFast, time.Now().Add(-often/2)) }

func refusesRetries(g transport.FleetService) bool {
	_, ok := g.Admit(2)
	return !ok
}

// open: nothing is refused of a service of which nothing is known.
func (s *suite) open(service string) {
	g, c := s.members[0].Guard().Service(service), s.members[0].Circuits().Service(service)
	refused := until(2*time.Second, func() {}, func() bool {
		_, first := g.Admit(1)
		open, _ := c.Verdict()
		return !first || refusesRetries(g) || open
	})
	if refused {
		s.t.Error("a service is refused of which nothing is known")
	}
}

// overload: three processes with timeouts convince a fourth that has seen nothing. It
// refuses retries, and says when to ask again. Successes end that.
func (s *suite) overload(service string) {
	g := s.guards(service)
	other := s.members[3].Guard().Service(service + "-other")
	engaged := until(soon, func() {
		for _, witness := range g[:3] {
			late(witness)
		}
	}, func() bool { return refusesRetries(g[3]) })
	if !engaged {
		s.t.Error("three processes with timeouts have not convinced a fourth")
		return
	}
	if retryIn, _ := g[3].Admit(2); retryIn <= 0 {
		s.t.Errorf("a refused retry may be sent again in %v, want a time above 0", retryIn)
	}
	if refusesRetries(other) {
		s.t.Error("another service is refused too")
	}
	if !until(soon, func() { fast(g[0]) }, func() bool { return !refusesRetries(g[3]) }) {
		s.t.Error("successes do not lift the verdict")
	}
}

// overtaken: while one process has successes, timeouts of others prove nothing.
func (s *suite) overtaken(service string) {
	g := s.guards(service)
	engaged := until(watched, func() {
		for _, witness := range g[:3] {
			late(witness)
		}
		fast(g[3])
	}, func() bool { return refusesRetries(g[4]) })
	if engaged {
		s.t.Error("an overload is seen although a process has successes")
	}
}

// frequent: a process with many calls keeps its own judgement.
func (s *suite) frequent(service string) {
	g := s.guards(service)
	until(3*time.Second, func() { g[4].Admit(1) }, func() bool { return false })
	engaged := until(watched, func() {
		g[4].Admit(1)
		for _, witness := range g[:3] {
			late(witness)
		}
	}, func() bool { return refusesRetries(g[4]) })
	if engaged {
		s.t.Error("a process with 20 calls per second follows the fleet")
	}
}

// outage: failures of three processes open the circuit of a fourth. It hands out probes,
// and their success closes it.
func (s *suite) outage(service string) {
	var failing [3]interface{ Saw(ok bool) }
	for i := range failing {
		failing[i] = s.members[i].Circuits().Service(service)
	}
	c := s.members[3].Circuits().Service(service)
	isOpen := func() bool {
		open, _ := c.Verdict()
		return open
	}
	n := 0
	opened := until(patience, func() {
		if n++; n%4 == 0 {
			for _, f := range failing {
				f.Saw(false)
			}
		}
	}, isOpen)
	if !opened {
		s.t.Error("failures of three processes do not open the circuit of a fourth")
		return
	}
	if open, retryIn := c.Verdict(); open && retryIn <= 0 {
		s.t.Errorf("open for %v, want a time above 0", retryIn)
	}
	closed := until(soon, func() {
		if isOpen() && c.Ticket() {
			c.Saw(true)
		}
	}, func() bool { return !isOpen() })
	if !closed {
		s.t.Error("no probe has closed the circuit")
	}
}

// isolate reports whether the first member could isolate a service. A store that is busy
// may need several tries.
func (s *suite) isolate(service string, d time.Duration) bool {
	var err error
	if !until(soon, func() { err = s.members[0].Isolate(s.t.Context(), service, d) }, func() bool { return err == nil }) {
		s.t.Errorf("Isolate: %v", err)
		return false
	}
	return true
}

// isolated: what an operator isolates is refused everywhere, whatever a process sees, and
// only for its time.
func (s *suite) isolated(service string) {
	g, c := s.members[1].Guard().Service(service), s.members[2].Circuits().Service(service)
	here := s.members[0].Guard().Service(service)
	if !s.isolate(service, watched) {
		return
	}
	if _, ok := here.Admit(1); ok {
		s.t.Error("Isolate does not apply at once in the process that is told")
	}
	isolated := until(watched, func() { fast(g) }, func() bool {
		_, ok := g.Admit(1)
		open, _ := c.Verdict()
		return !ok && open && !c.Ticket()
	})
	if !isolated {
		s.t.Error("a service is not isolated everywhere before its time is over")
	}
	ended := until(soon, func() {}, func() bool {
		_, ok := g.Admit(1)
		open, _ := c.Verdict()
		return ok && !open
	})
	if !ended {
		s.t.Error("the isolation does not end")
	}
	for _, d := range []time.Duration{-time.Second, 48 * time.Hour} {
		if err := s.members[0].Isolate(s.t.Context(), service, d); err == nil {
			s.t.Errorf("no error of Isolate for %v", d)
		}
	}
}

// close: Close returns by its context, and lifts what applies.
func (s *suite) close(service string) {
	g, c := s.members[0].Guard().Service(service), s.members[0].Circuits().Service(service)
	s.isolate(service, time.Minute)
	done, cancel := context.WithCancel(s.t.Context())
	cancel()
	start := time.Now()
	if err := s.members[0].Close(done); err != nil && !errors.Is(err, context.Canceled) {
		s.t.Errorf("Close: %v", err)
	}
	if took := time.Since(start); took > time.Second {
		s.t.Errorf("Close took %v with a context that is done", took)
	}
	for range 2 {
		for _, m := range s.members {
			if err := m.Close(s.t.Context()); err != nil {
				s.t.Errorf("Close: %v", err)
			}
		}
	}
	if _, ok := g.Admit(2); !ok {
		s.t.Error("a retry is refused after Close")
	}
	if open, _ := c.Verdict(); open {
		s.t.Error("a circuit is open after Close")
	}
}
