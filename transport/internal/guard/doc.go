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
// long it took. Harm is an attempt that timed out while nothing that was sent later
// succeeded: in a queue nobody overtakes. An attempt that was overtaken hangs, and
// says nothing about the load. If nobody overtakes and responses become slower
// steadily, the limiter can tell which attempts will time out before it sends them.
//
// No baseline decides. The typical latency only says how long a silence is unusual,
// which deadline is too short to prove anything, and which latency is no queue.
//
// A limit is an experiment. With next to nothing in flight there is no queue, so a
// response that is slow even then is slow work. If the service refuses as many and
// takes as long with half as many in flight, what is in flight is not the reason. In
// both cases the limit rises.
//
// Attempts without room are not refused at once. They wait in a queue, and are sent as
// soon as there is room.
//
// # Terms
//
//   - A [Limiter] is open (no limit) or engaged (a limit).
//   - The window is how many attempts may be in flight while the limiter is engaged.
//     Below 1 the window is shut: only probes are sent. It is never less than 1/2.
//   - An attempt hangs if it has taken long, and one that was sent later has succeeded
//     since. Long is more than T/20, and more than 5 times what is typical and what the
//     last few successes took. Attempts are judged in groups, so it may take twice as long
//     until that is known. What hangs takes no room: while the limiter is engaged it is not
//     counted as in flight. If nothing responds nothing hangs, and in a queue nobody
//     overtakes.
//   - A probe is an attempt that is sent although there is no room, to find out
//     whether the service responds.
//   - Typical is the running median of the latency of successes.
//   - The scale T is the time after which a response is of no use: the timeout of
//     an attempt or, without one, 20 times what is typical, at least 1 s and at most
//     30 s. It is never more than the call has left.
//   - The peak is the most attempts that were in flight, while open, when a
//     success came that took no more than 5 times what is typical. It decays by
//     0.05 % with each.
//   - An epoch is T/4, at least 100 ms.
//   - The rate is the number of calls per second, averaged over 4 s.
//   - Silence is no response for T/4, or twice what is typical if that is more, while
//     something is in flight. A refusal is no response here: it shows no room.
//
// # Open
//
// In silence no attempt is sent while max(8, 2 peak) or more are in flight, except
// for one probe per epoch.
//
// These engage the limiter:
//
//   - calls in a row that timed out: as many as there are in a quarter of a second,
//     at least 3 to 7, depending on the rate, and at most 50. The window is then
//     half of what is in flight. A timeout counts if the attempt had at least 0.9 T and
//     was not overtaken. It proves nothing if the call had left the attempt less than 5
//     times what is typical. In the row, only the first attempt of each call counts,
//     unless there is less than one call per T. A success ends the row.
//   - as many calls in a row that the service refused. The window is then half of what
//     is in flight, and a pause begins.
//   - refusals of a tenth of the responses, and at least 3 in an epoch. The window
//     is then what is in flight.
//   - a queue that grows, before anything times out. A queue grows if in two epochs in a
//     row, with at least 5 successes each, the fastest success took T/20 longer than in
//     the epoch before, at most one in 8 was overtaken by a success that was sent T/16
//     later, and at the end at least 7/8 as many were in flight. It goes on growing: in the
//     second of them the fastest of those that came after T/8 took T/40 longer than the
//     fastest before. So a service that became slower at once is no queue. If the fastest
//     took less than T, but at this rate what is sent now will take more, the window becomes
//     2. No success makes room until one that was sent after that.
//   - a queue of the service, which tells with a response how long the request waited
//     there. In an epoch with at least 5 successes, which are 0.8 of the rate or more, they
//     waited for T/4 or more on average. The window is then so much of what is in flight that
//     they wait for T/32.
//
// # Engaged
//
//	timeout that counts         window / 2, once per epoch while nothing responds, and
//	                            for each attempt that was sent after the last cut
//	success, queued <= room/8   window + 1, unless it took more than room/2 longer than usual itself
//	success, queued <= room/2   window + 1/window
//	success, else               window + 1/(4 window)
//	refusal                     3/4 of the window, or of what was in flight if that is less,
//	                            for an attempt that was sent since the last such cut
//
// Queued is the latency of the success, or of the fastest of the last 5 if there were as
// many since the last cut, minus the usual latency: in a queue all are slow. Room is T minus
// the usual latency. Usual is what is typical, or what a response took with a window of at
// most 2 if that is more. Within T after a refusal has narrowed the window, every success
// makes room for 1/(4 window) only. With a window of at most 1, which a refusal cannot
// narrow, it begins a pause, in which nothing is sent. The pause lasts for what is
// typical, and twice as long each time, up to an epoch. A success takes a quarter
// of it. Room is made only once no pause is left, unless the window is shut.
//
// If responses still take more than half of the room, either they queue or the work
// takes that long. To find out, the window is cut to 2, once, by a success that was sent
// T or more after the last cut. No success makes room until one that was sent after that.
// If refusals engaged the limiter, and nothing that was sent since has timed out, there is
// no need to find out: the service sheds what it cannot do. Then such a success makes room
// for one more.
// The same holds if the service has told of a queue within the last minute, tells of less
// than T/32 now, and that queue did not engage the limiter, until a response shows what it
// takes with a window of at most 2.
//
// If a queue that the service tells of engaged the limiter, the window follows that queue
// instead. Of the last 4 successes that were sent since it was last made less, the mean wait
// is to be T/32. If the mean is more, half of the difference, as a part of the recent
// latency, is taken off what is in flight. If it is less, each success makes room for half
// of the difference, as a part of the recent latency. Once the mean has been T/64 or less for
// a time t, each makes room for t/2T if that is more, and for 1 at most. A success that took
// more than 3/4 of T apart from that wait makes room as in the table above.
//
// The limiter opens when nobody waits, the window is 8 or more, and half of it is
// not used.
//
// If refusals engaged it, they first reduce the window to no less than half of what it
// was. 25 responses to attempts sent with that show whether a smaller window is of any
// use. It is of no use if the share of refusals is more than 0.4 times what it was, and
// the others take more than 0.75 times as long as before or did not take long even then.
// Then the window becomes what it was, and refusals change nothing for 30 s, unless their
// share rises by 25 percentage points. If a smaller window is of use, refusals may reduce
// it below half.
//
// Probes are sent while the window is shut, and in silence. The time between them is
// that in which 20 calls come, or, if that is less, that of 4 calls but at least 2 s. It
// is at least 0.5 s and at most 16 s, and varies at random by 25 %. The first three
// probes come after 1, 2 and 4 calls.
//
// # Waiting
//
// Calls that the service did not begin come before those that it may have begun.
// While successes or refusals come, the call with the earliest deadline is next. While
// none come, it is the call with the latest deadline, because an attempt with little time left would
// only time out. A call with less time left than an attempt is expected to take is not
// sent. That is the most of twice what is typical, 1.5 times what the last few successes took
// without the wait that the service told of, and what a response took with a window of at
// most 2, and never more than T. The wait is left out because the service serves the call
// that is over first.
package guard
