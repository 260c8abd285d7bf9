package transport

import "math"

// A GuardState is a look at the guard of one service; see [Transport.Guard].
type GuardState struct {
	// Engaged reports that the service is proved to be overloaded: attempts
	// that find no room in Window are held back.
	Engaged bool
	// Window is how many attempts may be in flight: +Inf while the guard is
	// not engaged, below 1 while it lets nothing but probes through.
	Window float64
	// InFlight is how many attempts are in flight. Without a guard nobody
	// counts them, and it is 0.
	InFlight int
}

// Guard returns the state of the guard of a service, which is named as in
// [WithServicePolicy]. It is meant for metrics and for pages that people look
// at: a state is out of date as soon as it is returned, and asking for it
// changes nothing. For a service that was never called, or for which there was
// no room, and with [Guard].Off, the guard is not engaged.
func (t *Transport) Guard(service string) GuardState {
	if t.made() && t.guard != nil {
		if v := t.guard.valves.Peek(spelt(service, t.service)); v != nil {
			return v.state()
		}
	}
	return GuardState{Window: math.Inf(1)}
}

func (v *valve) state() GuardState {
	v.mu.Lock()
	defer v.mu.Unlock()
	return GuardState{Engaged: !v.open(), Window: v.window, InFlight: int(v.inFlight.Load())}
}
