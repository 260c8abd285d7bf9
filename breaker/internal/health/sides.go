package health

import (
	"time"

	"github.com/datapunk/evenkeel/breaker"
	"github.com/datapunk/evenkeel/transport"
)

// Guard is what the guard of a chain asks.
func (f *Fleet) Guard() transport.Fleet { return guardSide{f} }

// Circuits is what circuits ask.
func (f *Fleet) Circuits() breaker.Shared { return circuitSide{f} }

type guardSide struct{ fleet *Fleet }

func (g guardSide) Service(name string) transport.FleetService {
	if s := g.fleet.Service(name); s != nil {
		return &guarded{s, g.fleet.started}
	}
	return nil
}

type guarded struct {
	*Service
	started time.Time
}

func (g *guarded) Saw(s transport.Sight, sent time.Time) {
	switch at := sent.Sub(g.started); s {
	case transport.SightFast:
		g.SawSuccess(at, true)
	case transport.SightSlow:
		g.SawSuccess(at, false)
	case transport.SightLate:
		g.SawLate(at)
	}
}

type circuitSide struct{ fleet *Fleet }

func (c circuitSide) Service(name string) breaker.SharedService {
	if s := c.fleet.Service(name); s != nil {
		return circuit{s}
	}
	return nil
}

type circuit struct{ *Service }

func (c circuit) Saw(ok bool) { c.SawEnd(ok) }
