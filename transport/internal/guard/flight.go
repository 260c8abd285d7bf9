package guard

import "time"

// A flight counts the attempts in flight that do not hang, while there is a limit. The
// service does nothing for those that hang, so they take no room from the others.
//
// Attempts are counted in two groups, by when they were sent. A success of the newer group
// shows that the older one hangs. Then the newer group becomes the older one, and another
// begins. So the count costs the same however many are in flight.
type flight struct {
	older, newer int
	from, since  time.Duration // no attempt of either was sent before
	overtaken    bool          // what was sent before from hangs
}

// begin makes the first group of what is sent from now on. What is in flight may yet be
// answered.
func (f *flight) begin(now time.Duration) { *f = flight{from: now + 1, since: now + 1} }

// add counts n more that were sent at a time. No group has less than none: the clock is
// read before the lock is held, so that times may come in another order.
func (f *flight) add(sent time.Duration, n int) {
	switch {
	case sent >= f.since:
		f.newer = max(0, f.newer+n)
	case sent >= f.from:
		f.older = max(0, f.older+n)
	}
}

// overtake ends the newer group if an attempt of it has succeeded.
func (f *flight) overtake(sent, now time.Duration) {
	if sent >= f.since {
		*f = flight{older: f.newer, from: f.since, since: now + 1, overtaken: true}
	}
}

// working is how many of those in flight do not hang.
func (f *flight) working(inFlight int) int {
	if !f.overtaken {
		return inFlight
	}
	return f.older + f.newer
}
