// Package guard limits the concurrency of a client to a service that is over
// capacity, and only to such a service.
//
// An overloaded service works on requests whose clients have given up. It stays
// overloaded while clients keep asking at the usual rate, however few retries
// they send (Bronson et al., "Metastable Failures in Distributed Systems",
// HotOS 2021). It recovers when clients ask less until it has caught up.
//
// The package knows nothing of HTTP, reads no clock, draws no random numbers and
// blocks nobody. Times are durations since a moment that the caller chooses, and
// chance is a func given to [New]. So a test can say exactly what happens.
//
// # Principles
//
// Harm counts, not slowness. A response within the limit is a success, however
// long it took. Harm is an attempt that timed out although nothing that was sent
// later has succeeded: nobody overtakes in a queue. An attempt that was overtaken
// hangs, and says nothing of the load. Where nobody overtakes, and responses become
// slower steadily, what will time out is known before it is sent.
//
// No baseline decides. What is typical only says how much silence is unusual,
// which short deadline proves nothing, and which latency is no queue.
//
// To limit is to experiment. What a response takes with next to nothing in flight
// is what it takes. If as many are refused with half as many in flight, and the
// others take as long, that is not for what is in flight. In both cases the limit rises.
//
// To wait is not to be refused. Attempts without room wait in a queue, and are
// sent as soon as there is room.
//
// # Terms
//
//   - A [Limiter] is open (no limit) or engaged (a limit).
//   - The window is how many attempts may be in flight while it is engaged. At
//     1/2 it is shut: only probes are sent.
//   - A probe is an attempt that is sent although there is no room, to find out
//     whether the service responds.
//   - Typical is the running median of the latency of successes.
//   - The scale T is the time after which a response is of no use: the limit of
//     an attempt, or 20 times what is typical, within 1 s and 30 s, and no more
//     than the call has left.
//   - The peak is the most attempts that were in flight, while open, when a
//     success came that took no more than 5 times what is typical. It decays by
//     0.05 % with each.
//   - An epoch is T/4, at least 100 ms.
//   - The rate is that of calls per second, over 4 s.
//   - Silence is no response for T/4, or twice what is typical if that is more,
//     while something is in flight.
//
// # Open
//
// In silence no more are sent beside max(8, 2 peak) in flight, except for a probe
// per epoch.
//
// These engage the limiter:
//
//   - calls in a row that timed out: as many as there are in a quarter of a second,
//     at least 3 to 7, depending on the rate, and at most 50. The window is then
//     half of what is in flight. A timeout counts if the attempt had 0.9 T, was not
//     overtaken, and is the first of its call, or if there is less than one call
//     per T. A success ends the row.
//   - as many calls in a row that the service refused, with which the window is
//     halved, and a pause begins
//   - refusals of a tenth of the responses, and at least 3 in an epoch. The window
//     is then what is in flight.
//   - a queue that grows, before anything times out. In two epochs in a row even the
//     fastest of 5 successes took T/20 longer, at most one of 8 was overtaken by one that
//     was sent T/16 later, and no less than 7/8 of what was in flight was at the end. If
//     the fastest took less than T, and at that rate what is sent now will take more, the
//     window is 2, and no success makes room until one that was sent since.
//
// # Engaged
//
//	timeout that counts         window / 2, once per epoch while nothing responds,
//	                            and for each that was sent after the last cut
//	success, queued <= room/8   window + 1
//	success, queued <= room/2   window + 1/window
//	success, else               window + 1/(4 window)
//	refusal                     window * 3/4, or of what was in flight if that is less,
//	                            for one that was sent since the last such cut
//
// Queued is what the success took beyond what is usual, and room is T without
// that. Usual is what is typical, or what it took with a window of at most 2.
// Within T of a refusal only the last of these makes room. Where there is no smaller
// window than one a refusal begins a pause, in which nothing is sent: of what is
// typical, and twice as long each time, up to an epoch. A success takes a quarter
// of it. Room is made only once there is none, unless the window is shut.
//
// Where responses still take more than half of the room, that is a queue, or what they
// take. If nobody knows, and they were sent a T after the last cut, the window is cut
// to 2, once, and no success makes room until one that was sent since. If refusals
// engaged the limiter, and nothing that was sent since timed out, there is no need:
// the service sheds what it cannot do. Then such a success makes room for one more.
//
// The limiter opens when nobody waits, the window is 8 or more, and half of it is
// not used.
//
// Where refusals engaged it, they first reduce the window to no less than half. 25
// responses to what is sent with that show whether it is of any use. If more than
// 0.4 times as many are refused as before, and the others take more than 0.75 times
// as long, it is not: the window is what it was, and refusals change nothing for
// 30 s, as long as there are not a quarter more of them. Else there is no such bound.
//
// Probes are sent while the window is shut, and in silence. The time between them
// is that of 20 calls, or of 4 calls and at least 2 s if that is less, within
// 0.5 s and 16 s, by chance 25 % more or less. The first three come after 1, 2
// and 4 calls.
//
// # Waiting
//
// Calls that the service did not begin come before those that it may have begun.
// While successes come, the one with the earliest deadline is next. While none come
// it is the one with the latest, since what has little time left would show nothing
// else. One that has less time than an attempt is expected to take is not sent.
package guard
