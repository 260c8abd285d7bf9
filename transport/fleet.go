package transport

import (
	"time"

	"github.com/datapunk/evenkeel/transport/internal/guard"
)

// A Fleet is what other processes see of the services that this one calls too. A
// process that calls a service seldom cannot prove alone that it is over capacity.
// Package redisbreaker has one; see [WithFleet].
type Fleet interface {
	// Service returns the part of the fleet that knows a service, or nil. The chain
	// keeps it for as long as it knows the service.
	Service(name string) FleetService
}

// A FleetService knows what a fleet sees of one service. Its methods are called for
// each attempt, concurrently. They must not wait.
type FleetService interface {
	// Admit reports whether the attempt of that number, 1 for the first of a call, may
	// be sent. If not, retryIn is when to ask again.
	Admit(attempt int) (retryIn time.Duration, ok bool)
	// Saw tells what an attempt showed that was sent at that time. Many attempts show
	// nothing, and of frequent calls only a sample is told.
	Saw(s Sight, sent time.Time)
}

// A Sight is what an attempt showed of the load of a service.
type Sight int8

const (
	SightFast Sight = iota // a success within half of the time that an attempt has
	SightSlow              // a success that took longer
	SightLate              // no response, with at least nine tenths of that time
)

// sightOf returns what an attempt showed that took so long, if anything.
func sightOf(a guard.Attempt, took time.Duration, s guard.Signal) (Sight, bool) {
	switch {
	case s == guard.Success && took <= a.Scale.T/2:
		return SightFast, true
	case s == guard.Success:
		return SightSlow, true
	case s == guard.Timeout && !a.Scale.Brief && took >= a.Scale.T*9/10:
		return SightLate, true
	}
	return 0, false
}

// tell reports an attempt to the fleet, if there is one.
func (k *known) tell(a guard.Attempt, s guard.Signal, born time.Time) {
	if k.fleet == nil {
		return
	}
	if sight, ok := sightOf(a, time.Since(born)-a.Start, s); ok {
		k.fleet.Saw(sight, born.Add(a.Start))
	}
}

// refused returns the error of an attempt that the fleet refuses, or nil.
func (k *known) refused(ctx *attemptCtx) *GuardError {
	if k.fleet == nil {
		return nil
	}
	retryIn, ok := k.fleet.Admit(int(ctx.number))
	if ok {
		return nil
	}
	return &GuardError{Service: ctx.round.call.record.Service, RetryIn: retryIn, Fleet: true}
}
