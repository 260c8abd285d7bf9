// Package guard limits the concurrency of a client to a service that is over
// capacity, and only to such a service.
//
// An overloaded service works on requests whose clients have given up. It stays
// overloaded while clients keep asking at the usual rate, however few retries
// they send (Bronson et al., "Metastable Failures in Distributed Systems",
// HotOS 2021). It recovers when clients ask less until responses are fast again.
//
// The package knows nothing of HTTP, reads no clock and draws no random numbers.
// Times are durations since a moment that the caller chooses, and chance is a
// func given to [New]. So a test can say exactly what happens.
//
// # Terms
//
//   - A [Limiter] is open (no limit) or engaged (a limit).
//   - The window is how many attempts may be in flight while it is engaged. At
//     1/2 it is shut: only probes are sent.
//   - A probe is an attempt that is sent although the window has no room, to
//     find out whether the service responds again.
//   - The baseline is the running median of the latency of successes.
//   - The scale T is the time after which a response is of no use: the limit of
//     the attempt, or 20 times the baseline, within 1 s and 30 s, if it has none.
//   - The peak is the most attempts that were in flight, while open, when a fast
//     success came. It decays by 0.05 % with each.
//   - An epoch is a period of T/4, at least 100 ms, at whose end the rates are
//     updated and the window may be halved.
//   - A [Priority] says what claim an attempt has to the room that there is.
//   - A [Signal] is what an attempt shows of the load of the service.
//
// # What each signal does
//
//	signal                          open                               engaged
//	None                            nothing                            nothing
//	Timeout, before T/2             nothing                            nothing
//	Timeout, overtaken              counts in the epoch                counts in the epoch
//	Timeout, of a retry             counts in the epoch                counts in the epoch
//	Timeout, other                  one more in a row, may engage      counts in the epoch
//	Failed                          counts in the epoch                counts in the epoch
//	Shed                            one timeout in a row less          window + 1
//	Success, latency <= slow        ends the row, moves the peak       window + 1
//	Success, slow, latency <= T/4   counts in the epoch                window + 1/window
//	Success, latency > T/4          counts in the epoch                counts in the epoch
//
// A success is slow if its latency is above both five times the baseline and
// T/20. A timeout is overtaken if an attempt that was sent later had a fast
// success: the attempt hangs, it does not queue. Each success moves the baseline.
//
// Timeouts in a row engage the limiter when there are as many as responses in a
// quarter of a second, but at least 3 to 7, depending on the rate, and at most 50.
// So do two epochs in a row in which even the fastest of at least three responses
// took more than T/2 and the fastest did not improve by a tenth. The window is
// then half of what is in flight, or of the peak if that is less, at least 1.
//
// At the end of an epoch without a fast success the window is halved, down to
// 1/2, if the epoch had such a queue or more timeouts than slow successes and
// sheds. When the window grows beyond twice the peak, at least 8, the limiter
// opens.
package guard
