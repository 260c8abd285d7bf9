// Package breaker provides a circuit breaker for each service that a program
// calls. When nearly all calls to a service fail, its circuit opens: it refuses
// calls at once, without sending them, and now and then lets a call through to
// see whether the service is back.
//
// The state machine of each circuit is the two-step breaker of sony/gobreaker.
// This package counts the calls, finds the circuit of each request, and handles
// what users of a plain breaker have to take care of:
//
//   - A circuit opens on the ratio of failures among finished calls. Calls that
//     their caller cancelled, and responses of a server that sheds load, do not
//     count.
//   - A call is judged when its body ends. A stream that breaks after its
//     status 200 is a failure.
//   - A probe that never ends does not block the circuit. Its place is free for
//     another probe after a while.
//   - A call that began before the last change of state does not count in the
//     new state, however it ends.
//   - Observers are called outside locks, in order, on the goroutine of a call.
//   - The set of circuits is bounded. A circuit that is open is never dropped.
//     The calls of a service for which there is no room pass and are not judged.
//
// # When a circuit opens
//
// A circuit that refuses calls to a service that answers some of them makes an
// outage worse. By default it opens when at most 1 in 200 of the calls in the
// last 10 seconds succeeded, of at least 100 that finished. So it stays closed
// while one of several replicas fails, and for a client that sends fewer than
// about ten calls per second. The retry budget bounds what these clients send.
//
// # When it closes
//
// An open circuit refuses calls for 100 ms. The next call is a probe, and one
// success closes the circuit. If the probe fails, the circuit opens again for
// 100 ms, or for 1 % of the time since it first opened, up to 4 seconds. So the
// circuit is late by at most 1 % of an outage. A Retry-After does not change
// that, because many servers send a constant.
//
// TestBreakerDoesNoHarm compares programs with and without a breaker in outages
// of several kinds and lengths. The breaker costs less than 1 % of all calls, and up
// to 1.3 % where a service refuses connections for 12 of 13 seconds.
//
// # Placement
//
// Put the set inside the retry loop, where it sees every attempt:
// transport.WithBreaker(set.Wrap). Outside the loop, three failed attempts count
// as one failure, and an open circuit does not end the retries.
//
// Circuits are not shared between processes. One process with a broken network
// would close the service to all the others. [WithShared] adds what other processes
// count, for processes with too few calls to judge alone; package redisbreaker has that.
//
// # By hand
//
// [Set.Isolate] refuses the calls to a service for a time, and [Set.Release] ends that.
// [Set.Configure] changes the settings of one service, or of all, while the set is in use.
package breaker
