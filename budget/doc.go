// Package budget bounds how many retries a service may get.
//
// A retry policy bounds the retries of one call. In an outage every call fails,
// so that three attempts each make three times the load at the moment when the
// service can bear it least. A [Budget] bounds the retries of all calls
// together: each first attempt deposits a fraction of a token, each retry
// withdraws a whole one. Without a token there is no retry.
//
// # What it promises
//
// A [Local] budget with ratio r and floor m keeps, for every window of time,
//
//	retries <= r · requests + m · time + stock at its start
//
// whatever fails and however many goroutines use it. The stock is at most
// (r · requests per second + m) · (Hold + Pool), and at least one token may
// always be kept; with a floor, three. To it belongs what the floor earned in
// the quarter of a second before. So the burst is configured in seconds of
// budget, which bounds it at any traffic: 1.5 of them by default.
//
// The floor lets a service with little traffic retry at all. A budget with one
// starts with the stock of an idle one, so that the first call of a process
// can be retried: max(3, m · (Hold + Pool)) tokens, which is 3 for a floor of
// up to 2 per second with the defaults. Without a floor it starts empty. So a
// process that was just started can absorb a few failures and no burst of them;
// the ceiling follows the traffic from the first quarter of a second on, and
// what is earned above it before that is not kept.
//
// # What it promises with Evidence
//
// With [Policy].Evidence credit depends on whether retries help. Only a first
// attempt that succeeded pays r. A retry that succeeds soon is repaid: with its
// own token, so that it has cost nothing, and if it followed an error or a
// timeout, with another one as interest. So for every window of time
//
//	retries that did not help <= r · first attempts that succeeded + m · time
//	                             + retries that helped + stock at its start
//
// where retries that are still under way have not helped yet, those that were
// under way at the start of the window belong to its stock, and those that
// [Admitted] was said of are on neither side, being repaid without interest.
// For what is withdrawn in a window is at most what was in the balance and came
// to it, and each retry that helped brought its own token back to both sides.
//
// Interest is credit from nothing. It has three bounds. It is a token for a
// call that succeeded, and a call succeeds once, so that all that can be earned
// is a token per successful call, or r if that is more. It is paid into the
// same account, below the same ceiling, which it does not raise: more than two
// tokens above that are never kept. And so it ends with its reason: in a window
// where nothing succeeds
//
//	retries <= m · time + stock at its start
//
// whatever helped before, and however many requests there are. That takes a
// caller who settles each retry that was granted at most once.
//
// # Choosing
//
// Ratio is the load that retries may add in an outage: 0.2 means at most 1.2
// times the requests, as Finagle, Linkerd and the Gateway API have it; 0.1 is
// what the SRE book (chapter 21) recommends. MinPerSecond is per Local, so it
// multiplies with the number of processes: keep it small.
//
// # What it does not do
//
// It does not choose which calls to retry, and it does not notice retries that
// bypass it: the automatic ones of net/http on a stale connection, or those of
// a proxy in between.
package budget
