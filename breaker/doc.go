// Package breaker keeps a circuit breaker for each service: after too many
// failures it refuses calls at once for a while, then lets a few through to
// see whether the service is back.
//
// The state machine of each circuit is sony/gobreaker's two-step breaker with
// a rolling window. What its users trip over is taken care of here:
//
//   - A circuit trips on the ratio of failures among finished calls. The
//     caller's own cancellation is no call at all, and neither is what a server
//     refuses that sheds.
//   - A stream that breaks after its 200 is a failure: a call is judged when
//     its body ends.
//   - It opens for 5 seconds, twice as long each time the probes fail, up to a
//     minute, and for as long as the answer that tripped it asks in Retry-After.
//   - Hooks run outside its locks, in order, on the goroutine of the caller.
//   - A probe that never comes back does not keep the circuit half-open for ever.
//   - A call that began before the circuit last changed state teaches the new
//     state nothing, whenever and however it ends.
//   - The set is bounded. Making room never forgets a circuit that is open, and
//     calls for which there is no circuit pass.
//
// # Placement
//
// Put the set inside the retry loop, where it judges every attempt, by
// transport.WithBreaker(set.Wrap). Outside of it, three failed attempts are one
// failure, and an open circuit does not end the retries.
//
// Circuits are not shared between processes: one with a broken network would
// close the service to all the others.
package breaker
